/**
 * The page as a test speaks of it: two sides, what is pressed and written there, and what is heard.
 * It waits for conditions, never for time, and keeps every complaint of the browser's console.
 */
import assert from "node:assert/strict";

/** A cut client waits up to a ceiling that doubles from 1 s; a slow machine may see a few of those. */
const BACK_WITHIN_MS = 90_000;

/** The browser reports each failed connect itself, and no page can keep it from doing so. */
const FAILED_CONNECT = /^WebSocket connection to '[^']+' failed: /;

export class PageUnderTest {
  #page;
  /** @type {string[]} */
  #complaints = [];

  static async open(browser, url, options = {}) {
    return new PageUnderTest(await browser.newPage(options)).#goto(url);
  }

  constructor(page) {
    this.#page = page;
    this.ann = new Side(page.getByTestId("a"));
    this.bob = new Side(page.getByTestId("b"));
    page.on("pageerror", (error) => this.#complaints.push(String(error)));
    page.on("console", (line) => {
      if (line.type() === "error" && !FAILED_CONNECT.test(line.text())) this.#complaints.push(line.text());
    });
  }

  async #goto(url) {
    await this.#page.goto(url);
    return this;
  }

  async connectBoth() {
    await this.ann.connect();
    await this.bob.connect();
  }

  title() {
    return this.#page.title();
  }

  curl() {
    return this.#page.getByTestId("curl").textContent();
  }

  elementsInLogs(selector) {
    return this.#page.getByTestId("log").locator(selector).count();
  }

  /** What becomes of a socket that a script on the page opens to a hub: that it is `open`, or why not. */
  socketTo(hubUrl) {
    const address = `${hubUrl.replace(/^http/, "ws")}ws?user_id=eve`;
    return this.#page.evaluate(
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
    const root = this.#page.locator("html");
    return root.evaluate((element) => element.scrollWidth - element.clientWidth);
  }

  /** Closes the page; a violation of the policy or an uncaught error would be among the complaints. */
  async closeClean() {
    await this.#page.close();
    assert.deepEqual(this.#complaints, []);
  }
}

class Side {
  #panel;

  constructor(panel) {
    this.#panel = panel;
  }

  async connect() {
    await this.press("connect");
    await this.#reaches("connected");
  }

  async disconnect() {
    await this.press("disconnect");
    await this.#reaches("closed");
  }

  async rename(name) {
    await this.#panel.getByTestId("name").fill(name);
  }

  async press(control) {
    await this.#panel.getByTestId(control).click();
  }

  /** Writes to `everybody`, to the other `user` or into the `room`. */
  async write(target, text) {
    await this.#panel.getByTestId(`to-${target}`).check();
    await this.#panel.getByTestId("text").fill(text);
    await this.press("send");
  }

  async join(room) {
    await this.#panel.getByTestId("room").fill(room);
    await this.press("join");
    await this.note("joined");
  }

  async leave() {
    await this.press("leave");
    await this.note("left");
  }

  /** Waits for a message that was received, and says what it was. */
  async message(text) {
    const entry = this.#received(text).first();
    await entry.waitFor();
    return {
      kind: await entry.getAttribute("data-kind"),
      from: await entry.locator(".from").textContent(),
      to: await entry.locator(".to").textContent(),
    };
  }

  /** How often a message of this kind was received until now. */
  count(kind, text) {
    return this.#received(text, `[data-kind=${kind}]`).count();
  }

  /** Waits for a line about the connection, and reads the newest of that kind. */
  async note(kind) {
    const line = this.#panel.locator(`.note[data-kind=${kind}] > span`).last();
    await line.waitFor();
    return line.textContent();
  }

  /** Waits until the page shows that the connection is lost and counts down to the next attempt. */
  async lost() {
    await this.note("lost");
  }

  async back() {
    await this.#reaches("connected", BACK_WITHIN_MS);
    assert.equal(await this.note("connected"), "Back again");
    // The room is joined a second time, by the client itself.
    await this.#panel.locator(".note[data-kind=joined]").nth(1).waitFor();
  }

  async refused(reason) {
    await this.#reaches("refused");
    assert.match(await this.#panel.getByTestId("state").textContent(), new RegExp(reason));
  }

  #received(text, kind = ":not([data-kind=sent])") {
    const data = this.#panel.page().locator(".data").getByText(text, { exact: true });
    return this.#panel.locator(`.message${kind}`).filter({ has: data });
  }

  async #reaches(state, timeout = 15_000) {
    await this.#panel.and(this.#panel.page().locator(`[data-state=${state}]`)).waitFor({ timeout });
  }
}
