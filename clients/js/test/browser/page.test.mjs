/**
 * The first page in Chromium against the real binary: what a newcomer does in the first minute, and
 * a node that dies under it.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { HubProcess } from "./hub_process.js";
import { PageUnderTest } from "./page_under_test.js";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
  "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

let browser;
let hub;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  hub = await HubProcess.start();
});

after(async () => {
  await browser?.close();
  await hub?.kill();
});

test("two users connect and hear what is said to everybody", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  await page.connectBoth();
  await page.ann.write("everybody", "Good morning");
  for (const side of [page.ann, page.bob]) {
    assert.deepEqual(await side.message("Good morning"), { kind: "broadcast", from: "ann", to: "everybody" });
  }
  await page.closeClean();
});

test("they write to each other, and only the other one hears it", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  await page.connectBoth();
  await page.ann.write("user", "Are you there?");
  assert.deepEqual(await page.bob.message("Are you there?"), { kind: "user", from: "ann", to: "you" });
  await page.bob.write("user", "I am.");
  assert.deepEqual(await page.ann.message("I am."), { kind: "user", from: "bob", to: "you" });
  assert.equal(await page.bob.count("user", "I am."), 0);
  await page.closeClean();
});

test("a room is heard by who is in it, until they leave", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  await page.connectBoth();
  await page.ann.join("garden");
  await page.bob.join("garden");
  await page.ann.write("room", "In the garden");
  assert.deepEqual(await page.bob.message("In the garden"), { kind: "room", from: "ann", to: "room garden" });
  await page.bob.leave();
  await page.ann.write("room", "Alone in the garden");
  await page.ann.message("Alone in the garden");
  // A broadcast after it proves that the room's message isn't just late.
  await page.ann.write("everybody", "Out again");
  await page.bob.message("Out again");
  assert.equal(await page.bob.count("room", "Alone in the garden"), 0);
  await page.closeClean();
});

test("names are editable, and what anybody writes stays text", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  await page.ann.rename(`<b>eve & co</b>`);
  await page.connectBoth();
  await page.ann.write("everybody", hostile);
  assert.equal((await page.bob.message(hostile)).from, "<b>eve & co</b>");
  assert.equal(await page.elementsInLogs("img, script, b"), 0);
  assert.equal(await page.title(), "wshub: two users, one hub");
  await page.closeClean();
});

test("what is published over HTTP reaches both", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  await page.connectBoth();
  const shown = await page.curl();
  assert.ok(shown.includes(`${hub.url}publish`), shown);
  const answer = await fetch(`${hub.url}publish`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: shown.match(/-d '([^']+)'/)[1],
  });
  assert.equal(answer.status, 200);
  for (const side of [page.ann, page.bob]) {
    assert.deepEqual(await side.message("hello"), { kind: "broadcast", from: "HTTP", to: "everybody" });
  }
  await page.closeClean();
});

test("one user disconnects and connects again while the other stays", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  await page.connectBoth();
  await page.bob.disconnect();
  await page.ann.write("everybody", "Without bob");
  await page.ann.message("Without bob");
  await page.bob.connect();
  await page.ann.write("everybody", "With bob");
  await page.bob.message("With bob");
  await page.closeClean();
});

test("a node is killed and started again: both come back by themselves, into their room", async (t) => {
  const first = await HubProcess.start();
  t.after(() => first.kill());
  const page = await PageUnderTest.open(browser, first.url);
  await page.connectBoth();
  await page.ann.join("garden");
  await page.bob.join("garden");
  await first.kill();
  await Promise.all([page.ann.lost(), page.bob.lost()]);
  const second = await HubProcess.start(first.port);
  t.after(() => second.kill());
  await Promise.all([page.ann.back(), page.bob.back()]);
  await page.ann.write("user", "Back?");
  await page.bob.message("Back?");
  await page.bob.write("room", "Back in the garden");
  for (const side of [page.ann, page.bob]) {
    await side.message("Back in the garden");
    assert.equal(await side.count("room", "Back in the garden"), 1);
  }
  await page.closeClean();
});

test("a page without an identity is told why, and doesn't try again", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  await page.ann.rename("");
  await page.ann.press("connect");
  await page.ann.refused("not_authenticated");
  assert.match(await page.ann.note("error"), /user_id_required/);
  await page.closeClean();
});

test("the page and its modules are served under the strict policy, with their types", async () => {
  for (const [path, type] of [
    ["", "text/html"],
    ["page.css", "text/css"],
    ["page.js", "text/javascript"],
    ["wshub.js", "text/javascript"],
    ["wshub/client.js", "text/javascript"],
  ]) {
    const answer = await fetch(hub.url + path);
    assert.equal(answer.status, 200, path);
    assert.ok(answer.headers.get("content-type").startsWith(type), path);
    if (path === "") assert.equal(answer.headers.get("content-security-policy"), POLICY);
  }
});

test("a script on the page can open a socket to its own hub and to no other", async (t) => {
  const other = await HubProcess.start();
  t.after(() => other.kill());
  const page = await PageUnderTest.open(browser, hub.url);
  assert.equal(await page.socketTo(hub.url), "open");
  assert.equal(await page.socketTo(other.url), "forbidden by connect-src");
});

test("a phone shows the whole width without scrolling sideways, in light and dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await PageUnderTest.open(browser, hub.url, { viewport: { width: 360, height: 780 }, colorScheme });
    await page.connectBoth();
    await page.ann.write("everybody", "x".repeat(300));
    await page.bob.message("x".repeat(300));
    assert.equal(await page.sidewaysOverflow(), 0);
    await page.closeClean();
  }
});
