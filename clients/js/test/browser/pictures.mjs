/**
 * Takes the pictures of the first page that stand in docs/pictures, from the real binary:
 *
 *     node clients/js/test/browser/pictures.mjs
 */
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { launch } from "./chromium.js";
import { HubProcess } from "./hub_process.js";
import { PageUnderTest } from "./page_under_test.js";
import { play } from "./scene.js";

const FOLDER = fileURLToPath(new URL("../../../../docs/pictures/", import.meta.url));

const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const browser = await launch();
await mkdir(FOLDER, { recursive: true });
await picture("page-desktop", { viewport: DESK, colorScheme: "light" });
await picture("page-dark", { viewport: DESK, colorScheme: "dark" });
await picture("page-phone", { viewport: PHONE, colorScheme: "light" });
await browser.close();

/**
 * Each has a node of its own, so that the figures on it are the same every time.
 */
async function picture(name, options) {
  const hub = await HubProcess.start();
  try {
    const page = await PageUnderTest.open(browser, hub.url, { ...options, reducedMotion: "reduce" });
    await play(page);
    if (await page.phone.card.count()) await leaveThePhoneAway(page);
    await page.bob.part("text").pressSequentially("And the cups");
    await page.ann.typing("bob is typing");
    await page.page.mouse.move(0, 0);
    await page.page.evaluate(() => scrollTo(0, 0));
    await page.page.screenshot({ path: `${FOLDER}${name}.png` });
    await page.closeClean();
  } finally {
    await hub.kill();
  }
}

async function leaveThePhoneAway({ phone, bob }) {
  await phone.message("I have it all.");
  await phone.pullThePlug();
  await phone.write("#lobby", "On my way.");
  await phone.outcome("On my way.", "sending");
  await bob.openWire();
}
