/**
 * How it stands with one device's connection, in a word, and the button that does something about it.
 */
import { find, icon } from "./element.js";

/**
 * @typedef {import("/wshub.js").Client["state"]} State
 * @typedef {"idle" | "connected" | "draining" | "connecting" | "waiting" | "unplugged" | "refused"} Standing
 */

const TICK_MS = 250;

const PRESSED = {
  pull: { text: "Pull the plug", icon: "plug" },
  plugIn: { text: "Plug in", icon: "plug" },
  tryNow: { text: "Try now", icon: "again" },
};

export class Badge {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;

  /** @param {HTMLElement} card */
  constructor(card) {
    this.card = card;
    this.word = find(card, "[data-testid=state]", HTMLElement);
    this.button = find(card, "[data-testid=plug]", HTMLButtonElement);
  }

  /**
   * @param {State} state
   * @param {{ isIn: boolean, movesAt: number | null }} cable `movesAt` is when a draining node is left
   * @returns {Standing}
   */
  show(state, { isIn, movesAt }) {
    clearInterval(this.#ticking);
    const standing = standingOf(state, isIn, movesAt !== null);
    this.card.dataset.state = standing;
    const until = standing === "draining" ? movesAt : standing === "waiting" ? performance.now() + waitOf(state) : null;
    if (until === null) this.word.textContent = wordOf(standing, state);
    else this.#countDown(standing === "draining" ? "Draining, moves in" : "Back in", until);
    this.#offer(standing);
    return standing;
  }

  end() {
    clearInterval(this.#ticking);
  }

  /**
   * @param {string} what
   * @param {number} until
   */
  #countDown(what, until) {
    const tick = () => {
      const seconds = Math.max(until - performance.now(), 0) / 1000;
      this.word.textContent = `${what} ${seconds.toFixed(1)} s`;
    };
    this.#ticking = setInterval(tick, TICK_MS);
    tick();
  }

  /** @param {Standing} standing */
  #offer(standing) {
    const action = standing === "unplugged" ? "plugIn" : standing === "waiting" || standing === "refused" ? "tryNow" : "pull";
    if (this.button.dataset.action === action) return;
    this.button.dataset.action = action;
    this.button.replaceChildren(icon(PRESSED[action].icon), PRESSED[action].text);
  }
}

/**
 * @param {State} state
 * @param {boolean} isIn
 * @param {boolean} isMoving
 * @returns {Standing}
 */
function standingOf(state, isIn, isMoving) {
  if (state.name === "closed") return "refused";
  if (!isIn) return "unplugged";
  return state.name === "connected" && isMoving ? "draining" : state.name;
}

/** @param {State} state */
function waitOf(state) {
  return state.name === "waiting" ? state.delayMs : 0;
}

/**
 * @param {Standing} standing
 * @param {State} state
 */
function wordOf(standing, state) {
  switch (standing) {
    case "connected":
      return "Connected";
    case "unplugged":
      return "Away";
    case "refused":
      return state.name === "closed" ? `Closed: ${state.reason}` : "Closed";
    default:
      return "Connecting…";
  }
}
