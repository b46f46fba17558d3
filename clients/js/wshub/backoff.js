/**
 * How long a client waits before it comes back: full jitter under a doubling ceiling.
 * Thousands of clients lose a node in the same moment; a random wait over the whole span
 * spreads them evenly, where a fixed one would bring them all back at once.
 */

/** The ceiling of the first wait, in milliseconds. */
export const FIRST_CEILING_MS = 1000;

/** The ceiling of every later wait, in milliseconds: a client never gives up, but slows down to this. */
export const LAST_CEILING_MS = 30_000;

/**
 * @param {number} attempt how many attempts have failed since the last `connected`
 * @param {() => number} random at least 0, less than 1
 * @param {number} [atLeastMs] what the close code asks for on top; the jitter comes after it, so
 *   that clients that were sent away together don't return together
 * @returns {number} milliseconds
 */
export function delay(attempt, random, atLeastMs = 0) {
  const ceiling = Math.min(FIRST_CEILING_MS * 2 ** attempt, LAST_CEILING_MS);
  return atLeastMs + Math.floor(random() * ceiling);
}
