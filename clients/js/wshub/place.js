/**
 * Up to where this client was given the log: the newest cursor of each partition, which it hands in
 * when it comes back. A cursor is `<epoch>:<partition>:<offset>`, several are joined by commas.
 */

/** As the server writes it; an offset is a number, or two of them. They may be beyond 2^53. */
const CURSOR = /^(\d+\.[0-9a-f]+):(\d+):(\d+)(?:-(\d+))?$/;

/**
 * @typedef {object} Cursor
 * @property {string} text
 * @property {string} epoch one life of the log; offsets are compared within one only
 * @property {string} partition
 * @property {bigint} major
 * @property {bigint} minor
 */

export class Place {
  /**
   * By partition.
   *
   * @type {Map<string, Cursor>}
   */
  #cursors = new Map();
  /**
   * Lives of the log that the server has named as the one to follow, the newest last.
   *
   * @type {string[]}
   */
  #epochs = [];

  /** @param {string} [text] */
  constructor(text) {
    if (text !== undefined) this.begin(text);
  }

  /** Whether there is a place at all. */
  get isKnown() {
    return this.#cursors.size > 0;
  }

  /**
   * Begins anew at the cursors of a `connected` that didn't resume, whatever was before.
   *
   * @param {unknown} text
   */
  begin(text) {
    this.#cursors.clear();
    this.#epochs = [];
    this.reset(text);
  }

  /**
   * Goes on from the cursors of a `reset`: forwards, backwards or in a new life of the log. Partitions
   * that it doesn't name keep their places.
   *
   * @param {unknown} text
   */
  reset(text) {
    for (const cursor of read(text)) {
      this.#cursors.set(cursor.partition, cursor);
      this.#epochs = [...this.#epochs.filter((epoch) => epoch !== cursor.epoch), cursor.epoch];
    }
  }

  /**
   * Moves on to the cursors of a message. One that is older than the place kept, or of a life of the
   * log that no `connected` or `reset` has named, came from the user's queue: the place stays.
   *
   * @param {unknown} text
   */
  move(text) {
    for (const cursor of read(text)) {
      if (this.#isNews(cursor)) this.#cursors.set(cursor.partition, cursor);
    }
  }

  /**
   * Whether all of these cursors are at this place or before it.
   *
   * @param {unknown} text
   */
  covers(text) {
    const cursors = read(text);
    return cursors.length > 0 && cursors.every((cursor) => this.#covers(cursor));
  }

  /**
   * Forgets the partitions in which these cursors lie behind this place. Once none is left, all up to
   * it was given.
   *
   * @param {unknown} text
   */
  pass(text) {
    for (const cursor of read(text)) {
      const own = this.#cursors.get(cursor.partition);
      if (own?.epoch === cursor.epoch && isAfter(cursor, own)) this.#cursors.delete(cursor.partition);
    }
  }

  /** As `after` of a query or a `join`. */
  toString() {
    return [...this.#cursors.values()].map((cursor) => cursor.text).join(",");
  }

  /** @param {Cursor} cursor */
  #isNews(cursor) {
    const named = this.#epochs.indexOf(cursor.epoch);
    if (named < 0) return false;
    const own = this.#cursors.get(cursor.partition);
    if (!own) return true;
    return own.epoch === cursor.epoch ? isAfter(cursor, own) : named > this.#epochs.indexOf(own.epoch);
  }

  /** @param {Cursor} cursor */
  #covers(cursor) {
    const own = this.#cursors.get(cursor.partition);
    return own?.epoch === cursor.epoch && !isAfter(cursor, own);
  }
}

/**
 * The cursors in a text. What is none is left out: a client ignores what it doesn't know.
 *
 * @param {unknown} text
 * @returns {Cursor[]}
 */
function read(text) {
  if (typeof text !== "string") return [];
  return text.split(",").flatMap((one) => {
    const parts = CURSOR.exec(one);
    if (!parts) return [];
    const [, epoch = "", partition = "", major = "", minor = "0"] = parts;
    return [{ text: one, epoch, partition, major: BigInt(major), minor: BigInt(minor) }];
  });
}

/**
 * @param {Cursor} one
 * @param {Cursor} other
 */
function isAfter(one, other) {
  return one.major === other.major ? one.minor > other.minor : one.major > other.major;
}
