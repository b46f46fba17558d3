/**
 * Acknowledging `user` messages oneself: each once the program's handlers are through with it. An
 * `ack` covers all that this connection was given before, so one that isn't through holds back those
 * behind it.
 */
import { nameOf } from "./repeats.js";

/**
 * @typedef {{ cursor: string, isThrough: boolean }} Entry
 */

export class Receipts {
  /**
   * What this connection was given and isn't acknowledged, in the order in which it came.
   *
   * @type {Entry[]}
   */
  #given = [];
  /**
   * What handlers are at work on, by the message's name, across connections.
   *
   * @type {Map<string | null, Promise<void>>}
   */
  #atWork = new Map();
  #say;
  #forget;

  /**
   * @param {(cursor: string) => void} say sends an `ack`
   * @param {(message: any) => void} forget is called with what the handlers failed at
   */
  constructor(say, forget) {
    this.#say = say;
    this.#forget = forget;
  }

  /** Another connection: what it is given comes anew. */
  begin() {
    this.#given = [];
  }

  /**
   * A message was given to the handlers, which are through with it when this settles; null where they
   * are already. Failing means that they don't have it: it isn't acknowledged and comes again.
   *
   * @param {{ cursor: string, id?: unknown, from?: unknown }} message
   * @param {Promise<unknown> | null} work
   */
  given(message, work) {
    if (work) {
      const name = nameOf(message);
      const done = work.then(() => void this.#atWork.delete(name));
      this.#atWork.set(name, done);
      done.catch(() => {
        this.#atWork.delete(name);
        this.#forget(message);
      });
    }
    this.repeated(message);
  }

  /**
   * A message came that the handlers have had, or are at work on: the server has no receipt for it.
   *
   * @param {{ cursor: string, id?: unknown, from?: unknown }} message
   */
  repeated(message) {
    const work = this.#atWork.get(nameOf(message));
    const entry = { cursor: message.cursor, isThrough: !work };
    this.#given.push(entry);
    if (!work) return this.#acknowledge();
    const through = () => {
      entry.isThrough = true;
      this.#acknowledge();
    };
    // What fails stays as it is, and so does all behind it on this connection.
    work.then(through, () => {});
  }

  #acknowledge() {
    const waits = this.#given.findIndex((entry) => !entry.isThrough);
    const through = this.#given.splice(0, waits < 0 ? this.#given.length : waits);
    /** @type {Map<string, string>} */
    const newest = new Map();
    // Of each partition of each life of the log the last one stands for those before it.
    for (const { cursor } of through) newest.set(cursor.slice(0, cursor.lastIndexOf(":")), cursor);
    if (newest.size > 0) this.#say([...newest.values()].join(","));
  }
}
