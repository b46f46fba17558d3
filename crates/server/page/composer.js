/**
 * Where one device writes: a text, and whom it is for.
 */
import { find, make } from "./element.js";
import { Typist } from "./typing.js";

/**
 * @typedef {{ kind: "everybody" } | { kind: "room", room: string } | { kind: "user", user: string }} Target
 *
 * @typedef {object} Owner who writes
 * @property {(target: Target, text: string) => void} send
 * @property {(target: Target, data: object) => void} pass sends what nobody keeps
 * @property {(user: string) => boolean} isHere
 */

/** The choice of a user who isn't on the list. */
const OTHER = JSON.stringify("other");

export class Composer {
  #owner;
  #typist;

  /**
   * @param {HTMLElement} card
   * @param {Owner} owner
   */
  constructor(card, owner) {
    this.#owner = owner;
    this.form = find(card, "[data-testid=compose]", HTMLFormElement);
    this.to = find(this.form, "[data-testid=to]", HTMLSelectElement);
    this.other = find(this.form, "[data-testid=other]", HTMLInputElement);
    this.text = find(this.form, "[data-testid=text]", HTMLInputElement);
    this.hint = find(this.form, "[data-testid=hint]", HTMLElement);
    this.#typist = new Typist((data) => {
      const target = this.#target();
      if (target) this.#owner.pass(target, data);
    });
    this.to.addEventListener("change", () => this.#choose());
    this.other.addEventListener("input", () => this.drawHint());
    this.text.addEventListener("input", () => this.#typist.typed(this.text.value !== ""));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /**
   * Whom one can write to; the choice stays as it is while it is among them.
   *
   * @param {readonly string[]} rooms
   * @param {readonly string[]} users
   */
  offer(rooms, users) {
    const chosen = this.to.value;
    const options = [
      ...rooms.map((room) => option({ kind: "room", room }, `#${room}`)),
      option({ kind: "everybody" }, "Everybody"),
      ...users.map((user) => option({ kind: "user", user }, user)),
      new Option("Another user…", OTHER),
    ];
    this.to.replaceChildren(...options);
    if (options.some(({ value }) => value === chosen)) this.to.value = chosen;
    this.#choose();
  }

  /** @param {string} room */
  turnTo(room) {
    const { value } = option({ kind: "room", room }, "");
    if ([...this.to.options].some((each) => each.value === value)) this.to.value = value;
    this.#choose();
  }

  /** Says beforehand that somebody isn't there. */
  drawHint() {
    const target = this.#target();
    const isAway = target?.kind === "user" && !this.#owner.isHere(target.user);
    this.hint.hidden = !isAway;
    this.hint.textContent = isAway ? `${target.user} is away: what you write waits, for half an hour.` : "";
  }

  #choose() {
    this.other.hidden = this.to.value !== OTHER;
    this.drawHint();
  }

  /** @returns {Target | null} null while the other user has no name */
  #target() {
    if (this.to.value !== OTHER) return JSON.parse(this.to.value);
    const user = this.other.value.trim();
    return user === "" ? null : { kind: "user", user };
  }

  #send() {
    const target = this.#target();
    const text = this.text.value;
    if (!target) return this.other.focus();
    if (text === "") return this.text.focus();
    this.text.value = "";
    this.#typist.sent();
    this.#owner.send(target, text);
  }
}

/**
 * @param {Target} target
 * @param {string} text
 */
function option(target, text) {
  const element = make("option", "", text);
  element.value = JSON.stringify(target);
  return element;
}
