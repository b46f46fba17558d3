/**
 * The hub as a program sees it: it writes, joins and listens, and whatever becomes of the connection
 * each message reaches it once, or it is told that some may be missing.
 */
import * as addresses from "./address.js";
import { delay } from "./backoff.js";
import { HubError } from "./errors.js";
import { Link } from "./link.js";
import { Listeners } from "./listeners.js";
import * as messages from "./messages.js";
import { Outbox, newId } from "./outbox.js";
import { Place } from "./place.js";
import { Receipts } from "./receipts.js";
import { Repeats } from "./repeats.js";
import { Rooms, isRoomId } from "./rooms.js";

/**
 * @typedef {import("./link.js").WebSocketLike} WebSocketLike
 * @typedef {import("./link.js").State} State
 * @typedef {import("./outbox.js").Clock} Clock
 * @typedef {import("./outbox.js").Receipt} Receipt
 * @typedef {import("./rooms.js").Wish} Wish
 * @typedef {import("./rooms.js").WantedRoom} WantedRoom
 * @typedef {messages.PublishOptions} PublishOptions
 *
 * @typedef {object} Options
 * @property {string} [userId] who connects, where the hub trusts what it is told
 * @property {string | (() => string | Promise<string>)} [token] a JWT, where it doesn't. A function is
 *   asked before each connect, so that an expired token is followed by a fresh one
 * @property {Iterable<string | WantedRoom>} [rooms] joined at once, and again after every reconnect
 * @property {boolean} [ack] a `user` message counts as received once the handlers of `user` are through
 *   with it, an async one when its promise is fulfilled; otherwise as soon as the browser has it
 * @property {{ messages?: number, bytes?: number }} [outbox] how much may wait for its answer; 1,000
 *   messages and 1 MiB by default
 * @property {number} [remember] how many of the last messages are known again, so that a repeat is
 *   dropped; 4,096 by default
 * @property {new (url: string, protocols: string[]) => WebSocketLike} [WebSocket] the browser's own
 *   by default; in Node before version 22 that of the `ws` package
 * @property {Clock} [clock]
 * @property {() => number} [random]
 * @property {Pick<EventTarget, "addEventListener" | "removeEventListener">} [network] what tells
 *   `online`; the window by default
 * @property {number} [pingAfterMs] after how long without a word the server is asked for one; a minute
 *   by default
 * @property {number} [pongWithinMs] how long it then has before the connection counts as lost; 10 s by
 *   default
 *
 * @typedef {object} Resumed how a client came back
 * @property {boolean} resumed nothing is missing: all that was said meanwhile follows
 * @property {number} pending how many messages that waited for the user follow
 * @property {number} missed how many of those the server could not keep
 *
 * @typedef {object} Lost messages may be missing here: reload what you show
 * @property {"not_resumed" | "missed" | "gap" | "reset"} reason the client came back too late or to a
 *   log that was lost; too much waited for the user; the connection was too slow; the log was lost or
 *   has let go of what was to come
 * @property {string} [room] where only one is concerned
 * @property {number} [count] how many, where that is known
 *
 * @typedef {messages.ByType & {
 *   state: [state: State],
 *   message: [message: messages.Message, text: string],
 *   resumed: [resumed: Resumed],
 *   lost: [lost: Lost],
 * }} Events
 */

const PING_AFTER_MS = 60_000;
const PONG_WITHIN_MS = 10_000;
/** After which time a room is asked for again where the server doesn't say. */
const TRY_ROOM_AGAIN_MS = 1000;

const MESSAGE_ID = /^[!-9;-~]{1,64}$/;

export class Client {
  #url;
  #token;
  #acks;
  #clock;
  #random;
  /** @type {Listeners<Events>} */
  #listeners = new Listeners();
  #place = new Place();
  #repeats;
  #outbox;
  #rooms;
  #receipts;
  #link;
  #sessionId = "";
  /** What the newest connection handed in: the rooms in its query, and the place. */
  #handedIn = { rooms: /** @type {readonly string[]} */ ([]), after: "" };
  #wasConnected = false;
  /**
   * On a node whose log is away: `reset` comes once it is back, and is no sign of loss. Who has handed
   * in a place keeps it, and resumes then.
   */
  #degraded = false;
  /** @type {unknown} */
  #tryRoomsAgain = null;

