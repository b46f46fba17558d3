/**
 * The client in Chromium against the real binary: resuming, publishing while there is no node, and the
 * program of the README as it is written there.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { HubProcess } from "./hub_process.js";

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

/** A page of the hub's own origin with a client in it, and what that was told, as `hub` and `told`. */
async function pageWithClient(url, options) {
  const page = await browser.newPage();
  // The first page itself has users of these names.
  await page.goto(`${url}wshub.js`);
  await page.evaluate(async (given) => {
    const { connect } = await import("/wshub.js");
    globalThis.told = [];
    globalThis.hub = connect("/ws", { ...given, random: () => 0.1 });
    for (const name of ["room", "user", "resumed", "lost"]) {
      globalThis.hub.on(name, (value) => globalThis.told.push([name, value.data ?? value]));
    }
    await globalThis.hub.join("garden");
  }, options);
  return page;
}

/** What the client was told, once it was told this last. */
async function toldUntil(page, last) {
  await page.waitForFunction((data) => globalThis.told.some(([, value]) => value === data), last);
  return page.evaluate(() => globalThis.told);
}

async function publish(url, ...messages) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${url}publish`, { method: "POST", headers, body: JSON.stringify(messages) });
  assert.equal(answer.status, 200);
}

test("a page that was away is given what it missed, once and in order", async (t) => {
  const node = await HubProcess.start();
  t.after(() => node.kill());
  const page = await pageWithClient(node.url, { userId: "ann" });
  const inGarden = (data) => ({ type: "room", room_id: "garden", data });
  await publish(node.url, inGarden("before"));
  await toldUntil(page, "before");
  await page.evaluate(() => globalThis.hub.close());
  await publish(node.url, inGarden(1), { type: "user", target_ids: ["ann"], data: 2 }, inGarden(3));
  await page.evaluate(() => globalThis.hub.connect());
  assert.deepEqual(await toldUntil(page, 3), [
    ["room", "before"],
    ["resumed", { resumed: true, pending: 1, missed: 0 }],
    ["room", 1],
    ["user", 2],
    ["room", 3],
  ]);
  await page.close();
});

test("what a page writes while there is no node is published by the next one, and the loss is told", async (t) => {
  const node = await HubProcess.start();
  t.after(() => node.kill());
  const page = await pageWithClient(node.url, { userId: "ann" });
  await node.kill();
  await page.waitForFunction(() => globalThis.hub.state.name === "waiting");
  await page.evaluate(() => void (globalThis.sent = globalThis.hub.room("garden", "into the void", { id: "m1" })));
  const next = await HubProcess.start(node.port);
  t.after(() => next.kill());
  const { id, duplicate } = await page.evaluate(() => globalThis.sent);
  assert.deepEqual({ id, duplicate }, { id: "m1", duplicate: false });
  assert.deepEqual(await toldUntil(page, "into the void"), [
    ["resumed", { resumed: false, pending: 0, missed: 0 }],
    ["lost", { reason: "not_resumed" }],
    ["room", "into the void"],
  ]);
  await page.close();
});

/** The first page of the README, with the address of a node in place of the usual one. */
function chatPage(url) {
  const readme = readFileSync(new URL("../../../../README.md", import.meta.url), "utf8");
  const [, html] = readme.match(/```html\n([\s\S]*?)```/);
  assert.ok(html.includes("http://127.0.0.1:8080/"));
  return html.replaceAll("http://127.0.0.1:8080/", url);
}

/** The chat as this user, in a tab of its own. */
async function chatAs(name, address) {
  const page = await browser.newPage();
  page.on("dialog", (dialog) => dialog.accept(name));
  await page.goto(address);
  await page.getByText("(connected)").waitFor();
  return {
    async write(text) {
      await page.locator("#text").fill(text);
      await page.getByRole("button").click();
      assert.equal(await page.locator("#text").inputValue(), "");
    },
    reads: (line) => page.getByText(line, { exact: true }).waitFor(),
    close: () => page.close(),
  };
}

test("the chat of the README works as it is written there", async (t) => {
  const node = await HubProcess.start();
  const files = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end(chatPage(node.url)));
  files.listen(0, "127.0.0.1");
  await once(files, "listening");
  t.after(async () => {
    files.close();
    files.closeAllConnections();
    await node.kill();
  });
  const address = `http://127.0.0.1:${files.address().port}/chat.html`;
  const [ann, bob] = [await chatAs("ann", address), await chatAs("bob", address)];
  await ann.write("good morning");
  for (const one of [ann, bob]) await one.reads("ann: good morning");
  await ann.write("@zoe are you there?");
  const zoe = await chatAs("zoe", address);
  await zoe.reads("ann, to you: are you there?");
  for (const one of [ann, bob, zoe]) await one.close();
});
