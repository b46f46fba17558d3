/**
 * The first page in Chromium against the real binary: what a newcomer does in the first minutes, and a
 * node that dies under it.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { HubProcess } from "./hub_process.js";
import { PageUnderTest } from "./page_under_test.js";

let browser;
let hub;

before(async () => {
  browser = await launch();
  hub = await HubProcess.start();
});

after(async () => {
  await browser?.close();
  await hub?.kill();
});

/** Each with a room and users of its own would be tedious, so each has a node of its own instead. */
async function open(t, options) {
  const own = await HubProcess.start();
  t.after(() => own.kill());
  return { hub: own, page: await PageUnderTest.open(browser, own.url, options) };
}

test("two users and a second device are there, and hear what is said in their room", async (t) => {
  const { page } = await open(t);
  await page.ann.write("#lobby", "Good morning");
  for (const device of [page.ann, page.phone, page.bob]) {
    assert.deepEqual(await device.message("Good morning"), { kind: "room", from: "ann", to: "", late: false });
  }
  await page.bob.write("Everybody", "Good morning to all");
  const shown = { kind: "broadcast", from: "bob", to: "everybody", late: false };
  assert.deepEqual(await page.ann.message("Good morning to all"), shown);
  await page.closeClean();
});

test("what is for one user reaches each device of theirs, and nobody else", async (t) => {
  const { page } = await open(t);
  await page.bob.write("ann", "Are you there?");
  for (const device of [page.ann, page.phone]) {
    assert.deepEqual(await device.message("Are you there?"), { kind: "user", from: "bob", to: "you", late: false });
  }
  assert.equal(await page.bob.outcome("Are you there?", "sent"), "");
  assert.equal(await page.bob.count("Are you there?"), 0);
  await page.closeClean();
});

test("a room shows who is in it, and is heard by them until they leave", async (t) => {
  const { page } = await open(t);
  await page.ann.join("garden");
  await page.ann.sees("ann");
  await page.bob.join("garden");
  await page.ann.sees("ann", "bob");
  await page.ann.write("#garden", "In the garden");
  await page.bob.message("In the garden");
  await page.bob.part("leave").click();
  await page.bob.tab("garden").waitFor({ state: "detached" });
  await page.ann.sees("ann");
  await page.ann.write("#garden", "Alone in the garden");
  await page.ann.message("Alone in the garden");
  // Something for everybody behind it proves that the room's message isn't just late.
  await page.ann.write("Everybody", "Out again");
  await page.bob.message("Out again");
  assert.equal(await page.bob.count("Alone in the garden"), 0);
  await page.closeClean();
});

test("a tab shows its own room, and the others say how much is new there", async (t) => {
  const { page } = await open(t);
  await page.bob.join("garden");
  await page.ann.write("#lobby", "In the lobby");
  await page.bob.tab("lobby").filter({ hasText: "1" }).waitFor();
  assert.deepEqual(await page.bob.texts(), []);
  await page.bob.tab("garden").focus();
  await page.bob.tab("garden").press("ArrowLeft");
  assert.deepEqual(await page.bob.texts(), ["In the lobby"]);
  assert.equal(await page.bob.tab("lobby").textContent(), "#lobby");
  await page.closeClean();
});

test("a room that is joined later brings what was said before", async (t) => {
  const { page } = await open(t);
  await page.ann.write("#lobby", "Said before");
  await page.ann.message("Said before");
  const eve = await page.add("eve");
  await eve.message("Said before");
  await page.ann.sees("ann", "bob", "eve");
  await page.closeClean();
});

test("others see that somebody is typing, until it is sent or wiped out", async (t) => {
  const { page } = await open(t);
  await page.ann.part("text").fill("Wai");
  await page.bob.typing("ann is typing");
  await page.phone.typing("your other device is typing");
  assert.equal(await page.ann.part("typing").textContent(), "");
  await page.ann.write("#lobby", "Wait for me");
  await page.bob.message("Wait for me");
  // It would pass by itself, too, but not as soon.
  assert.equal(await page.bob.part("typing").textContent(), "");
  await page.ann.part("text").fill("No");
  await page.bob.typing("ann is typing");
  await page.ann.part("text").fill("");
  await page.ann.write("Everybody", "Never mind");
  await page.bob.message("Never mind");
  assert.equal(await page.bob.part("typing").textContent(), "");
  await page.closeClean();
});

