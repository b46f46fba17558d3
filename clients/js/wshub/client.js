/**
 * One user's connection to the hub, across as many sockets as it takes: it connects, tells what it
 * hears, and comes back whenever the close code lets it. Each state has at most one timer, so one
 * field holds it, and every change of state clears it.
 */
import { delay } from "./backoff.js";
import { closeCode } from "./codes.js";
import { Listeners } from "./listeners.js";
import * as messages from "./messages.js";

/**
 * What of a WebSocket the client uses; both the browser's and the one of the `ws` package have it.
 *
 * @typedef {object} WebSocketLike
 * @property {number} readyState
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(text: string) => void} send
 * @property {(code?: number, reason?: string) => void} close
 *
 * @typedef {object} Clock
 * @property {(run: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 *
 * @typedef {object} Options
 * @property {string} [userId] who connects, where the hub trusts what it is told
 * @property {Iterable<string>} [rooms] joined after every connect
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
 * @typedef {{ name: "idle" }
 *   | { name: "connecting", attempt: number }
 *   | { name: "connected", sessionId: string }
 *   | { name: "waiting", delayMs: number, attempt: number, code: number, reason: string }
 *   | { name: "closed", code: number, reason: string }} State
 *   `attempt` counts the failures since the last `connected`; `code` is the close code that led here.
 *
 * @typedef {messages.ByType & {
 *   state: [state: State],
 *   message: [message: messages.Message, text: string],
 * }} Events
 */

const OPEN = 1;
const NORMAL = 1000;
const CUT = 1006;
const DRAINING = 1012;

/** The server holds `connected` for 2 s at most; what takes this long is a network that swallows packets. */
const CONNECT_DEADLINE_MS = 15_000;

/** No drain asks for more than 10 s; a wild `delay_ms` must not keep a client on a dying node. */
const LONGEST_DRAIN_DELAY_MS = 30_000;

const PING_AFTER_MS = 60_000;
const PONG_WITHIN_MS = 10_000;

