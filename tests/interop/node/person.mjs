/**
 * Somebody on the hub, with a connection of Node's ws: what was heard waits in order until the test asks.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";

const DEADLINE_MS = 10_000;

export class Person {
  #waiting = [];
  #heard = [];

  constructor(socket) {
    this.socket = socket;
    socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, false, "every message of the server is a text frame");
      this.#heard.push(data.toString());
      this.#waiting.shift()?.();
    });
  }

  /** Connects and has heard `connected`; `asks` are further parameters. */
  static async connect(hub, user, { asks = {}, ...options } = {}) {
    const address = `${hub.socketAddress}?${new URLSearchParams({ user_id: user, ...asks })}`;
    const person = new Person(new WebSocket(address, options.protocols ?? [], options));
    await once(person.socket, "open", { signal: AbortSignal.timeout(DEADLINE_MS) });
    person.connected = await person.hear("connected");
    return person;
  }

  send(type, fields = {}) {
    this.socket.send(JSON.stringify({ type, ...fields }));
  }

  /** The next message as it came over the wire. */
  async hearText() {
    if (this.#heard.length === 0) {
      await new Promise((heard, reject) => {
        const late = () => reject(new Error("nothing was heard in time"));
        const deadline = setTimeout(late, DEADLINE_MS);
        this.#waiting.push(() => {
          clearTimeout(deadline);
          heard();
        });
      });
    }
    return this.#heard.shift();
  }

  /** The next message, which must be of this type. */
  async hear(type) {
    const message = JSON.parse(await this.hearText());
    assert.equal(message.type, type, JSON.stringify(message));
    return message;
  }

  /** Closes the connection and returns the close code that the hub answered with. */
  leave(code = 1000) {
    const closed = this.hearClose();
    this.socket.close(code);
    return closed;
  }

  /** Resolves to the close code that the hub ends the connection with. */
  async hearClose() {
    return (await once(this.socket, "close", { signal: AbortSignal.timeout(DEADLINE_MS) }))[0];
  }
}
