/**
 * Publishes that wait for their answer. Each is kept under its id and sent again on every new
 * connection until the server says `ack` or `error`; the id makes the repeats harmless, so that a
 * node that dies in between neither loses nor doubles it.
 */
import { HubError } from "./errors.js";
import { Promised } from "./promised.js";

/** How much may wait. A full outbox rejects; it doesn't push out what was promised before. */
export const OUTBOX_MESSAGES = 1000;
export const OUTBOX_BYTES = 1024 * 1024;

/**
 * The server knows an id for 5 minutes. Half a minute of that is left for the last repeat to arrive;
 * one that came later would be published a second time.
 */
export const OUTBOX_AGE_MS = 5 * 60_000 - 30_000;

/** Refusals that speak of this attempt only, and not of one that was sent before it. */
const OF_THIS_ATTEMPT = new Set(["unavailable", "overloaded", "rate_limited", "outcome_unknown", "internal"]);

/**
 * @typedef {object} Receipt
 * @property {string} id
 * @property {boolean} duplicate whether it was in the log already
 * @property {string} [cursor] its place in the log; an ephemeral message has none
 *
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} text
 * @property {number} bytes
 * @property {boolean} isKept not ephemeral
 * @property {number} since
 * @property {number} attempts on how many connections it was sent
 * @property {Promised<Receipt>} answer
 *
 * @typedef {object} Clock
 * @property {(run: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now milliseconds, those of a sleeping computer included
 */

export class Outbox {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  #bytes = 0;
  /** @type {unknown} */
  #timer = null;
  #most;
  #clock;
  #send;
  #refused;

  /**
   * @param {{ messages?: number, bytes?: number }} most
   * @param {Clock} clock
   * @param {(text: string) => boolean} send whether it went to a connection
   * @param {(error: HubError) => void} refused is told what was rejected here, not by the server
   */
  constructor(most, clock, send, refused) {
    this.#most = { messages: most.messages ?? OUTBOX_MESSAGES, bytes: most.bytes ?? OUTBOX_BYTES };
    this.#clock = clock;
    this.#send = send;
    this.#refused = refused;
  }

