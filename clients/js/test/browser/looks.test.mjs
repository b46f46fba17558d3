/**
 * How the first page holds up: what others write stays text, it fits a phone, can be read in light and
 * dark, used from the keyboard, and keeps still for those who ask for that.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { lowContrast, unnamedControls } from "./eyes.js";
import { HubProcess } from "./hub_process.js";
import { PageUnderTest } from "./page_under_test.js";
import { play } from "./scene.js";

const PHONE = { width: 360, height: 780 };
const NARROWEST = { width: 320, height: 568 };

let browser;
/** The node of the running test. */
let hub;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

async function open(t, options) {
  const own = await HubProcess.start();
  t.after(() => own.kill());
  hub = own;
  return PageUnderTest.open(browser, own.url, options);
}

test("whatever stands in data, names and rooms stays text", async (t) => {
  const page = await open(t);
  const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  const eve = await page.add(`<b>eve & co</b>`);
  await eve.ready();
  await eve.join("<i>room</i>");
  await eve.write("#<i>room</i>", "In italics");
  await eve.message("In italics");
  await eve.write("Everybody", hostile);
  assert.equal((await page.bob.message(hostile)).from, "<b>eve & co</b>");
  await publish({ type: "broadcast", data: { __proto__: null, constructor: { html: hostile }, typing: "<u>x</u>" } });
  await page.bob.card.locator(".data").filter({ hasText: "constructor" }).waitFor();
  await page.bob.openWire();
  await page.bob.part("wire").locator("li").filter({ hasText: "<img src=x" }).first().waitFor();
  assert.equal(await page.page.locator(".card :is(img, script, i, u), .card b b").count(), 0);
  assert.equal(await page.page.title(), "wshub: a hub to try");
  await page.closeClean();
});

test("odd values in data are shown as they are", async (t) => {
  const page = await open(t);
  for (const data of [null, false, 0, "", [], "\u202Ebackwards\u0000", { typing: true, cursor: 1 }]) {
    await publish({ type: "broadcast", data });
  }
  await publish({ type: "broadcast", data: "the last" });
  await page.bob.message("the last");
  const shown = ["null", "false", "0", "", "[]", "\u202Ebackwards\u0000", `{"typing":true,"cursor":1}`, "the last"];
  assert.deepEqual(await page.bob.texts(), shown);
  await page.closeClean();
});

test("a phone shows the whole width without scrolling sideways", async (t) => {
  const page = await open(t, { viewport: PHONE });
  const long = "x".repeat(300);
  await page.ann.join("r".repeat(128));
  await page.ann.join("garden");
  await page.add("u".repeat(128));
  await page.ann.write("Everybody", long);
  await page.bob.message(long);
  await page.ann.openWire();
  await page.bob.part("menu").click();
  await page.bob.part("add-device").waitFor();
  assert.equal(await page.sidewaysOverflow(), 0);
  await page.closeClean();
});

test("the narrowest phone shows whose card it is and how its connection is", async (t) => {
  const page = await open(t, { viewport: NARROWEST });
  for (const part of [page.ann.card.locator("[data-part=user]"), page.ann.part("state")]) {
    assert.equal(await part.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth), 0);
  }
  assert.equal(await page.sidewaysOverflow(), 0);
  await page.closeClean();
});

test("all text can be read, in light and dark", async (t) => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(t, { colorScheme, reducedMotion: "reduce" });
    await play(page);
    await page.ann.openWire();
    await page.phone.pullThePlug();
    await page.phone.writeToStranger("zoe", "Are you there?");
    await page.phone.outcome("Are you there?", "sending");
    await page.part("ledger").locator(".term").first().waitFor();
    assert.deepEqual(await page.page.evaluate(lowContrast, 4.5), [], colorScheme);
    await page.closeClean();
  }
});

test("the switch for dark colours holds when the page is loaded again", async (t) => {
  const page = await open(t, { colorScheme: "light" });
  const colour = () => page.page.locator("html").evaluate((root) => getComputedStyle(root).backgroundColor);
  const light = await colour();
  await page.page.getByRole("button", { name: "Use dark colours" }).click();
  const dark = await colour();
  assert.notEqual(dark, light);
  await page.page.reload();
  assert.equal(await colour(), dark);
  await page.page.getByRole("button", { name: "Use light colours" }).click();
  assert.equal(await colour(), light);
  await page.closeClean();
});

test("every control has a name, and what happens is said aloud once", async (t) => {
  const page = await open(t);
  assert.deepEqual(await page.page.evaluate(unnamedControls), []);
  await page.ann.write("#lobby", "Is that heard?");
  await page.page.getByRole("status").filter({ hasText: "ann: Is that heard?" }).waitFor({ state: "attached" });
  await page.bob.pullThePlug();
  await page.page.getByRole("status").filter({ hasText: "bob, laptop, is away" }).waitFor({ state: "attached" });
  await page.closeClean();
});

test("the keyboard alone is enough to add a user, write, and pull a plug", async (t) => {
  const page = await open(t);
  await page.part("new-user").focus();
  await page.page.keyboard.press("Control+A");
  await page.page.keyboard.type("kim");
  await page.page.keyboard.press("Enter");
  const kim = page.device("kim");
  await kim.ready();
  // The new device's field has the focus.
  await page.page.keyboard.type("Hello from kim");
  await page.page.keyboard.press("Enter");
  await page.bob.message("Hello from kim");
  await kim.part("plug").focus();
  await page.page.keyboard.press("Enter");
  await kim.part("plug").filter({ hasText: "Plug in" }).waitFor();
  await page.closeClean();
});

test("nothing moves for those who asked for that", async (t) => {
  const page = await open(t, { reducedMotion: "reduce" });
  await page.ann.part("text").fill("…");
  await page.bob.typing("ann is typing");
  const moving = () => page.page.evaluate(() => document.getAnimations().length);
  assert.equal(await moving(), 0);
  await page.page.emulateMedia({ reducedMotion: "no-preference" });
  await page.ann.part("text").fill("… …");
  await page.bob.typing("ann is typing");
  assert.ok((await moving()) > 0);
  await page.closeClean();
});

async function publish(message) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${hub.url}publish`, { method: "POST", headers, body: JSON.stringify(message) });
  assert.equal(answer.status, 200);
}
