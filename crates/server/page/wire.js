/**
 * The log of one device's wire: each frame in both directions as it is, newest last. It keeps a bounded
 * number of lines, and draws them only while it is open.
 */
import { copied } from "./clipboard.js";
import { clockTime, find, make, shortened } from "./element.js";

/**
 * @typedef {import("./cable.js").Direction} Direction
 * @typedef {{ at: Date, direction: Direction, text: string }} Line
 */

const MOST_LINES = 200;
const LONGEST_LINE = 4000;
const LONGEST_SHOWN = 600;
const ARROWS = { out: "→", in: "←", note: "·" };
const SAID = { out: "sent", in: "received", note: "note" };

export class Wire {
  /** @type {Line[]} */
  #lines = [];
  #counts = { out: 0, in: 0, note: 0 };
  /**
   * What was there when somebody pressed Pause, and stays in view until it is pressed again.
   *
   * @type {Line[] | null}
   */
  #frozen = null;
  #behind = 0;

  /** @param {HTMLElement} card */
  constructor(card) {
    this.drawer = find(card, ".wire", HTMLDetailsElement);
    this.list = find(this.drawer, "[data-testid=wire]", HTMLOListElement);
    this.count = find(this.drawer, "[data-testid=wire-count]", HTMLElement);
    this.filter = find(this.drawer, "[data-testid=wire-filter]", HTMLInputElement);
    this.pause = find(this.drawer, "[data-testid=wire-pause]", HTMLButtonElement);
    this.copy = find(this.drawer, "[data-testid=wire-copy]", HTMLButtonElement);
    this.drawer.addEventListener("toggle", () => this.#drawAll());
    this.filter.addEventListener("input", () => this.#drawAll());
    this.pause.addEventListener("click", () => this.#switch());
    this.copy.addEventListener("click", () => void this.#copy());
  }

  /**
   * @param {Direction} direction
   * @param {string} text
   */
  add(direction, text) {
    const line = { at: new Date(), direction, text: shortened(text, LONGEST_LINE) };
    this.#lines.push(line);
    if (this.#lines.length > MOST_LINES) this.#lines.shift();
    this.#counts[direction] += 1;
    this.count.textContent = `${this.#counts.out} sent, ${this.#counts.in} received`;
    if (this.#frozen) this.#fallBehind();
    else if (this.drawer.open && this.#fits(line)) this.#draw(line);
  }

  #switch() {
    this.#frozen = this.#frozen ? null : [...this.#lines];
    this.#behind = 0;
    this.pause.setAttribute("aria-pressed", String(this.#frozen !== null));
    this.pause.textContent = this.#frozen ? "Paused" : "Pause";
    this.#drawAll();
  }

  #fallBehind() {
    this.#behind += 1;
    this.pause.textContent = `Paused, ${this.#behind} more`;
  }

  #drawAll() {
    this.list.replaceChildren();
    if (this.drawer.open) for (const line of this.#wanted()) this.#draw(line);
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {Line} line */
  #draw({ at, direction, text }) {
    const { list } = this;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const entry = make("li", direction);
    const arrow = make("span", "arrow", ARROWS[direction]);
    arrow.setAttribute("role", "img");
    arrow.setAttribute("aria-label", SAID[direction]);
    const code = make("code", "", shortened(text, LONGEST_SHOWN));
    code.dir = "ltr";
    entry.append(clockTime(at), arrow, code);
    list.append(entry);
    while (list.childElementCount > MOST_LINES) list.firstElementChild?.remove();
    // Who has scrolled up is reading there.
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  #wanted() {
    return (this.#frozen ?? this.#lines).filter((line) => this.#fits(line));
  }

  /** @param {Line} line */
  #fits({ direction, text }) {
    const wanted = this.filter.value.trim().toLowerCase();
    return `${ARROWS[direction]} ${SAID[direction]} ${text}`.toLowerCase().includes(wanted);
  }

  async #copy() {
    const lines = this.#wanted().map(({ at, direction, text }) => `${at.toISOString()} ${ARROWS[direction]} ${text}`);
    await copied(this.copy, lines.join("\n"));
  }
}
