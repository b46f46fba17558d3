/**
 * A hub that does what a test tells it: it accepts, refuses or stays silent, says any message, and
 * closes with any code. It stands behind a WebSocket class that is handed to the client, and knows
 * the client only through what it sent.
 */

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;

export class FakeServer {
  /** What becomes of the next connections: `accept`, `refuse` (nobody listens), `silence`, `throw`. */
  mood = "accept";
  /** What `connected` says beside the label of the session and the user. */
  greeting = {};
  /** Every connection there was, the newest last. */
  connections = [];

  /** The WebSocket class whose sockets lead to this server. */
  WebSocket;

  constructor() {
    const server = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url, protocols) {
        if (server.mood === "throw") throw new Error("no more sockets");
        super(url, protocols);
        server.connections.push(this);
      }
    };
  }

  /** Answers those that are connecting, as the mood is. */
  answer() {
    for (const socket of this.connections.filter((each) => each.readyState === CONNECTING)) {
      if (this.mood === "refuse") socket.closeFromServer(1006);
      if (this.mood !== "accept") continue;
      socket.readyState = OPEN;
      const session_id = `session-${this.connections.length}`;
      const user_id = socket.query.get("user_id");
      socket.say({ type: "connected", session_id, user_id, timestamp: 1, ...this.greeting });
    }
  }

  get newest() {
    return this.connections.at(-1);
  }
}

class FakeSocket {
  readyState = CONNECTING;
  onmessage = null;
  onclose = null;
  onerror = null;
  /** What the client sent, as text and parsed. */
  sent = [];
  heard = [];
  /** The code with which the client closed. */
  closedWith = null;

  constructor(url, protocols) {
    this.url = url;
    this.query = new URL(url).searchParams;
    this.protocols = protocols;
  }

  send(text) {
    if (this.readyState !== OPEN) throw new Error("sent on a socket that isn't open");
    this.sent.push(text);
    this.heard.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
    this.readyState = CLOSED;
  }

  say(message) {
    this.sayText(JSON.stringify(message));
  }

  sayText(text) {
    this.onmessage({ data: text });
  }

  closeFromServer(code, reason = "") {
    this.readyState = CLOSED;
    this.onclose({ code, reason });
  }
}
