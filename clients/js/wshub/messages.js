/**
 * The words on the wire as this client speaks them: the shapes of the server's messages, reading
 * one from a frame, and writing the client's own. Field names stay as they are on the wire.
 */

/**
 * @typedef {object} Connected
 * @property {"connected"} type
 * @property {string} session_id a label for this session, no credential
 * @property {string} user_id
 * @property {number} timestamp
 * @property {string} [node]
 * @property {string} [cursor]
 * @property {boolean} [resumed] all that was missed follows
 * @property {number} [pending] how many messages from the user's queue follow
 * @property {number} [missed] how many the queue has lost
 * @property {boolean} [degraded] the log is away: `reset` comes once it is back
 *
 * @typedef {object} Published
 * @property {"broadcast" | "user"} type
 * @property {string} id the publisher's, or one that the server made; unique together with `from`
 * @property {string} from the sender's user id; empty for what came by HTTP or Redis
 * @property {number} timestamp seconds
 * @property {unknown} data any JSON value. It comes from other users: never treat it as HTML
 * @property {string} [cursor] its place in the log; an ephemeral message has none
 *
 * @typedef {Omit<Published, "type"> & { type: "room", room_id: string }} RoomMessage
 *
 * @typedef {object} Ack
 * @property {"ack"} type
 * @property {string} id
 * @property {boolean} duplicate
 * @property {string} [cursor]
 *
 * @typedef {object} Membership
 * @property {"joined" | "left"} type
 * @property {string} room_id
 * @property {string} [cursor]
 * @property {number} [members] how many users are in the room
 * @property {string[]} [users] the first 100 of them, where `presence` was asked for
 * @property {RoomMessage[]} [history] the last messages, oldest first, where asked for
 * @property {boolean} [history_complete] there are no older ones than those
 * @property {boolean} [resumed] where the room caught up by itself: nothing is missing
 *
 * @typedef {object} Presence
 * @property {"presence"} type
 * @property {string} room_id
 * @property {"join" | "leave" | "count"} event `count` in large rooms
 * @property {string} [user_id]
 * @property {number} [members]
 *
 * @typedef {{ type: "position", cursor: string }} Position
 *
 * @typedef {object} Gap
 * @property {"gap"} type
 * @property {number} dropped
 * @property {string} cursor
 * @property {string} [room_id]
 *
 * @typedef {object} Reset
 * @property {"reset"} type
 * @property {string} reason `log_lost` or `node_behind`
 * @property {string} cursor
 *
 * @typedef {object} Refusal
 * @property {"error"} type
 * @property {string} code
 * @property {string} error a sentence
 * @property {string} [id]
 * @property {string} [room_id]
 * @property {number} [retry_after_ms]
 *
 * @typedef {object} Reconnect
 * @property {"reconnect"} type
 * @property {string} reason
 * @property {number} delay_ms
 *
 * @typedef {{ type: "pong" }} Pong
 *
 * @typedef {object} ByType the messages that have an event of their own
 * @property {[message: Connected]} connected
 * @property {[message: Published]} broadcast
 * @property {[message: Published]} user
 * @property {[message: RoomMessage]} room
 * @property {[message: Ack]} ack
 * @property {[message: Membership]} joined
 * @property {[message: Membership]} left
 * @property {[message: Presence]} presence
 * @property {[message: Position]} position
 * @property {[message: Gap]} gap
 * @property {[message: Reset]} reset
 * @property {[message: Refusal]} error
 * @property {[message: Reconnect]} reconnect
 * @property {[message: Pong]} pong
 *
 * @typedef {{ type: string } & Record<string, any>} Message
 *
 * @typedef {object} PublishOptions
 * @property {string} [id] 1 to 64 characters from `!` to `~` without `:`; made where there is none. The
 *   same id again within 5 minutes has no second effect
 * @property {boolean} [ephemeral] for those who are there now: not in the log, no queue, no history
 * @property {"all" | "others"} [to] `others`: not to this session itself
 */

/** @type {ReadonlySet<string>} */
const KNOWN = new Set([
  "connected",
  "broadcast",
  "user",
  "room",
  "ack",
  "joined",
  "left",
  "presence",
  "position",
  "gap",
  "reset",
  "error",
  "reconnect",
  "pong",
]);

/**
 * Whether a message has an event of its own. A type that a later server invents must not: it could
 * bear the name of one of the client's own events.
 *
 * @param {string} type
 * @returns {type is keyof ByType}
 */
export function isKnown(type) {
  return KNOWN.has(type);
}

/**
 * The message in a frame, or null for what isn't one; a client ignores what it doesn't know.
 *
 * @param {unknown} frame
 * @returns {Message | null}
 */
export function read(frame) {
  if (typeof frame !== "string") return null;
  try {
    const value = JSON.parse(frame);
    return typeof value?.type === "string" ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {unknown} data
 * @param {PublishOptions} [options]
 */
export function broadcast(data, options) {
  return publish({ type: "broadcast" }, data, options);
}

/**
 * @param {string | readonly string[]} targets
 * @param {unknown} data
 * @param {PublishOptions} [options]
 */
export function user(targets, data, options) {
  const target_ids = typeof targets === "string" ? [targets] : targets;
  return publish({ type: "user", target_ids }, data, options);
}

/**
 * @param {string} room_id
 * @param {unknown} data
 * @param {PublishOptions} [options]
 */
export function room(room_id, data, options) {
  return publish({ type: "room", room_id }, data, options);
}

/**
 * @param {string} room_id
 * @param {{ history?: number, presence?: boolean, after?: string }} [wish]
 */
export function join(room_id, { history = 0, presence = false, after = "" } = {}) {
  return write({
    type: "join",
    room_id,
    ...(history === 0 ? {} : { history }),
    ...(presence ? { presence } : {}),
    ...(after === "" ? {} : { after }),
  });
}

/** @param {string} room_id */
export function leave(room_id) {
  return write({ type: "leave", room_id });
}

/** @param {string} cursor */
export function ack(cursor) {
  return write({ type: "ack", cursor });
}

export function ping() {
  return write({ type: "ping" });
}

/**
 * @param {object} target
 * @param {unknown} data
 * @param {PublishOptions} [options]
 */
function publish(target, data, { id, ephemeral = false, to = "all" } = {}) {
  return write({
    ...target,
    data: required(data),
    ...(id === undefined ? {} : { id }),
    ...(ephemeral ? { ephemeral } : {}),
    ...(to === "all" ? {} : { to }),
  });
}

/** @param {object} message */
function write(message) {
  return JSON.stringify(message);
}

/**
 * JSON has no undefined, functions or symbols: the key would vanish silently and the server would
 * refuse the message. The mistake is the caller's, so the caller hears of it.
 *
 * @param {unknown} data
 */
function required(data) {
  if (["undefined", "function", "symbol"].includes(typeof data)) {
    throw new TypeError(`data must be a JSON value, not ${typeof data}`);
  }
  return data;
}
