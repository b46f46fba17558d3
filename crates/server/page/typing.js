/**
 * Who is writing just now. Those who write say so by ephemeral messages, which nobody keeps: who is away
 * misses them, and a while after the last one it is no longer true.
 */
import { find } from "./element.js";

/** How often somebody who goes on writing says so. */
const SAID_EVERY_MS = 2000;
/** Two of them may be lost. */
const HOLDS_MS = 5000;

/** What the page says in such a message. */
const TYPING = Object.freeze({ typing: true });
const STOPPED = Object.freeze({ typing: false });

/** What one device sees of the others. */
export class Typing {
  /**
   * By who writes and where.
   *
   * @type {Map<string, { user: string, room: string, timer: ReturnType<typeof setTimeout> }>}
   */
  #writers = new Map();
  #room = "";
  #self;

  /**
   * @param {HTMLElement} card
   * @param {string} self
   */
  constructor(card, self) {
    this.#self = self;
    this.line = find(card, "[data-testid=typing]", HTMLElement);
  }

  /** @param {string} room */
  show(room) {
    this.#room = room;
    this.#draw();
  }

  /**
   * @param {{ from: string, cursor?: string, room_id?: string, data: unknown }} message
   * @returns {boolean} whether it was one of these
   */
  hear({ from, cursor, room_id: room = "", data }) {
    const isTyping = typingOf(data);
    if (cursor !== undefined || isTyping === null) return false;
    this.stop(from, room);
    if (isTyping) {
      const timer = setTimeout(() => this.stop(from, room), HOLDS_MS);
      this.#writers.set(key(from, room), { user: from, room, timer });
    }
    this.#draw();
    return true;
  }

  /**
   * Who has said something is through with writing it.
   *
   * @param {string} user
   * @param {string} room
   */
  stop(user, room) {
    clearTimeout(this.#writers.get(key(user, room))?.timer);
    if (this.#writers.delete(key(user, room))) this.#draw();
  }

  /** Nothing is heard any more. */
  clear() {
    for (const { timer } of this.#writers.values()) clearTimeout(timer);
    this.#writers.clear();
    this.#draw();
  }

  #draw() {
    const here = [...this.#writers.values()].filter(({ room }) => room === "" || room === this.#room);
    const names = new Set(here.map(({ user }) => (user === this.#self ? "your other device" : user)));
    this.line.textContent = sentence([...names]);
    this.line.dataset.active = String(names.size > 0);
  }
}

/** What one device says of itself. */
export class Typist {
  #saidAt = -Infinity;
  #say;

  /** @param {(data: object) => void} say */
  constructor(say) {
    this.#say = say;
  }

  /** @param {boolean} hasText */
  typed(hasText) {
    const now = performance.now();
    if (!hasText) return this.#stop();
    if (now - this.#saidAt < SAID_EVERY_MS) return;
    this.#saidAt = now;
    this.#say(TYPING);
  }

  /** The message itself says that it is written. */
  sent() {
    this.#saidAt = -Infinity;
  }

  #stop() {
    if (this.#saidAt === -Infinity) return;
    this.#saidAt = -Infinity;
    this.#say(STOPPED);
  }
}

/** @param {string[]} names */
function sentence(names) {
  if (names.length === 0) return "";
  if (names.length > 2) return `${names.length} people are typing`;
  return `${names.join(" and ")} ${names.length === 1 ? "is" : "are"} typing`;
}

/** @param {unknown} data */
function typingOf(data) {
  if (typeof data !== "object" || data === null || !("typing" in data)) return null;
  return typeof data.typing === "boolean" ? data.typing : null;
}

/**
 * @param {string} user
 * @param {string} room
 */
function key(user, room) {
  return JSON.stringify([user, room]);
}
