/**
 * One user's connection to the hub, across as many sockets as it takes: it connects, hands on what it
 * hears, and comes back whenever the close code lets it. Each state has at most one timer, so one
 * field holds it, and every change of state clears it.
 */
import { delay } from "./backoff.js";
import { closeCode } from "./codes.js";
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
 * @typedef {{ name: "idle" }
 *   | { name: "connecting", attempt: number }
 *   | { name: "connected", sessionId: string }
 *   | { name: "waiting", delayMs: number, attempt: number, code: number, reason: string }
 *   | { name: "closed", code: number, reason: string }} State
 *   `attempt` counts the failures since the last `connected`; `code` is the close code that led here.
 *
 * @typedef {{ url: string, protocols: string[] }} Destination
 *
 * @typedef {object} Owner who has a link
 * @property {() => Destination | Promise<Destination>} destination where the next socket is to lead; a
 *   failure counts as one to connect
 * @property {(error: unknown) => void} noDestination
 * @property {() => boolean} hasFreshTokens whether another `destination` has another token
 * @property {(message: messages.Message) => void} welcome is told of `connected` before anybody else
 * @property {(message: messages.Message, text: string) => void} hear
 * @property {(code: number) => void} cut is told that a connection is over, before its next state
 * @property {(state: State) => void} become
 *
 * @typedef {object} Surroundings
 * @property {new (url: string, protocols: string[]) => WebSocketLike} WebSocket
 * @property {import("./outbox.js").Clock} clock
 * @property {() => number} random
 * @property {Pick<EventTarget, "addEventListener" | "removeEventListener"> | null} network
 * @property {number} pingAfterMs
 * @property {number} pongWithinMs
 */

const OPEN = 1;
const NORMAL = 1000;
const CUT = 1006;
const DRAINING = 1012;

/** The server holds `connected` for 2 s at most; what takes this long is a network that swallows packets. */
const CONNECT_DEADLINE_MS = 15_000;

/** No drain asks for more than 10 s; a wild `delay_ms` must not keep a client on a dying node. */
const LONGEST_DRAIN_DELAY_MS = 30_000;

/** Who is sent away again within this time of having come at once backs off like anybody else. */
const HURRY_MS = 1000;

