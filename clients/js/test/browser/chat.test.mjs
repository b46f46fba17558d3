/**
 * The example examples/chat in Chromium, served by a plain file server as its README says, against the real binary.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { launch } from "./chromium.js";
import { HubProcess } from "./hub_process.js";
import { PageUnderTest } from "./page_under_test.js";

const PAGE = new URL("../../../../examples/chat/index.html", import.meta.url);

let browser;
let hub;
let files;

before(async () => {
  browser = await launch();
  hub = await HubProcess.start();
  files = createServer(async (_, answer) => {
    answer.writeHead(200, { "Content-Type": "text/html" });
    answer.end(await readFile(PAGE));
  });
  await new Promise((listening) => files.listen(0, "127.0.0.1", listening));
});

after(async () => {
  await browser?.close();
  files?.close();
  await hub?.kill();
});

/** Somebody with a tab of their own, in the lobby. */
async function comes(name) {
  const page = await browser.newPage();
  page.on("dialog", (dialog) => dialog.accept(name));
  await page.goto(`http://localhost:${files.address().port}/?node=${encodeURIComponent(hub.url)}`);
  await page.getByText("(connected)").waitFor();
  const says = async (text) => {
    await page.locator("#text").fill(text);
    await page.locator("#text").press("Enter");
  };
  const hears = (kind, text) => page.locator(`li.${kind}`, { hasText: text }).waitFor();
  return { says, hears, heard: (kind) => page.locator(`li.${kind}`).allTextContents() };
}

test("what one says in the lobby all hear, and a note waits for whom it is for", async () => {
  const ann = await comes("ann");
  const bob = await comes("bob");
  await ann.says("<b>hello</b>");
  for (const someone of [ann, bob]) await someone.hears("said", "ann: <b>hello</b>");

  await ann.says("@zoe are you there?");
  await ann.hears("note", "you, to zoe: are you there?");
  const zoe = await comes("zoe");
  await zoe.hears("note", "ann, to you: are you there?");

  await zoe.says("I am");
  await bob.hears("said", "zoe: I am");
  assert.deepEqual(await bob.heard("note"), []);
});

test("the chat and the first page understand each other", async () => {
  const page = await PageUnderTest.open(browser, hub.url);
  const carl = await comes("carl");
  await page.ann.write("#lobby", "From the page");
  await carl.hears("said", "ann: From the page");
  await carl.says("From the chat");
  await page.bob.message("From the chat");
  await carl.hears("said", "carl: From the chat");
  // That Ann was typing is a message, too, and no words.
  assert.deepEqual(await carl.heard("said"), ["ann: From the page", "carl: From the chat"]);
  await page.closeClean();
});