  /**
   * Sends a publish now, or once there is a connection. The same publish again while it waits is one.
   *
   * @param {string} id
   * @param {string} text
   * @param {boolean} isKept
   * @returns {Promise<Receipt>}
   */
  add(id, text, isKept) {
    const before = this.#entries.get(id);
    if (before?.text === text) return before.answer.promise;
    const bytes = byteLength(text);
    /** @type {Entry} */
    const entry = { id, text, bytes, isKept, since: this.#clock.now(), attempts: 0, answer: new Promised() };
    const refusal = before
      ? new HubError("id_reused", "another message with this id waits for its answer", { id })
      : this.#refusal(bytes, id);
    if (refusal) this.#reject(entry, refusal);
    else this.#take(entry);
    return entry.answer.promise;
  }

  /** There is a connection: sends all that waits, in the order in which it was written. */
  sendAll() {
    this.#expire();
    for (const entry of this.#entries.values()) this.#attempt(entry);
  }

  /**
   * The connection is gone. What is ephemeral is not sent twice.
   */
  cut() {
    for (const entry of this.#entries.values()) {
      if (!entry.isKept) this.#fail(entry, "outcome_unknown", "the connection broke before the answer came");
    }
  }

  /**
   * The server has closed with 1009: the largest message that was on its way is what it can't take, and
   * sent again it would end the next connection, too.
   */
  tooLarge() {
    const sent = [...this.#entries.values()].filter((entry) => entry.attempts > 0);
    const [largest] = sent.sort((one, other) => other.bytes - one.bytes);
    if (largest) this.#fail(largest, "too_large", "the server takes no message of this size");
  }

  /** No connection will come: what was never sent surely isn't published. */
  end() {
    for (const { id, attempts, answer } of [...this.#entries.values()]) {
      this.#remove(id);
      answer.reject(
        attempts > 0
          ? new HubError("outcome_unknown", "the client was closed before the answer came", { id })
          : new HubError("closed", "the client was closed before this was sent", { id }),
      );
    }
  }

  /** @param {Receipt} ack */
  acknowledged({ id, duplicate, cursor }) {
    const entry = this.#remove(id);
    entry?.answer.resolve({ id, duplicate, ...(cursor === undefined ? {} : { cursor }) });
  }

  /**
   * The server refuses something; false where it isn't a publish that waits here.
   *
   * @param {{ code: string, error: string, id?: string, room_id?: string, retry_after_ms?: number }} refusal
   */
  refused({ code, error, ...about }) {
    const entry = about.id === undefined ? undefined : this.#remove(about.id);
    if (!entry) return false;
    const unknown = entry.attempts > 1 && OF_THIS_ATTEMPT.has(code);
    entry.answer.reject(
      unknown
        ? new HubError("outcome_unknown", `sent before, and now refused as ${code}: ${error}`, about)
        : new HubError(code, error, about),
    );
    return true;
  }

  /** @param {Entry} entry */
  #take(entry) {
    this.#entries.set(entry.id, entry);
    this.#bytes += entry.bytes;
    this.#attempt(entry);
    if (!entry.isKept && entry.attempts === 0) {
      this.#fail(entry, "not_connected", "an ephemeral message is sent at once or not at all");
    }
    if (this.#timer === null && this.#entries.size > 0) this.#arm();
  }

  /** @param {Entry} entry */
  #attempt(entry) {
    if (this.#send(entry.text)) entry.attempts += 1;
  }

  /**
   * @param {number} bytes
   * @param {string} id
   */
  #refusal(bytes, id) {
    const { messages, bytes: most } = this.#most;
    if (bytes > most) return new HubError("too_large", `the outbox takes ${most} bytes, this has ${bytes}`, { id });
    if (this.#entries.size < messages && this.#bytes + bytes <= most) return null;
    return new HubError("outbox_full", "too much waits for an answer: try again later", { id });
  }

  /** Rejects what is too old to be sent again. The first is always the oldest. */
  #expire() {
    const until = this.#clock.now() - OUTBOX_AGE_MS;
    for (const entry of this.#entries.values()) {
      if (entry.since > until) return;
      if (entry.attempts > 0) this.#fail(entry, "outcome_unknown", "no answer came in time");
      else this.#fail(entry, "unavailable", "there was no connection for too long: not published");
    }
  }

  /** One timer, for the oldest. */
  #arm() {
    for (const { since } of this.#entries.values()) {
      const left = Math.max(since + OUTBOX_AGE_MS - this.#clock.now(), 0);
      this.#timer = this.#clock.setTimeout(() => {
        this.#timer = null;
        this.#expire();
        if (this.#timer === null) this.#arm();
      }, left);
      return;
    }
  }

  /**
   * @param {Entry} entry
   * @param {string} code
   * @param {string} why
   */
  #fail(entry, code, why) {
    this.#remove(entry.id);
    this.#reject(entry, new HubError(code, why, { id: entry.id }));
  }

  /**
   * @param {Entry} entry
   * @param {HubError} error
   */
  #reject(entry, error) {
    entry.answer.reject(error);
    // That a typing indicator came to nothing is no news.
    if (entry.isKept) this.#refused(error);
  }

  /** @param {string} id */
  #remove(id) {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    this.#entries.delete(id);
    this.#bytes -= entry.bytes;
    if (this.#entries.size === 0 && this.#timer !== null) {
      this.#clock.clearTimeout(this.#timer);
      this.#timer = null;
    }
    return entry;
  }
}

/**
 * An id for a publish that has none. Not `crypto.randomUUID`, which browsers have on secure pages only.
 */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const encoder = new TextEncoder();

/** @param {string} text */
function byteLength(text) {
  return encoder.encode(text).length;
}