/** Beyond this, timers fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Link {
  #owner;
  #WebSocket;
  #clock;
  #random;
  #network;
  #pingAfterMs;
  #pongWithinMs;
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
  #hurriedAt = -Infinity;
  /** Counts the sockets that were wanted, so that a token which comes late opens none. */
  #dials = 0;

  /**
   * @param {Owner} owner
   * @param {Surroundings} surroundings
   */
  constructor(owner, { WebSocket, clock, random, network, pingAfterMs, pongWithinMs }) {
    this.#owner = owner;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#random = random;
    this.#network = network;
    this.#pingAfterMs = span(pingAfterMs);
    this.#pongWithinMs = span(pongWithinMs);
  }

  get state() {
    return this.#state;
  }

  /** Connects, or, while waiting, tries at once. Where it already connects or is connected it does nothing. */
  open() {
    if (this.#state.name === "connecting" || this.#state.name === "connected") return;
    this.#network?.addEventListener("online", this.#online);
    this.#dial();
  }

  /** Leaves for good, until it is opened again. */
  close() {
    if (this.#state.name === "idle" || this.#state.name === "closed") return;
    this.#abandon(NORMAL);
    this.#end(NORMAL, "closed by this client");
  }

  /** Closes the connection and comes back a random moment later. */
  comeBack() {
    this.#abandon(NORMAL);
    this.#wait(delay(0, this.#random), NORMAL, "coming back to resume");
  }

  /**
   * @param {string} text
   * @returns {boolean} whether it was handed to a connection
   */
  send(text) {
    if (this.#state.name !== "connected" || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  #dial() {
    const dial = (this.#dials += 1);
    const fail = (/** @type {unknown} */ error) => {
      if (dial !== this.#dials) return;
      this.#owner.noDestination(error);
      this.#lost(CUT, "there is no token to connect with");
    };
    this.#schedule(CONNECT_DEADLINE_MS, () => this.#giveUp("no answer"));
    this.#state = { name: "connecting", attempt: this.#attempt };
    const open = (/** @type {Destination} */ to) => {
      if (dial === this.#dials) this.#open(to);
    };
    const destination = this.#destination();
    if ("url" in destination) open(destination);
    else destination.then(open, fail);
    // Told last, since a listener may close the client.
    if (dial === this.#dials && this.#state.name === "connecting") this.#become(this.#state);
  }

  /** A failure comes later at any rate: who has just made a client isn't listening yet. */
  #destination() {
    try {
      return this.#owner.destination();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @param {Destination} to */
  #open({ url, protocols }) {
    const socket = this.#make(url, protocols);
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
  }

  /**
   * @param {string} url
   * @param {string[]} protocols
   */
  #make(url, protocols) {
    try {
      return new this.#WebSocket(url, protocols);
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
    if (message.type === "connected") this.#welcome(message);
    if (message.type === "reconnect") this.#drain(message.delay_ms);
    this.#owner.hear(message, /** @type {string} */ (frame));
  }

  /** @param {messages.Message} message */
  #welcome(message) {
    this.#draining = false;
    this.#watch();
    this.#attempt = 0;
    // The state comes first, since only a connected client sends; what the client itself has to say
    // comes before anything that a listener does.
    this.#state = { name: "connected", sessionId: message.session_id };
    this.#owner.welcome(message);
    this.#owner.become(this.#state);
  }

  /**
   * A connection whose other end vanished looks open for as long as nothing is written to it, and a
   * page can't see the server's own pings. So each message starts this wait anew, and after a long
   * silence the server is asked for a sign of life.
   */
  #watch() {
    this.#schedule(this.#pingAfterMs, () => {
      this.#schedule(this.#pongWithinMs, () => this.#giveUp("the server fell silent"));
      this.send(messages.ping());
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
    this.#dials += 1;
    this.#owner.cut(code);
    const { comeBack, atLeastMs, meaning } = closeCode(code);
    const why = reason || meaning;
    // With the same token the server would only refuse again.
    const isLastToken = comeBack === "fresh_token" && !this.#owner.hasFreshTokens();
    if (comeBack === "no" || isLastToken) return this.#end(code, why);
    if (comeBack !== "back_off" && wasConnected && this.#mayHurry()) return this.#wait(0, code, why);
    const ms = delay(this.#attempt, this.#random, atLeastMs);
    this.#attempt += 1;
    this.#wait(ms, code, why, atLeastMs);
  }

  /**
   * "At once" is for who was served until now. A node that drains before it says `connected`, or sends
   * everybody away again, would otherwise be asked again and again without a pause.
   */
  #mayHurry() {
    const now = this.#clock.now();
    if (now - this.#hurriedAt < HURRY_MS) return false;
    this.#hurriedAt = now;
    return true;
  }

  /**
   * @param {number} delayMs
   * @param {number} code
   * @param {string} reason
   * @param {number} [atLeastMs]
   */
  #wait(delayMs, code, reason, atLeastMs = 0) {
    this.#atLeastMs = atLeastMs;
    this.#schedule(delayMs, () => this.#dial());
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
    if (this.#state.name === "waiting" && this.#atLeastMs === 0) this.#dial();
  };

  /**
   * Treats a peer that says nothing as a connection that was cut.
   *
   * @param {string} why
   */
  #giveUp(why) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(NORMAL);
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
    this.#dials += 1;
    socket?.close(code);
    this.#owner.cut(code);
  }

  /** @param {State} state */
  #become(state) {
    this.#state = state;
    this.#owner.become(state);
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

/** @param {number} ms */
function span(ms) {
  if (!(ms > 0)) throw new RangeError(`a wait must be a positive number of milliseconds, not ${ms}`);
  return Math.min(ms, LONGEST_TIMER_MS);
}