/** Beyond this, timers fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Client {
  /** @type {string} */
  #url;
  #WebSocket;
  #clock;
  #random;
  #network;
  #pingAfterMs;
  #pongWithinMs;
  /** @type {Set<string>} */
  #rooms;
  /**
   * Rooms asked for on this connection that no `joined` has come for.
   *
   * @type {Set<string>}
   */
  #asked = new Set();
  /** @type {Listeners<Events>} */
  #listeners = new Listeners();
  /** @type {State} */
  #state = { name: "idle" };
  /** @type {WebSocketLike | null} */
  #socket = null;
  /** @type {unknown} */
  #timer = null;
  /** Whether the node has asked this client to move on; the timer is then that of the move. */
  #draining = false;
  #attempt = 0;
  #atLeastMs = 0;

  /**
   * @param {string | URL} url where the hub listens; in a browser relative to the page
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    this.#url = address(url, options.userId);
    const WebSocketClass = options.WebSocket ?? globalThis.WebSocket;
    if (!WebSocketClass) throw new TypeError("no WebSocket here: pass one as options.WebSocket");
    this.#WebSocket = WebSocketClass;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#network = options.network ?? surroundings();
    this.#pingAfterMs = span(options.pingAfterMs ?? PING_AFTER_MS);
    this.#pongWithinMs = span(options.pongWithinMs ?? PONG_WITHIN_MS);
    this.#rooms = new Set(options.rooms);
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** The rooms that are joined after every connect. */
  get rooms() {
    return [...this.#rooms];
  }

  /**
   * Listens to an event: one per type of server message, `message` for every message whether known
   * or not, and `state`.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => void} listener
   * @returns {() => void} call it to stop listening
   */
  on(name, listener) {
    this.#listeners.add(name, listener);
    return () => this.#listeners.remove(name, listener);
  }

  /** Connects, or, while waiting, tries at once. Where it already connects or is connected it does nothing. */
  connect() {
    if (this.#socket) return;
    this.#network?.addEventListener("online", this.#online);
    this.#open();
  }

  /** Leaves for good, until `connect` is called again. */
  close() {
    if (this.#state.name === "idle" || this.#state.name === "closed") return;
    this.#abandon(NORMAL);
    this.#end(NORMAL, "closed by this client");
  }

  /**
   * The three ways to write, and `ping`, return whether the message was handed to a connection.
   * While there is none it is not kept: say it again after `connected`.
   *
   * @param {unknown} data any JSON value
   * @returns {boolean}
   */
  broadcast(data) {
    return this.#send(messages.broadcast(data));
  }

  /**
   * @param {string | readonly string[]} targets up to 100 users
   * @param {unknown} data
   * @returns {boolean}
   */
  user(targets, data) {
    return this.#send(messages.user(targets, data));
  }

  /**
   * @param {string} roomId
   * @param {unknown} data
   * @returns {boolean}
   */
  room(roomId, data) {
    return this.#send(messages.room(roomId, data));
  }

  /** @returns {boolean} */
  ping() {
    return this.#send(messages.ping());
  }

  /**
   * Joins now, or as soon as there is a connection, and again after every reconnect. A room that is
   * refused is forgotten, which `error` tells with its `room_id`.
   *
   * @param {string} roomId
   */
  join(roomId) {
    if (!this.#rooms.has(roomId)) this.#asked.add(roomId);
    this.#rooms.add(roomId);
    this.#send(messages.join(roomId));
  }

  /** @param {string} roomId */
  leave(roomId) {
    this.#rooms.delete(roomId);
    this.#asked.delete(roomId);
    this.#send(messages.leave(roomId));
  }

  #open() {
    this.#cancel();
    const socket = this.#dial();
    if (!socket) return this.#lost(CUT, "the WebSocket could not be made");
    this.#socket = socket;
    // A socket that was given up may still report; only the current one is listened to.
    socket.onmessage = (/** @type {{ data: unknown }} */ event) => {
      if (socket === this.#socket) this.#hear(event.data);
    };
    socket.onclose = (/** @type {{ code: number, reason: string }} */ event) => {
      if (socket === this.#socket) this.#lost(event.code, event.reason);
    };
    // A close event follows every error; without this handler Node would end the process.
    socket.onerror = () => {};
    this.#schedule(CONNECT_DEADLINE_MS, () => this.#giveUp("no answer"));
    this.#become({ name: "connecting", attempt: this.#attempt });
  }

  #dial() {
    try {
      return new this.#WebSocket(this.#url, ["wshub.v1"]);
    } catch {
      // Browsers throw where a policy forbids the connection or where they run out of sockets; the
      // latter passes, so it is treated as a connection that failed.
      return null;
    }
  }

  /** @param {unknown} frame */
  #hear(frame) {
    if (this.#state.name === "connected" && !this.#draining) this.#watch();
    const message = messages.read(frame);
    if (!message) return;
    if (message.type === "connected") this.#welcome(message.session_id);
    if (message.type === "reconnect") this.#drain(message.delay_ms);
    this.#keepRooms(message);
    this.#listeners.tell("message", message, /** @type {string} */ (frame));
    if (messages.isKnown(message.type)) {
      this.#listeners.tell(message.type, /** @type {any} */ (message));
    }
  }

  /** @param {string} sessionId */
  #welcome(sessionId) {
    this.#draining = false;
    this.#watch();
    this.#attempt = 0;
    // The state comes first, since only a connected client sends; the rooms come before anything
    // that a listener says into them.
    this.#state = { name: "connected", sessionId };
    this.#asked = new Set(this.#rooms);
    for (const room of this.#rooms) this.#send(messages.join(room));
    this.#listeners.tell("state", this.#state);
  }

  /**
   * Forgets a room whose join is refused; it would be refused again after every reconnect. Before
   * `joined` has come the error may as well be for a message into the room, so a `joined` that comes
   * after it brings the room back.
   *
   * @param {messages.Message} message
   */
  #keepRooms({ type, room_id }) {
    if (type === "error" && this.#asked.has(room_id)) this.#rooms.delete(room_id);
    if (type === "joined" && this.#asked.delete(room_id)) this.#rooms.add(room_id);
    // Where the room is wanted again, a second join is on its way behind the leave.
    if (type === "left" && this.#rooms.has(room_id)) this.#asked.add(room_id);
  }

  /**
   * A connection whose other end vanished looks open for as long as nothing is written to it, and a
   * page can't see the server's own pings. So each message starts this wait anew, and after a long
   * silence the server is asked for a sign of life.
   */
  #watch() {
    this.#schedule(this.#pingAfterMs, () => {
      this.#schedule(this.#pongWithinMs, () => this.#giveUp("the server fell silent"));
      this.ping();
    });
  }

  /**
   * The node drains: it serves this client until the delay is over, which differs per client so that
   * they don't all arrive at the other nodes at once.
   *
   * @param {unknown} delayMs
   */
  #drain(delayMs) {
    if (this.#state.name !== "connected") return;
    const ms = Math.min(Math.max(Number(delayMs) || 0, 0), LONGEST_DRAIN_DELAY_MS);
    this.#draining = true;
    this.#schedule(ms, () => {
      this.#abandon(NORMAL);
      this.#wait(0, DRAINING, closeCode(DRAINING).meaning);
    });
  }

  /**
   * The close code decides whether to come back, and when.
   *
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    const wasConnected = this.#state.name === "connected";
    this.#socket = null;
    const { comeBack, atLeastMs, meaning } = closeCode(code);
    const why = reason || meaning;
    // There are no tokens yet, and with the expired one the server would only refuse again.
    if (comeBack === "no" || comeBack === "fresh_token") return this.#end(code, why);
    // "At once" is for who was served until now; a node that drains before it says `connected`
    // would otherwise be asked again and again without a pause.
    if (comeBack === "at_once" && wasConnected) return this.#wait(0, code, why);
    const ms = delay(this.#attempt, this.#random, atLeastMs);
    this.#attempt += 1;
    this.#wait(ms, code, why, atLeastMs);
  }

  /**
   * @param {number} delayMs
   * @param {number} code
   * @param {string} reason
   * @param {number} [atLeastMs]
   */
  #wait(delayMs, code, reason, atLeastMs = 0) {
    this.#atLeastMs = atLeastMs;
    this.#schedule(delayMs, () => this.#open());
    this.#become({ name: "waiting", delayMs, attempt: this.#attempt, code, reason });
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    this.#cancel();
    this.#network?.removeEventListener("online", this.#online);
    this.#attempt = 0;
    this.#become({ name: "closed", code, reason });
  }

  /** A network that is back makes waiting pointless, but for a server that asked for distance. */
  #online = () => {
    if (this.#state.name === "waiting" && this.#atLeastMs === 0) this.#open();
  };

  /**
   * Treats a peer that says nothing as a connection that was cut.
   *
   * @param {string} why
   */
  #giveUp(why) {
    this.#abandon(NORMAL);
    this.#lost(CUT, why);
  }

  /**
   * Closes the socket without waiting for the peer, which may be gone.
   *
   * @param {number} code
   */
  #abandon(code) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(code);
  }

  /** @param {string} text */
  #send(text) {
    if (this.#state.name !== "connected" || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /** @param {State} state */
  #become(state) {
    this.#state = state;
    this.#listeners.tell("state", state);
  }

  /**
   * @param {number} ms
   * @param {() => void} run
   */
  #schedule(ms, run) {
    this.#cancel();
    this.#timer = this.#clock.setTimeout(run, ms);
  }

  #cancel() {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}

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

/**
 * @param {string | URL} url
 * @param {string | undefined} userId
 */
function address(url, userId) {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace(/^http/, "ws");
  if (full.protocol !== "ws:" && full.protocol !== "wss:") {
    throw new TypeError(`a hub is reached by ws, wss, http or https, not by ${full.protocol}`);
  }
  full.hash = "";
  if (userId !== undefined) full.searchParams.set("user_id", userId);
  return full.href;
}

/** @param {number} ms */
function span(ms) {
  if (!(ms > 0)) throw new RangeError(`a wait must be a positive number of milliseconds, not ${ms}`);
  return Math.min(ms, LONGEST_TIMER_MS);
}

/** The window, or a worker's scope; Node has neither and nothing there tells `online`. */
function surroundings() {
  return typeof globalThis.addEventListener === "function" ? globalThis : null;
}

/** Browsers insist that their timers are called on the window, hence the arrows. */
const systemClock = {
  setTimeout: (/** @type {() => void} */ run, /** @type {number} */ ms) => setTimeout(run, ms),
  clearTimeout: (/** @type {any} */ timer) => clearTimeout(timer),
};