test("who pulls the plug gets all that was missed, once and in order", async (t) => {
  const { page } = await open(t);
  await page.bob.pullThePlug();
  await page.ann.write("#lobby", "one");
  await page.ann.write("Everybody", "two");
  await page.ann.write("bob", "three");
  assert.equal(await page.ann.outcome("three", "waits"), "waits for bob");
  await page.bob.plugIn();
  await page.bob.missed(3);
  assert.deepEqual(await page.bob.texts(), ["one", "two", "three"]);
  for (const text of ["one", "two", "three"]) {
    assert.equal((await page.bob.message(text)).late, true);
    assert.equal(await page.bob.count(text), 1);
  }
  assert.equal(await page.bob.note("back"), "Back, and nothing is lost");
  assert.equal(await page.ann.outcome("three", "sent"), "waited until bob was here");
  await page.ann.write("#lobby", "four");
  assert.equal((await page.bob.message("four")).late, false);
  assert.deepEqual(await page.stepsDone(), ["write", "pull", "catch-up"]);
  await page.closeClean();
});

test("one device is away while the other one of the user hears", async (t) => {
  const { page } = await open(t);
  await page.phone.pullThePlug();
  await page.bob.write("ann", "Which one?");
  await page.ann.message("Which one?");
  assert.equal(await page.bob.outcome("Which one?", "sent"), "");
  await page.phone.plugIn();
  assert.equal((await page.phone.message("Which one?")).late, true);
  await page.closeClean();
});

test("what is written without a connection goes out when it is back", async (t) => {
  const { page } = await open(t);
  await page.bob.pullThePlug();
  await page.bob.write("#lobby", "Written in the tunnel");
  assert.match(await page.bob.outcome("Written in the tunnel", "sending"), /when the connection is back/);
  await page.bob.plugIn();
  for (const device of [page.ann, page.bob]) {
    await device.message("Written in the tunnel");
    assert.deepEqual(await device.texts(), ["Written in the tunnel"]);
  }
  await page.closeClean();
});

test("a message to a user who was never there waits until they come", async (t) => {
  const { page } = await open(t);
  await page.ann.writeToStranger("zoe", "Welcome");
  assert.match(await page.ann.part("hint").textContent(), /^zoe is away/);
  assert.equal(await page.ann.outcome("Welcome", "waits"), "waits for zoe");
  const zoe = await page.add("zoe");
  await zoe.missed(1);
  assert.deepEqual(await zoe.message("Welcome"), { kind: "user", from: "ann", to: "you", late: true });
  await page.closeClean();
});

test("a device that is added belongs to its user, and one that is removed is gone", async (t) => {
  const { page } = await open(t);
  await page.bob.part("menu").click();
  await page.bob.part("add-device").click();
  const phone = page.device("bob", "phone");
  await phone.ready();
  await page.ann.write("bob", "For both");
  await phone.message("For both");
  await phone.part("menu").click();
  await phone.part("remove").click();
  await phone.card.waitFor({ state: "detached" });
  await page.ann.write("bob", "For one");
  await page.bob.message("For one");
  await page.closeClean();
});

test("what is published from a shell reaches everybody, and a user who comes later", async (t) => {
  const { hub: own, page } = await open(t);
  for (const testid of ["curl", "curl-user"]) {
    const shown = await page.part(testid).textContent();
    assert.ok(shown.includes(`curl ${own.url}publish`), shown);
    const answer = await fetch(`${own.url}publish`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: shown.match(/-d '([^']+)'/)[1],
    });
    assert.equal(answer.status, 200);
  }
  for (const device of [page.ann, page.bob]) {
    const shown = { kind: "broadcast", from: "HTTP", to: "everybody", late: false };
    assert.deepEqual(await device.message("hello"), shown);
  }
  const zoe = await page.add("zoe");
  assert.equal((await zoe.message("for you")).from, "HTTP");
  await page.closeClean();
});

test("a node is killed and started anew: all come back into their rooms, and are told of the loss", async (t) => {
  const { hub: first, page } = await open(t);
  await page.ann.write("#lobby", "Before");
  await page.bob.message("Before");
  await first.kill();
  await Promise.all([page.ann.lost(), page.bob.lost()]);
  const second = await HubProcess.start(first.port);
  t.after(() => second.kill());
  await Promise.all([page.ann.back(), page.bob.back()]);
  assert.match(await page.bob.note("lost"), /may be missing/);
  await page.ann.sees("ann", "bob");
  await page.ann.write("#lobby", "After");
  await page.bob.message("After");
  for (const text of ["Before", "After"]) assert.equal(await page.bob.count(text), 1);
  await page.closeClean();
});

