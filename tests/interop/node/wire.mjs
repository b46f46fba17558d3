/**
 * A wire between clients and a node that a test can cut: it passes bytes on, and breaks all connections
 * without a word to either side's WebSocket.
 */
import { once } from "node:events";
import net from "node:net";

export class Wire {
  #server;
  #sockets = new Set();

  constructor(server) {
    this.#server = server;
  }

  /** Opens a wire to a port; clients connect to the wire's own. */
  static async to(port) {
    const server = net.createServer();
    const wire = new Wire(server);
    server.on("connection", (near) => wire.#join(near, net.connect(port, "127.0.0.1")));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return wire;
  }

  get socketAddress() {
    return `ws://127.0.0.1:${this.#server.address().port}/ws`;
  }

  /** Breaks every connection there is; new ones are passed on as before. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  close() {
    this.#server.close();
    this.cut();
  }

  #join(near, far) {
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#sockets.add(one);
      one.pipe(other);
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}
