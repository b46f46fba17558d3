/**
 * The page as a test speaks of it: devices of users, what is pressed and written there, and what is heard.
 * It waits for conditions, never for time, and keeps every complaint of the browser's console.
 */
import assert from "node:assert/strict";

/** A cut client waits up to a ceiling that doubles from 1 s; a slow machine may see a few of those. */
const BACK_WITHIN_MS = 90_000;

/** The browser reports each failed connect itself, and no page can keep it from doing so. */
const FAILED_CONNECT = /^WebSocket connection to '[^']+' failed: |^Failed to load resource: net::ERR_/;

/** Wide enough for a second device of the first user. */
const DESK = { width: 1280, height: 800 };

export class PageUnderTest {
  /** @type {string[]} */
  #complaints = [];

  /** Opens the page and waits until its first devices are connected. */
  static async open(browser, url, options = {}) {
    const page = new PageUnderTest(await browser.newPage({ viewport: DESK, ...options }));
    await page.page.goto(url);
    for (const device of [page.ann, page.bob]) await device.ready();
    return page;
  }

  constructor(page) {
    this.page = page;
    this.ann = this.device("ann", "laptop");
    this.phone = this.device("ann", "phone");
    this.bob = this.device("bob", "laptop");
    page.on("pageerror", (error) => this.#complaints.push(String(error)));
    page.on("console", (line) => {
      if (line.type() === "error" && !FAILED_CONNECT.test(line.text())) this.#complaints.push(line.text());
    });
  }

  device(user, name = "laptop") {
    const attributes = `[data-user=${JSON.stringify(user)}][data-device=${JSON.stringify(name)}]`;
    return new Device(this.page.locator(`.card${attributes}`), user);
  }

  /** Adds a user, or one more device of one who is there. */
  async add(user, name = "laptop") {
    await this.page.getByTestId("new-user").fill(user);
    await this.page.getByTestId("add-user").click();
    return this.device(user, name);
  }

  part(testid) {
    return this.page.getByTestId(testid);
  }

  /** Which of the three steps are ticked off. */
  stepsDone() {
    const done = this.page.locator("#steps [data-done]");
    return done.evaluateAll((items) => items.map((item) => item.dataset.step));
  }

  /** What becomes of a socket that a script on the page opens to a hub: that it is `open`, or why not. */
  socketTo(hubUrl) {
    const address = `${hubUrl.replace(/^http/, "ws")}ws?user_id=eve`;
    return this.page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const told = (event) => resolve(`forbidden by ${event.effectiveDirective}`);
          document.addEventListener("securitypolicyviolation", told, { once: true });
          const socket = new WebSocket(url);
          socket.onopen = () => resolve("open");
        }),
      address,
    );
  }

  /** By how many pixels the page is wider than the window. */
  sidewaysOverflow() {
    const root = this.page.locator("html");
    return root.evaluate((element) => element.scrollWidth - element.clientWidth);
  }

  /** Closes the page; a violation of the policy or an uncaught error would be among the complaints. */
  async closeClean() {
    await this.page.close();
    assert.deepEqual(this.#complaints, []);
  }
}

class Device {
  constructor(card, user) {
    this.card = card;
    this.user = user;
  }

  part(testid) {
    return this.card.getByTestId(testid);
  }

  /** Connected and in the room. */
  async ready() {
    await this.#reaches("connected");
    await this.card.locator("[role=tab]").first().waitFor();
  }

  /** Writes into `#room`, to `Everybody`, or to a user who is on the list. */
  async write(target, text) {
    await this.part("to").selectOption({ label: target });
    await this.part("text").fill(text);
    await this.part("send").click();
  }

  async writeToStranger(user, text) {
    await this.part("to").selectOption({ label: "Another user…" });
    await this.part("other").fill(user);
    await this.part("text").fill(text);
    await this.part("send").click();
  }

  async pullThePlug() {
    await this.card.getByRole("button", { name: "Pull the plug" }).click();
    await this.#reaches("unplugged");
  }

  async plugIn() {
    await this.card.getByRole("button", { name: "Plug in" }).click();
    await this.#reaches("connected");
  }

  async join(room) {
    await this.part("join").click();
    await this.part("join-name").fill(room);
    await this.part("join-name").press("Enter");
    await this.tab(room).waitFor();
  }

  async show(room) {
    await this.tab(room).click();
  }

  tab(room) {
    return this.card.locator(`[role=tab][data-room=${JSON.stringify(room)}]`);
  }

  /** Waits until just these users are in the room that is shown. */
  async sees(...users) {
    const row = this.part("present").locator("ul");
    const shown = row.filter({ hasText: new RegExp(`^${users.join("")}$`) });
    await shown.waitFor({ timeout: 20_000 });
  }

  /** Waits for a message that came from the hub, and says what it was. */
  async message(text) {
    const entry = this.#heard(text).first();
    await entry.waitFor();
    return {
      kind: await entry.getAttribute("data-kind"),
      from: await entry.locator(".from").textContent(),
      to: (await entry.locator(".to").count()) > 0 ? await entry.locator(".to").textContent() : "",
      late: (await entry.getAttribute("data-late")) === "true",
    };
  }

  /** How often it came from the hub until now. */
  count(text) {
    return this.#heard(text).count();
  }

  /** The texts of all messages that are shown, in their order. */
  texts() {
    return this.part("log").locator(".message:visible .data").allTextContents();
  }

  /** Waits until something that was written here has come to this. */
  async outcome(text, outcome) {
    const entry = this.card.locator(`.message[data-outcome=${outcome}]`).filter({ hasText: text });
    await entry.waitFor();
    return entry.locator(".status").textContent();
  }

  /** Waits for a line about the connection, and reads the newest of that kind. */
  async note(kind) {
    const line = this.card.locator(`.note[data-kind=${kind}] > span`).last();
    await line.waitFor();
    return line.textContent();
  }

  /** Waits for the heading over what was missed. */
  async missed(count) {
    await this.card.locator(".heading").filter({ hasText: `While you were away: ${count}` }).waitFor();
  }

  /** Waits until it says just this about who is typing. */
  async typing(sentence) {
    await this.part("typing").filter({ hasText: new RegExp(`^${sentence}$`) }).waitFor();
  }

  async openWire() {
    await this.card.locator(".wire > summary").click();
  }

  async lost() {
    await this.note("lost");
  }

  async back() {
    await this.#reaches("connected", BACK_WITHIN_MS);
    await this.note("back");
  }

  async refused() {
    await this.#reaches("refused");
    return this.part("state").textContent();
  }

  async #reaches(state, timeout = 15_000) {
    await this.card.and(this.card.page().locator(`[data-state=${state}]`)).waitFor({ timeout });
  }

  #heard(text) {
    const data = this.card.page().locator(".data").getByText(text, { exact: true });
    return this.card.locator(".message:not([data-outcome])").filter({ has: data });
  }
}
