/**
 * The rooms of one device as tabs, and who is in the one that is shown.
 */
import { find, make, quote } from "./element.js";

/**
 * @typedef {import("/wshub.js").Events["joined"][0]} Membership
 * @typedef {import("/wshub.js").Events["presence"][0]} Presence
 * @typedef {{ users: Set<string>, members: number, unread: number }} Room
 *
 * @typedef {object} Owner who has these rooms
 * @property {(room: string) => void} show
 * @property {(room: string) => void} join
 * @property {(room: string) => void} leave
 * @property {(user: string) => string} colourOf
 */

const MOST_SHOWN = 6;

export class Rooms {
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  #shown = "";
  /** The room that somebody has just asked for here, and wants to see. */
  #awaited = "";
  #owner;

  /**
   * @param {HTMLElement} card
   * @param {Owner} owner
   */
  constructor(card, owner) {
    this.#owner = owner;
    this.tabs = find(card, "[role=tablist]", HTMLElement);
    this.panel = find(card, "[role=tabpanel]", HTMLElement);
    this.present = find(card, "[data-testid=present]", HTMLElement);
    this.list = find(this.present, "ul", HTMLUListElement);
    this.count = find(this.present, "[data-part=count]", HTMLElement);
    this.leave = find(card, "[data-testid=leave]", HTMLButtonElement);
    this.opener = find(card, "[data-testid=join]", HTMLButtonElement);
    this.form = find(card, "[data-testid=join-form]", HTMLFormElement);
    this.name = find(this.form, "input", HTMLInputElement);
    this.tabs.addEventListener("keydown", (event) => this.#walk(event));
    this.leave.addEventListener("click", () => this.#leave());
    this.opener.addEventListener("click", () => this.#open(Boolean(this.form.hidden)));
    this.form.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#open(false);
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#awaited = this.name.value;
      this.#open(false);
      this.#owner.join(this.#awaited);
    });
    this.#draw();
  }

  get names() {
    return [...this.#rooms.keys()];
  }

  get shown() {
    return this.#shown;
  }

  /** Everybody who is known to be in one of them. */
  get users() {
    return new Set([...this.#rooms.values()].flatMap(({ users }) => [...users]));
  }

  /**
   * @param {Membership} message
   * @returns {boolean} whether it is new here
   */
  joined({ room_id, users = [], members = users.length }) {
    const before = this.#rooms.get(room_id);
    const { unread = 0 } = before ?? {};
    this.#rooms.set(room_id, { users: new Set(users), members, unread });
    if (this.#shown === "" || this.#awaited === room_id) this.show(room_id);
    if (this.#awaited === room_id) this.#awaited = "";
    this.#draw();
    return !before;
  }

  /** @param {string} room */
  left(room) {
    this.#rooms.delete(room);
    if (room === this.#shown) this.show(this.names[0] ?? "");
    this.#draw();
  }

  /** @param {Presence} message */
  presence({ room_id, event, user_id = "", members }) {
    const room = this.#rooms.get(room_id);
    if (!room) return;
    if (event === "count") room.members = members ?? room.members;
    else if (event === "join" && !room.users.has(user_id)) {
      room.users.add(user_id);
      room.members += 1;
    } else if (event === "leave") {
      room.users.delete(user_id);
      room.members = Math.max(room.members - 1, room.users.size);
    }
    this.#draw();
  }

  /**
   * Something was said in a room.
   *
   * @param {string} id
   */
  heard(id) {
    const room = this.#rooms.get(id);
    if (!room || id === this.#shown) return;
    room.unread += 1;
    this.#draw();
  }

  /** @param {string} room */
  show(room) {
    this.#shown = room;
    const shown = this.#rooms.get(room);
    if (shown) shown.unread = 0;
    this.#draw();
    this.#owner.show(room);
  }

  #leave() {
    const room = this.#shown;
    this.#owner.leave(room);
    this.opener.focus();
  }

  /** @param {boolean} isOpen */
  #open(isOpen) {
    this.form.hidden = !isOpen;
    this.opener.setAttribute("aria-expanded", String(isOpen));
    this.name.value = "";
    (isOpen ? this.name : this.opener).focus();
  }

  /**
   * The arrow keys go from tab to tab.
   *
   * @param {KeyboardEvent} event
   */
  #walk({ key }) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const { names } = this;
    const next = names[(names.indexOf(this.#shown) + step + names.length) % names.length];
    if (next === undefined) return;
    this.show(next);
    const tab = this.tabs.querySelector("[aria-selected=true]");
    if (tab instanceof HTMLElement) tab.focus();
  }

  #draw() {
    const hadFocus = this.tabs.contains(document.activeElement);
    this.tabs.replaceChildren(...this.names.map((name) => this.#tab(name)));
    const selected = this.tabs.querySelector("[aria-selected=true]");
    if (hadFocus && selected instanceof HTMLElement) selected.focus();
    this.panel.setAttribute("aria-label", this.#shown ? `Room ${this.#shown}` : "No room");
    const room = this.#rooms.get(this.#shown);
    this.leave.hidden = !room;
    this.count.textContent = room ? `${room.members.toLocaleString("en")} here` : "In no room: join one with +";
    const users = [...(room?.users ?? [])].sort();
    const chips = users.slice(0, MOST_SHOWN).map((user) => this.#chip(user));
    const rest = users.length - chips.length;
    if (rest > 0) chips.push(make("li", "rest", `and ${rest} more`));
    this.list.replaceChildren(...chips);
  }

  /** @param {string} name */
  #tab(name) {
    const isShown = name === this.#shown;
    const unread = this.#rooms.get(name)?.unread ?? 0;
    const tab = make("button");
    tab.type = "button";
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    tab.dataset.room = name;
    tab.append(make("span", "hash", "#"), quote("span", "name", name));
    if (unread > 0) {
      const badge = make("span", "unread", String(unread));
      badge.setAttribute("aria-label", `${unread} new`);
      tab.append(badge);
    }
    tab.addEventListener("click", () => this.show(name));
    return tab;
  }

  /** @param {string} user */
  #chip(user) {
    const chip = make("li");
    chip.dataset.colour = this.#owner.colourOf(user);
    chip.append(make("span", "spot"), quote("span", "name", user));
    return chip;
  }
}
