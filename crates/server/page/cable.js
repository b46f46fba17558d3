/**
 * The cable between one device and the hub. It can be pulled, and it tells what goes through it. The
 * client is given its class of sockets in place of the browser's, and knows nothing of it.
 */

/**
 * @typedef {"out" | "in" | "note"} Direction `note` for what happens to the cable itself
 * @typedef {(direction: Direction, text: string) => void} Tap
 */

const CLOSED = 3;
const CUT = 1006;
const PULLED = "the plug was pulled";

export class Cable {
  /** @type {Socket | null} */
  #socket = null;
  #isIn = true;

  /** @param {Tap} tap */
  constructor(tap) {
    this.tap = tap;
  }

  get isIn() {
    return this.#isIn;
  }

  /** What the client makes its sockets of. */
  get socketClass() {
    const cable = this;
    return class extends Socket {
      /**
       * @param {string} url
       * @param {string[]} protocols
       */
      constructor(url, protocols) {
        super(cable, url, protocols);
        cable.#socket = this;
      }
    };
  }

  /** From now on nothing goes through, and no connection comes about. */
  pull() {
    this.#isIn = false;
    this.tap("note", "the plug is out");
    this.#socket?.cut();
  }

  plugIn() {
    this.#isIn = true;
    this.tap("note", "the plug is in");
  }
}

/** A socket at the end of a cable, as far as the client uses one. */
class Socket {
  /** @type {((event: any) => void) | null} */
  onmessage = null;
  /** @type {((event: any) => void) | null} */
  onclose = null;
  /** @type {((event: any) => void) | null} */
  onerror = null;
  /** @type {WebSocket | null} */
  #real = null;
  #tap;

  /**
   * @param {Cable} cable
   * @param {string} url
   * @param {string[]} protocols
   */
  constructor(cable, url, protocols) {
    this.#tap = cable.tap;
    if (cable.isIn) this.#connect(url, protocols);
    else queueMicrotask(() => this.#end(CUT, PULLED));
  }

  get readyState() {
    return this.#real?.readyState ?? CLOSED;
  }

  /** @param {string} text */
  send(text) {
    this.#tap("out", text);
    this.#real?.send(text);
  }

  /** @param {number} [code] */
  close(code) {
    this.#tap("note", `closed by this client (${code})`);
    this.#real?.close(code);
  }

  /**
   * No script can make a browser drop a connection without a word. So it is closed, and the client is
   * told nothing of that: it sees what it would see if the network were gone.
   */
  cut() {
    const real = this.#real;
    if (!real || real.readyState >= WebSocket.CLOSING) return;
    real.onmessage = real.onclose = real.onopen = null;
    real.close();
    this.#real = null;
    this.#end(CUT, PULLED);
  }

  /**
   * @param {string} url
   * @param {string[]} protocols
   */
  #connect(url, protocols) {
    const { pathname, search } = new URL(url);
    this.#tap("out", `GET ${pathname}${search}`);
    const real = new WebSocket(url, protocols);
    this.#real = real;
    real.onmessage = (event) => {
      this.#tap("in", String(event.data));
      this.onmessage?.(event);
    };
    real.onclose = ({ code, reason }) => {
      this.#tap("note", `closed (${code}${reason ? ` ${reason}` : ""})`);
      this.#end(code, reason);
    };
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    this.onclose?.({ code, reason });
  }
}
