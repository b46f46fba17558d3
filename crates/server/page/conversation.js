/**
 * What one device has heard, and what it wrote, in the order of the log. What it wrote stands below as
 * on its way until it comes back from the hub, and so gets the place that everybody else sees it at.
 */
import { clockTime, find, make, quote, shortened } from "./element.js";

/**
 * @typedef {object} Entry
 * @property {string} key what makes it unique
 * @property {"broadcast" | "user" | "room"} kind
 * @property {string} room "" where it is for none
 * @property {string} from as it is shown
 * @property {string} to as it is shown; "" where the room's tab says it
 * @property {string} colour of who wrote it
 * @property {string} text
 * @property {Date} at
 * @property {boolean} own
 * @property {boolean} [late] it was said while this device was away
 *
 * @typedef {"joined" | "left" | "back" | "lost" | "away" | "draining" | "error"} NoteKind
 */

const MOST_ENTRIES = 200;
const LONGEST_TEXT = 2000;
const NEAR_END_PX = 60;

export class Conversation {
  #room = "";
  /** @type {Map<string, HTMLElement>} */
  #pending = new Map();
  /** @type {Set<string>} */
  #seen = new Set();
  /** @type {{ element: HTMLElement, count: number } | null} */
  #away = null;

  /** @param {HTMLElement} card */
  constructor(card) {
    this.list = find(card, "[data-testid=log]", HTMLOListElement);
  }

  /**
   * Shows one room's messages; what is for everybody or for this user is shown beside any room.
   *
   * @param {string} room
   */
  show(room) {
    this.#room = room;
    for (const entry of this.list.children) if (entry instanceof HTMLElement) this.#hide(entry);
    this.#group();
    this.#toEnd(true);
  }

  /**
   * @param {Entry} entry
   * @returns {boolean} false where it was heard before
   */
  hear(entry) {
    if (this.#seen.has(entry.key)) return false;
    this.#seen.add(entry.key);
    const [oldest] = this.#seen;
    if (oldest !== undefined && this.#seen.size > 2 * MOST_ENTRIES) this.#seen.delete(oldest);
    this.#pending.get(entry.key)?.remove();
    this.#pending.delete(entry.key);
    if (entry.late) this.#countLate();
    this.#append(drawn(entry));
    return true;
  }

  /**
   * Something that is on its way, and what is to be said of that.
   *
   * @param {Entry} entry
   * @param {string} status
   */
  pend(entry, status) {
    const element = drawn(entry);
    this.#pending.set(entry.key, element);
    this.#say(element, "sending", status);
    this.#append(element);
  }

  /**
   * What became of it: it stays as it is where nothing of it comes back.
   *
   * @param {string} key
   * @param {"sent" | "waits" | "failed"} outcome
   * @param {string} status
   */
  settle(key, outcome, status) {
    const element = this.#pending.get(key);
    if (!element) return;
    this.#pending.delete(key);
    this.#say(element, outcome, status);
  }

  /** @param {(user: string) => boolean} isHere whose messages wait no longer */
  release(isHere) {
    for (const element of this.list.querySelectorAll("[data-outcome=waits]")) {
      const user = element.querySelector(".to")?.textContent ?? "";
      if (element instanceof HTMLElement && isHere(user)) this.#say(element, "sent", `waited until ${user} was here`);
    }
  }

  /**
   * Of all that is on its way.
   *
   * @param {string} status
   */
  holdUp(status) {
    for (const element of this.#pending.values()) this.#say(element, "sending", status);
  }

  /** The device is back: what is late from now on is counted under one heading. */
  comeBack() {
    this.#away = null;
  }

  /**
   * A line about the connection itself.
   *
   * @param {NoteKind} kind
   * @param {string} text
   * @param {string} [room]
   */
  note(kind, text, room = "") {
    const element = make("li", "note");
    element.dataset.kind = kind;
    element.dataset.room = room;
    element.append(quote("span", "", text), clockTime(new Date()));
    this.#append(element);
  }

  #countLate() {
    if (!this.#away) {
      this.#away = { element: make("li", "heading"), count: 0 };
      this.#away.element.dataset.kind = "late";
      this.#append(this.#away.element);
    }
    this.#away.count += 1;
    this.#away.element.textContent = `While you were away: ${this.#away.count}`;
  }

  /** @param {HTMLElement} element */
  #append(element) {
    const { list } = this;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX;
    this.#hide(element);
    list.append(element);
    // What is on its way has no place in the order yet, so it stays last.
    for (const pending of this.#pending.values()) if (pending !== element) list.append(pending);
    while (list.childElementCount > MOST_ENTRIES) list.firstElementChild?.remove();
    this.#group();
    this.#toEnd(isAtEnd || element.dataset.own === "true");
  }

  /**
   * Who has scrolled up is reading there.
   *
   * @param {boolean} wanted
   */
  #toEnd(wanted) {
    if (wanted) this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {HTMLElement} element */
  #hide(element) {
    const { room } = element.dataset;
    element.hidden = Boolean(room) && room !== this.#room;
  }

  /** The same person's next message to the same people needs no second heading. */
  #group() {
    let before = "";
    for (const element of this.list.children) {
      if (!(element instanceof HTMLElement) || element.hidden) continue;
      const { speech = "" } = element.dataset;
      element.classList.toggle("again", speech !== "" && speech === before);
      before = speech;
    }
  }

  /**
   * @param {HTMLElement} element
   * @param {"sending" | "sent" | "waits" | "failed"} outcome
   * @param {string} status
   */
  #say(element, outcome, status) {
    element.dataset.outcome = outcome;
    const line = element.querySelector(".status") ?? element.appendChild(make("p", "status"));
    line.textContent = status;
  }
}

/** @param {Entry} entry */
function drawn({ kind, room, from, to, colour, text, at, own, late = false }) {
  const element = make("li", "message");
  Object.assign(element.dataset, { kind, room, colour, own, late });
  element.dataset.speech = JSON.stringify([from, to, kind, late]);
  const head = make("p", "route");
  head.append(quote("b", "from", from));
  if (to) head.append(make("span", "arrow", "to"), quote("span", "to", to));
  head.append(clockTime(at));
  element.append(head, quote("p", "data", shortened(text, LONGEST_TEXT)));
  return element;
}
