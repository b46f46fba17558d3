/**
 * The client on Node through the `ws` package, against a real socket in this process: what the fake
 * server can't show is that the two packages fit together.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import WebSocket, { WebSocketServer } from "ws";

import { connect } from "../wshub.js";

test("a Node program connects with the ws package, writes, is cut and comes back", async (t) => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  server.on("connection", (socket) => {
    socket.send('{"type":"connected","session_id":"s","user_id":"ann","timestamp":1}');
    socket.on("message", (text) => {
      const { id } = JSON.parse(text);
      socket.send(String(text));
      socket.send(JSON.stringify({ type: "ack", id, cursor: "1.a:0:1", duplicate: false }));
    });
  });
  const url = `ws://127.0.0.1:${server.address().port}/ws`;
  const hub = connect(url, { userId: "ann", WebSocket, random: () => 0 });
  t.after(() => {
    hub.close();
    server.close();
  });
  await heard(hub, "connected");
  const echoed = heard(hub, "broadcast");
  const receipt = await hub.broadcast({ n: 1 }, { id: "m1" });
  assert.deepEqual(receipt, { id: "m1", cursor: "1.a:0:1", duplicate: false });
  assert.deepEqual((await echoed).data, { n: 1 });
  const back = heard(hub, "connected");
  for (const socket of server.clients) socket.terminate();
  await back;
  assert.equal((await hub.broadcast("again", { id: "m2" })).id, "m2");
});

test("a port on which nobody listens is an attempt that failed, not an end of the process", async (t) => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  const hub = connect(`ws://127.0.0.1:${port}/ws`, { WebSocket, random: () => 0.999 });
  t.after(() => hub.close());
  const state = await heard(hub, "state");
  assert.deepEqual([state.name, state.code], ["waiting", 1006]);
});

/** The next value of an event. */
function heard(hub, name) {
  return new Promise((resolve) => {
    const off = hub.on(name, (value) => {
      off();
      resolve(value);
    });
  });
}