test("a node that is told to stop says so, and its devices come back to the next one", async (t) => {
  const { hub: first, page } = await open(t);
  first.stop();
  await Promise.all([page.ann.note("draining"), page.bob.note("draining")]);
  await first.end();
  const second = await HubProcess.start(first.port);
  t.after(() => second.kill());
  await Promise.all([page.ann.back(), page.bob.back()]);
  await page.closeClean();
});

test("a user whom the node refuses is told why, and doesn't try again", async (t) => {
  const { page } = await open(t);
  // 128 characters are the most that the field takes, and these have two bytes each.
  const tooLong = "é".repeat(128);
  const user = await page.add(tooLong);
  assert.match(await user.refused(), /not_authenticated/);
  assert.match(await user.note("error"), /user_id_required/);
  await page.closeClean();
});

test("the wire shows each frame in both directions, can be filtered, and stands still when asked", async (t) => {
  const { page } = await open(t);
  await page.ann.openWire();
  const lines = page.ann.part("wire").locator("li");
  const frame = (direction, text) => lines.and(page.page.locator(`.${direction}`)).filter({ hasText: text }).first();
  await page.ann.write("#lobby", "On the wire");
  await frame("out", `"data":{"text":"On the wire"}`).waitFor();
  await frame("in", `"type":"room"`).filter({ hasText: "On the wire" }).waitFor();
  await frame("out", "GET /ws?user_id=ann").waitFor();
  await page.ann.part("wire-filter").fill(`"ack"`);
  assert.ok((await lines.allTextContents()).every((line) => line.includes(`"ack"`)));
  await page.ann.part("wire-filter").fill("");
  await page.ann.part("wire-pause").click();
  const before = await lines.count();
  await page.ann.write("#lobby", "Not shown yet");
  await page.ann.message("Not shown yet");
  assert.equal(await lines.count(), before);
  await page.ann.part("wire-pause").click();
  await frame("in", "Not shown yet").waitFor();
  await page.closeClean();
});

test("the wire and the conversation keep a bounded number of lines", async (t) => {
  const { hub: own, page } = await open(t);
  await page.ann.openWire();
  const many = Array.from({ length: 500 }, (_, number) => ({ type: "broadcast", data: `number ${number}` }));
  const headers = { "Content-Type": "application/json" };
  await fetch(`${own.url}publish`, { method: "POST", headers, body: JSON.stringify(many) });
  await page.ann.message("number 499");
  assert.equal(await page.ann.part("wire").locator("li").count(), 200);
  await page.ann.part("wire-filter").fill(`"number 0"`);
  assert.equal(await page.ann.part("wire").locator("li").count(), 0);
  await page.ann.part("wire-filter").fill(`"number 499"`);
  assert.equal(await page.ann.part("wire").locator("li").count(), 1);
  assert.equal(await page.ann.part("log").locator("li").count(), 200);
  await page.closeClean();
});

test("the node's figures add up", async (t) => {
  const { page } = await open(t);
  await page.ann.writeToStranger("zoe", "Later");
  await page.ann.write("Everybody", "Now");
  await page.bob.message("Now");
  const ledger = page.part("ledger").filter({ hasText: "1 waiting" });
  await ledger.waitFor();
  const [accepted, ...fates] = (await ledger.textContent()).match(/\d+/g).map(Number);
  assert.equal(fates.reduce((sum, each) => sum + each), accepted);
  assert.ok(accepted >= 4, "one message for zoe, one for each of three connections");
  assert.match(await page.part("health").textContent(), /3 connections$/);
  await page.closeClean();
});

test("the page and its modules are served under the strict policy, with their types", async () => {
  for (const [path, type] of [
    ["", "text/html"],
    ["page/page.css", "text/css"],
    ["page/page.js", "text/javascript"],
    ["wshub.js", "text/javascript"],
    ["wshub/client.js", "text/javascript"],
  ]) {
    const answer = await fetch(hub.url + path);
    assert.equal(answer.status, 200, path);
    assert.ok(answer.headers.get("content-type").startsWith(type), path);
    if (path === "") assert.equal(answer.headers.get("content-security-policy"), POLICY);
  }
});

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
  "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

test("a script on the page can open a socket to its own hub and to no other", async (t) => {
  const { hub: own, page } = await open(t);
  assert.equal(await page.socketTo(own.url), "open");
  assert.equal(await page.socketTo(hub.url), "forbidden by connect-src");
});
