/**
 * Every close code of the wire contract: what it means, and whether the client comes back.
 * The server keeps the same table; neither may know a code that the other doesn't.
 */

/**
 * What a client does after a close:
 * - `no`: it stays away, for a new attempt would end the same way;
 * - `at_once`: it has already waited as long as the server wanted;
 * - `fresh_token`: it comes back with another token, never with the same one;
 * - `back_off`: it waits with jitter, and at least `atLeastMs` where the server needs distance.
 *
 * @typedef {"no" | "at_once" | "fresh_token" | "back_off"} ComeBack
 *
 * @typedef {object} CloseCode
 * @property {string} meaning
 * @property {ComeBack} comeBack
 * @property {number} atLeastMs
 */

/** @type {Readonly<Record<number, Readonly<CloseCode>>>} */
export const CLOSE_CODES = Object.freeze({
  1000: row("normal", "no"),
  1001: row("the server stops without draining", "back_off"),
  1002: row("protocol error", "back_off"),
  1007: row("invalid UTF-8", "back_off"),
  1009: row("too big", "back_off"),
  1011: row("internal error", "back_off"),
  1012: row("draining", "at_once"),
  1013: row("overloaded", "back_off"),
  4000: row("heartbeat missed", "back_off"),
  4001: row("not authenticated", "no"),
  4002: row("token expired", "fresh_token"),
  4003: row("forbidden", "no"),
  4008: row("too slow", "back_off"),
  4009: row("too many connections", "back_off", 30_000),
  4010: row("disconnected by an operator", "no"),
  4029: row("rate limit exceeded for too long", "back_off", 10_000),
});

/**
 * The row of a code. A code that isn't in the table backs off: 1006 is how a browser reports a
 * connection that was cut, and a later version of the server may send codes of its own.
 *
 * @param {number} code
 * @returns {Readonly<CloseCode>}
 */
export function closeCode(code) {
  return CLOSE_CODES[code] ?? row("connection lost", "back_off");
}

/**
 * @param {string} meaning
 * @param {ComeBack} comeBack
 * @param {number} [atLeastMs]
 * @returns {Readonly<CloseCode>}
 */
function row(meaning, comeBack, atLeastMs = 0) {
  return Object.freeze({ meaning, comeBack, atLeastMs });
}
