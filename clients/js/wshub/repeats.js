/**
 * Which messages were given already. The server gives a `user` message again that it has no receipt
 * for, and a room's that is caught up with a second time; each is to reach the program once.
 */

/** A user's queue holds a hundred; the rest is for what a publisher repeats in a new life of the log. */
export const REMEMBERED_MESSAGES = 4096;

/** @typedef {{ id?: unknown, from?: unknown, cursor?: unknown }} Given */

export class Repeats {
  /** @type {Set<string>} */
  #names = new Set();
  /** @type {Set<string>} */
  #cursors = new Set();
  #most;

  /** @param {number} [most] how many messages are remembered */
  constructor(most = REMEMBERED_MESSAGES) {
    this.#most = most;
  }

  /**
   * Remembers a message; false where it was there before. Ephemeral messages have no cursor, come at
   * most once, and may bear the same id again and again.
   *
   * @param {Given} message
   */
  isNew(message) {
    const { cursor } = message;
    if (typeof cursor !== "string") return true;
    const name = nameOf(message);
    if (this.#cursors.has(cursor) || (name !== null && this.#names.has(name))) return false;
    remember(this.#cursors, cursor, this.#most);
    if (name !== null) remember(this.#names, name, this.#most);
    return true;
  }

  /**
   * Has a message count as never given, so that the program gets it when it comes again.
   *
   * @param {Given} message
   */
  forget(message) {
    this.#cursors.delete(/** @type {string} */ (message.cursor));
    this.#names.delete(nameOf(message) ?? "");
  }
}

/**
 * What a message is known by: `(from, id)` is unique. No id holds a colon.
 *
 * @param {Given} message
 */
export function nameOf({ id, from }) {
  return typeof id === "string" ? `${id}:${from}` : null;
}

/**
 * @param {Set<string>} set
 * @param {string} value
 * @param {number} most
 */
function remember(set, value, most) {
  set.add(value);
  if (set.size <= most) return;
  // A set is walked in the order of insertion, so this is its oldest.
  for (const oldest of set) {
    set.delete(oldest);
    return;
  }
}
