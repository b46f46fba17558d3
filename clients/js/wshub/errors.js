/**
 * What a publish or a join is rejected with: a code for programs and a sentence for people.
 */

/**
 * Beside the server's own codes (docs/errors.md) there are those of the client:
 * - `outbox_full`: so much waits for an answer already that this was not taken;
 * - `not_connected`: an ephemeral message, and no connection to send it on;
 * - `closed`: the client was closed, or told to stay away, before this was sent;
 * - `left`: the room was left before its `joined` came.
 * Three are said by either: `outcome_unknown` (it was sent and not answered in time: whether it was
 * published is not known), `unavailable` (it waited too long for a connection: surely not published)
 * and `too_large`.
 */
export class HubError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ id?: string, room_id?: string, retry_after_ms?: number }} [about]
   */
  constructor(code, message, about = {}) {
    super(message);
    this.name = "HubError";
    this.code = code;
    /** The message's, where it is about one. */
    this.id = about.id;
    /** The room's, where it is about one. */
    this.room_id = about.room_id;
    /** Where the server says how long to wait. */
    this.retry_after_ms = about.retry_after_ms;
  }
}
