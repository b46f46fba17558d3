/**
 * All devices on the page, side by side, and what they know of each other.
 */
import { Card } from "./card.js";
import { find } from "./element.js";

const DEVICES = ["laptop", "phone", "tablet", "watch"];
/** Each is a connection; browsers open a limited number to one host. */
const MOST_CARDS = 24;
const COLOURS = 6;

export class Stage {
  /** @type {Set<Card>} */
  #cards = new Set();
  /** @type {Map<string, string>} */
  #colours = new Map();
  #announcer;
  #steps;
  /** Called when a connection came or went. */
  onStood = () => {};

  /**
   * @param {HTMLElement} element
   * @param {{ announcer: import("./announcer.js").Announcer, steps: import("./steps.js").Steps }} around
   */
  constructor(element, { announcer, steps }) {
    this.element = element;
    this.#announcer = announcer;
    this.#steps = steps;
  }

  get isFull() {
    return this.#cards.size >= MOST_CARDS;
  }

  get isConnected() {
    return [...this.#cards].some((card) => card.isConnected);
  }

  users() {
    return [...new Set([...this.#cards].map(({ user }) => user))];
  }

  /**
   * Adds a device, beside the others of its user.
   *
   * @param {string} user
   */
  add(user) {
    if (this.isFull) return null;
    const theirs = [...this.#cards].filter((card) => card.user === user);
    const taken = new Set(theirs.map(({ device }) => device));
    const device = DEVICES.find((each) => !taken.has(each)) ?? `device ${theirs.length + 1}`;
    this.#colour(user);
    const card = new Card({ user, device }, this.#neighbours());
    this.#cards.add(card);
    const last = theirs.at(-1);
    if (last) last.element.after(card.element);
    else this.element.append(card.element);
    this.#menu(card);
    this.#refresh();
    return card;
  }

  /** @param {Card} card */
  #menu(card) {
    const menu = find(card.element, ".menu", HTMLDetailsElement);
    const opener = find(menu, "summary", HTMLElement);
    opener.setAttribute("aria-label", `More for ${card.user}, ${card.device}`);
    const close = () => {
      menu.open = false;
    };
    menu.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      close();
      opener.focus();
    });
    menu.addEventListener("focusout", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && menu.contains(relatedTarget))) close();
    });
    find(menu, "[data-testid=add-device]", HTMLButtonElement).addEventListener("click", () => {
      close();
      const added = this.add(card.user);
      if (added) find(added.element, "[data-testid=text]", HTMLInputElement).focus();
    });
    find(menu, "[data-testid=remove]", HTMLButtonElement).addEventListener("click", () => this.#remove(card));
  }

  /** @param {Card} card */
  #remove(card) {
    this.#cards.delete(card);
    card.end();
    this.#refresh();
    // The keyboard must not be thrown back to the top of the page.
    find(document, "#new-user", HTMLInputElement).focus();
    this.#announcer.say(`${card.user}, ${card.device}, is removed`);
  }

  /** @returns {import("./card.js").Neighbours} */
  #neighbours() {
    return {
      colourOf: (user) => this.#colours.get(user) ?? "0",
      isHere: (user) => this.#isHere(user),
      users: () => this.users(),
      stood: () => this.#refresh(),
      did: (card, deed) => this.#did(card, deed),
      say: (text, key) => this.#announcer.say(text, key),
    };
  }

  /**
   * As far as this page knows: by its own devices, and by who is in their rooms.
   *
   * @param {string} user
   */
  #isHere(user) {
    const cards = [...this.#cards];
    const own = cards.filter((card) => card.user === user);
    if (own.length > 0) return own.some((card) => card.isConnected);
    return cards.some((card) => card.isConnected && card.rooms.users.has(user));
  }

  /**
   * @param {Card} card
   * @param {"wrote" | "caught_up"} deed
   */
  #did(card, deed) {
    if (deed === "caught_up") return this.#steps.done("catch-up");
    this.#steps.done("write");
    if ([...this.#cards].some((other) => other !== card && other.isUnplugged)) this.#steps.done("pull");
  }

  #refresh() {
    for (const card of this.#cards) card.refresh();
    this.onStood();
  }

  /** @param {string} user */
  #colour(user) {
    if (!this.#colours.has(user)) this.#colours.set(user, String((this.#colours.size % COLOURS) + 1));
  }
}
