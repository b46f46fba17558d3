/**
 * A client, a server and a clock that belong together: the only thing through which the stories
 * touch the client's interface.
 */
import { connect } from "../wshub.js";
import { FakeClock } from "./fake_clock.js";
import { FakeServer } from "./fake_server.js";

const MESSAGES = ["connected", "broadcast", "user", "room", "ack", "joined", "left", "presence", "error"];
const EVENTS = ["state", "message", "resumed", "lost", "position", "gap", "reset", ...MESSAGES];

export class World {
  clock = new FakeClock();
  server = new FakeServer();
  network = new EventTarget();
  /** What `random` gives; 1 is the ceiling itself, which makes the waits easy to read. */
  luck = 1;
  /** All that the client told, as [event, value]. */
  told = [];

  /** Connects with these options; `listens` is false where the world is to hear nothing itself. */
  connect({ listens = true, ...options } = {}) {
    this.client = connect("ws://hub.test/ws", {
      userId: "ann",
      WebSocket: this.server.WebSocket,
      clock: this.clock,
      random: () => this.luck,
      network: this.network,
      ...options,
    });
    for (const name of listens ? EVENTS : []) {
      this.client.on(name, (value) => this.told.push([name, value]));
    }
    this.server.answer();
    return this.client;
  }

  /** Lets time pass; the server answers a connect in the moment in which it is made. */
  advance(ms) {
    this.clock.advance(ms, () => this.server.answer());
  }

  cut(code = 1006) {
    this.server.newest.closeFromServer(code);
  }

  online() {
    this.network.dispatchEvent(new Event("online"));
  }

  get state() {
    return this.client.state.name;
  }

  get tries() {
    return this.server.connections.length;
  }

  heard(name) {
    return this.told.filter(([event]) => event === name).map(([, value]) => value);
  }
}
