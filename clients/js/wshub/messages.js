/**
 * The words on the wire as this client speaks them: the shapes of the server's messages, reading
 * one from a frame, and writing the client's own. Field names stay as they are on the wire.
 */

/**
 * @typedef {object} Connected
 * @property {"connected"} type
 * @property {string} session_id
 * @property {string} user_id
 * @property {number} timestamp
 * @property {string} [node]
 * @property {string} [cursor]
 *
 * @typedef {object} Published
 * @property {"broadcast" | "user"} type
 * @property {string} id
 * @property {string} from the sender's user id; empty for what came by HTTP or Redis
 * @property {number} timestamp seconds
 * @property {unknown} data any JSON value. It comes from other users: never treat it as HTML
 * @property {string} [cursor]
 *
 * @typedef {Omit<Published, "type"> & { type: "room", room_id: string }} RoomMessage
 *
 * @typedef {object} Membership
 * @property {"joined" | "left"} type
 * @property {string} room_id
 * @property {string} [cursor]
 * @property {number} [members]
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
 * @property {[message: Membership]} joined
 * @property {[message: Membership]} left
 * @property {[message: Refusal]} error
 * @property {[message: Reconnect]} reconnect
 * @property {[message: Pong]} pong
 *
 * @typedef {{ type: string } & Record<string, any>} Message
 */

/** @type {ReadonlySet<string>} */
const KNOWN = new Set([
  "connected",
  "broadcast",
  "user",
  "room",
  "joined",
  "left",
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

/** @param {unknown} data */
export function broadcast(data) {
  return write({ type: "broadcast", data: required(data) });
}

/**
 * @param {string | readonly string[]} targets
 * @param {unknown} data
 */
export function user(targets, data) {
  const target_ids = typeof targets === "string" ? [targets] : targets;
  return write({ type: "user", target_ids, data: required(data) });
}

/**
 * @param {string} room_id
 * @param {unknown} data
 */
export function room(room_id, data) {
  return write({ type: "room", room_id, data: required(data) });
}

/** @param {string} room_id */
export function join(room_id) {
  return write({ type: "join", room_id });
}

/** @param {string} room_id */
export function leave(room_id) {
  return write({ type: "leave", room_id });
}

export function ping() {
  return write({ type: "ping" });
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