  /**
   * @param {string | URL} url where the hub listens; in a browser relative to the page
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    const WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (!WebSocket) throw new TypeError("no WebSocket here: pass one as options.WebSocket");
    this.#acks = options.ack === true;
    this.#url = addresses.address(url, options.userId, this.#acks);
    this.#token = options.token;
    if (typeof this.#token !== "function") addresses.protocols(this.#token);
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    const send = (/** @type {string} */ text) => this.#link.send(text);
    this.#outbox = new Outbox(options.outbox ?? {}, this.#clock, send, (error) => this.#tellError(error));
    this.#rooms = new Rooms(options.rooms ?? [], send, (message) => this.#tell(message));
    this.#repeats = new Repeats(options.remember);
    this.#receipts = new Receipts(
      (cursor) => void send(messages.ack(cursor)),
      (message) => this.#repeats.forget(message),
    );
    this.#link = new Link(this.#asOwner(), {
      WebSocket,
      clock: this.#clock,
      random: this.#random,
      network: options.network ?? surroundings(),
      pingAfterMs: options.pingAfterMs ?? PING_AFTER_MS,
      pongWithinMs: options.pongWithinMs ?? PONG_WITHIN_MS,
    });
  }

  /** @returns {State} */
  get state() {
    return this.#link.state;
  }

  /** The rooms that are joined, or will be as soon as there is a connection. */
  get rooms() {
    return this.#rooms.names;
  }

  /**
   * Listens to an event: one per type of server message; `message` for everything that comes over the
   * wire, known or not, repeats too; and `state`, `resumed` and `lost`.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => unknown} listener
   * @returns {() => void} call it to stop listening
   */
  on(name, listener) {
    this.#listeners.add(name, listener);
    return () => this.off(name, listener);
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => unknown} listener
   */
  off(name, listener) {
    this.#listeners.remove(name, listener);
  }

  /** Connects, or, while waiting, tries at once. Where it already connects or is connected it does nothing. */
  connect() {
    this.#link.open();
  }

  /** Leaves for good, until `connect` is called again. What still waits for an answer is rejected. */
  close() {
    this.#link.close();
  }

  /**
   * Publishes to everybody. This and the next two return a promise of the server's answer. A message is
   * sent now, or once there is a connection, and again after a reconnect, until it is answered; so it is
   * published once, whatever the connection does. The promise fails with a `HubError`, and who doesn't
   * ask for it need not.
   *
   * @param {unknown} data any JSON value
   * @param {PublishOptions} [options]
   * @returns {Promise<Receipt>}
   */
  broadcast(data, options = {}) {
    return this.#publish(options, (withId) => messages.broadcast(data, withId));
  }

  /**
   * @param {string | readonly string[]} targets up to 100 users
   * @param {unknown} data
   * @param {PublishOptions} [options]
   * @returns {Promise<Receipt>}
   */
  user(targets, data, options = {}) {
    return this.#publish(options, (withId) => messages.user(targets, data, withId));
  }

  /**
   * @param {string} roomId
   * @param {unknown} data
   * @param {PublishOptions} [options]
   * @returns {Promise<Receipt>}
   */
  room(roomId, data, options = {}) {
    return this.#publish(options, (withId) => messages.room(roomId, data, withId));
  }

  /** @returns {boolean} whether it was handed to a connection */
  ping() {
    return this.#link.send(messages.ping());
  }

  /**
   * Joins now, or as soon as there is a connection, and again after every reconnect. A room that is
   * refused is forgotten.
   *
   * @param {string} roomId
   * @param {Wish} [wish]
   * @returns {Promise<messages.Membership>} the server's `joined`
   */
  join(roomId, wish = {}) {
    if (isRoomId(roomId)) return this.#rooms.join(roomId, wish);
    const error = new HubError("invalid_message", "a room has 1 to 128 bytes and no control characters", {
      room_id: String(roomId),
    });
    this.#tellError(error);
    const refused = Promise.reject(error);
    refused.catch(() => {});
    return refused;
  }

  /**
   * @param {string} roomId
   * @returns {Promise<messages.Membership | null>} the server's `left`, or null where no connection was
   *   there to leave by
   */
  leave(roomId) {
    return this.#rooms.leave(roomId);
  }

  /**
   * @param {PublishOptions} options
   * @param {(withId: PublishOptions) => string} write
   */
  #publish(options, write) {
    const id = options.id ?? newId();
    if (!MESSAGE_ID.test(id)) throw new TypeError("an id has 1 to 64 characters from ! to ~ without a colon");
    return this.#outbox.add(id, write({ ...options, id }), options.ephemeral !== true);
  }

  /** @returns {import("./link.js").Owner} */
  #asOwner() {
    return {
      destination: () => this.#destination(),
      noDestination: (error) => this.#tellError(new HubError("no_token", String(error))),
      hasFreshTokens: () => typeof this.#token === "function",
      welcome: (message) => this.#welcome(/** @type {messages.Connected} */ (message)),
      hear: (message, text) => this.#hear(message, text),
      cut: (code) => this.#cut(code),
      become: (state) => this.#become(state),
    };
  }

  #destination() {
    if (typeof this.#token !== "function") return this.#lead(addresses.protocols(this.#token));
    // A function that finds no token hasn't said that none is needed.
    const lead = (/** @type {string} */ token) => this.#lead(addresses.protocols(token ?? ""));
    const token = this.#token();
    return typeof token === "string" ? lead(token) : Promise.resolve(token).then(lead);
  }

  /** @param {string[]} protocols */
  #lead(protocols) {
    const after = this.#place.toString();
    if (!this.#place.isKnown) {
      this.#handedIn = { rooms: [], after };
      return { url: this.#url.href, protocols };
    }
    const forQuery = (/** @type {(room: string) => boolean} */ fits) => this.#rooms.forQuery(fits);
    const { url, queried } = addresses.resuming(this.#url, this.#sessionId, after, forQuery);
    this.#handedIn = { rooms: queried, after };
    return { url: url.href, protocols };
  }

  /** @param {messages.Connected} message */
  #welcome({ session_id, cursor, resumed = false, degraded = false }) {
    this.#sessionId = session_id;
    this.#degraded = degraded;
    const begins = !resumed && !this.#isOwed;
    if (begins) {
      this.#place.begin(cursor);
      this.#rooms.reset();
    }
    this.#rooms.welcome({ queried: this.#handedIn.rooms, resumed, begins, after: this.#handedIn.after });
    this.#outbox.sendAll();
  }

  /** Whether a node whose log is away could not say what was missed since the place that was handed in. */
  get #isOwed() {
    return this.#degraded && this.#handedIn.after !== "";
  }

  /**
   * @param {messages.Message} message
   * @param {string} text
   */
  #hear(message, text) {
    const isTold = messages.isKnown(message.type) && this.#take(message);
    this.#listeners.tell("message", message, text);
    if (isTold) this.#tell(message);
    this.#tellLoss(message);
  }

  /**
   * What a message means to the client itself.
   *
   * @param {messages.Message} message
   * @returns {boolean} whether it is news to the program
   */
  #take(message) {
    switch (message.type) {
      case "broadcast":
      case "user":
      case "room":
        return this.#isNews(message);
      case "gap":
      case "position":
        this.#move(message);
        return true;
      case "reset":
        if (!this.#isOwed) {
          this.#place.reset(message.cursor);
          this.#rooms.reset();
        }
        return true;
      case "ack":
        this.#outbox.acknowledged(/** @type {any} */ (message));
        return true;
      case "error":
        this.#refused(/** @type {any} */ (message));
        return true;
      case "left":
        this.#rooms.left(/** @type {any} */ (message));
        return true;
      case "joined":
        return this.#rooms.joined(/** @type {any} */ (message));
      default:
        return true;
    }
  }

  /** @param {messages.Message} message */
  #move(message) {
    this.#place.move(message.cursor);
    this.#rooms.moved(message);
  }

  /** @param {any} message */
  #isNews(message) {
    this.#move(message);
    if (!this.#repeats.isNew(message)) {
      if (this.#acks && message.type === "user") this.#receipts.repeated(message);
      return false;
    }
    return message.type !== "room" || !(this.#rooms.isOld(message) || this.#rooms.holds(message));
  }

  /** @param {messages.Refusal} message */
  #refused(message) {
    if (this.#outbox.refused(message) || message.id !== undefined || message.room_id === undefined) return;
    if (!this.#rooms.refused(message) || this.#tryRoomsAgain !== null) return;
    const ms = delay(0, this.#random, message.retry_after_ms ?? TRY_ROOM_AGAIN_MS);
    this.#tryRoomsAgain = this.#clock.setTimeout(() => {
      this.#tryRoomsAgain = null;
      this.#rooms.tryAgain();
    }, ms);
  }

  /** @param {any} message */
  #tell(message) {
    if (this.#acks && message.type === "user" && message.cursor !== undefined) {
      return this.#receipts.given(message, this.#listeners.work("user", message));
    }
    this.#listeners.tell(/** @type {keyof messages.ByType} */ (message.type), message);
  }

  /** @param {messages.Message} message */
  #tellLoss(message) {
    if (message.type === "connected") this.#tellHowItCameBack(/** @type {any} */ (message));
    if (message.type === "joined" && message.resumed === false) {
      this.#lose({ reason: "not_resumed", room: message.room_id });
    }
    if (message.type === "gap") {
      const { room_id, dropped } = message;
      this.#lose({ reason: "gap", count: dropped, ...(room_id === undefined ? {} : { room: room_id }) });
    }
    if (message.type === "reset") {
      const isOwed = this.#isOwed;
      if (!this.#degraded) this.#lose({ reason: "reset" });
      this.#degraded = false;
      // The log is back, and knows what this client has missed since its place.
      if (isOwed && this.state.name === "connected") this.#link.comeBack();
    }
  }

  /** @param {messages.Connected} message */
  #tellHowItCameBack({ resumed = false, pending = 0, missed = 0, degraded }) {
    const isBack = this.#wasConnected;
    this.#wasConnected = true;
    if (isBack && !degraded) this.#listeners.tell("resumed", { resumed, pending, missed });
    const count = missed > 0 ? { count: missed } : {};
    if (isBack && !resumed && !degraded) this.#lose({ reason: "not_resumed", ...count });
    else if (missed > 0) this.#lose({ reason: "missed", ...count });
  }

  /** @param {Lost} lost */
  #lose(lost) {
    this.#listeners.tell("lost", lost);
  }

  /** @param {HubError} error */
  #tellError({ code, message, id, room_id }) {
    const about = { ...(id === undefined ? {} : { id }), ...(room_id === undefined ? {} : { room_id }) };
    this.#listeners.tell("error", { type: "error", code, error: message, ...about });
  }

  /** @param {number} code */
  #cut(code) {
    if (this.#tryRoomsAgain !== null) this.#clock.clearTimeout(this.#tryRoomsAgain);
    this.#tryRoomsAgain = null;
    this.#receipts.begin();
    this.#rooms.cut();
    if (code === TOO_BIG) this.#outbox.tooLarge();
    this.#outbox.cut();
  }

  /** @param {State} state */
  #become(state) {
    if (state.name === "closed") {
      this.#rooms.end();
      this.#outbox.end();
    }
    this.#listeners.tell("state", state);
  }
}

const TOO_BIG = 1009;

/**
 * Makes a client and connects it.
 *
 * @param {string | URL} url
 * @param {Options} [options]
 */
export function connect(url, options) {
  const client = new Client(url, options);
  client.connect();
  return client;
}

/** The window, or a worker's scope; Node has neither and nothing there tells `online`. */
function surroundings() {
  return typeof globalThis.addEventListener === "function" ? globalThis : null;
}

/** Browsers insist that their timers are called on the window, hence the arrows. */
const systemClock = {
  setTimeout: (/** @type {() => void} */ run, /** @type {number} */ ms) => setTimeout(run, ms),
  clearTimeout: (/** @type {any} */ timer) => clearTimeout(timer),
  now: () => Date.now(),
};
