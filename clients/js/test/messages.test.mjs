/**
 * Stories of what goes over the wire: the client's words, the server's, and those that neither knows.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "../wshub.js";
import { World } from "./world.js";

test("each method writes the message that the contract names", () => {
  const world = new World();
  world.connect();
  world.client.broadcast({ text: "hello" });
  world.client.user("bob", null);
  world.client.user(["bob", "eve"], [1, 2]);
  world.client.join("news");
  world.client.room("news", "x");
  world.client.leave("news");
  world.client.ping();
  const ids = world.server.newest.heard.map(({ id }) => id).filter((id) => id !== undefined);
  assert.equal(new Set(ids).size, 4);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
  assert.deepEqual(world.server.newest.heard.map(({ id: _, ...message }) => message), [
    { type: "broadcast", data: { text: "hello" } },
    { type: "user", target_ids: ["bob"], data: null },
    { type: "user", target_ids: ["bob", "eve"], data: [1, 2] },
    { type: "join", room_id: "news" },
    { type: "room", room_id: "news", data: "x" },
    { type: "leave", room_id: "news" },
    { type: "ping" },
  ]);
});

test("what may be asked of a publish and of a join goes with it", () => {
  const world = new World();
  world.connect();
  world.client.broadcast(1, { id: "m1", to: "others" });
  world.client.user("bob", 2, { id: "m2", ephemeral: true });
  world.client.room("news", 3, { id: "m3", to: "all", ephemeral: false });
  world.client.join("news", { history: 20, presence: true });
  assert.deepEqual(world.server.newest.heard, [
    { type: "broadcast", data: 1, id: "m1", to: "others" },
    { type: "user", target_ids: ["bob"], data: 2, id: "m2", ephemeral: true },
    { type: "room", room_id: "news", data: 3, id: "m3" },
    { type: "join", room_id: "news", history: 20, presence: true },
  ]);
});

test("an id that the server would not take is the caller's mistake", () => {
  const world = new World();
  world.connect();
  for (const id of ["", "a:b", "a b", "ü", "x".repeat(65)]) {
    assert.throws(() => world.client.broadcast(1, { id }), TypeError);
  }
});

test("the user goes into the query whatever is in the name, and version 1 is offered", () => {
  const world = new World();
  world.connect({ userId: "ann & bob+1/ü" });
  assert.equal(world.server.newest.query.get("user_id"), "ann & bob+1/ü");
  assert.deepEqual(world.server.newest.protocols, ["wshub.v1"]);
  assert.ok(world.server.newest.url.startsWith("ws://hub.test/ws?user_id="));
});

test("an http address is taken for the WebSocket beside it, others are refused", () => {
  const world = new World();
  const client = new Client("https://hub.test/ws", { WebSocket: world.server.WebSocket, clock: world.clock });
  client.connect();
  assert.equal(world.server.newest.url, "wss://hub.test/ws");
  client.close();
  assert.throws(() => new Client("ftp://hub.test/ws", { WebSocket: world.server.WebSocket }), TypeError);
});

test("each message of the server has its event, and message tells all of them as text too", () => {
  const world = new World();
  world.connect();
  const said = [
    { type: "broadcast", id: "1", from: "bob", timestamp: 1, data: "a" },
    { type: "user", id: "2", from: "bob", timestamp: 1, data: { b: 1 } },
    { type: "room", id: "3", from: "", timestamp: 1, room_id: "news", data: null },
    { type: "ack", id: "4", cursor: "1.a:0:1", duplicate: false },
    { type: "joined", room_id: "news", members: 1 },
    { type: "left", room_id: "news", members: 0 },
    { type: "presence", room_id: "news", event: "join", user_id: "bob" },
    { type: "position", cursor: "1.a:0:9" },
    { type: "gap", dropped: 3, cursor: "1.a:0:10" },
    { type: "reset", reason: "node_behind", cursor: "1.a:0:11" },
    { type: "error", code: "too_large", error: "Too large." },
  ];
  for (const message of said) world.server.newest.say(message);
  for (const message of said) assert.deepEqual(world.heard(message.type), [message]);
  assert.deepEqual(world.heard("message").slice(1), said);
});

test("the text is told as it came, for numbers that JavaScript can't hold", () => {
  const world = new World();
  world.connect();
  const texts = [];
  world.client.on("message", (_, text) => texts.push(text));
  const text = '{"type":"broadcast","from":"","data":123456789012345678901234567890}';
  world.server.newest.sayText(text);
  assert.deepEqual(texts, [text]);
});

test("what the client doesn't know changes nothing", () => {
  const world = new World();
  world.connect();
  const frames = ["", "no json", "null", "7", "[]", "{}", '{"type":1}', '{"type":"state"}', '{"type":"__proto__"}'];
  for (const frame of [...frames, new ArrayBuffer(4)]) world.server.newest.sayText(frame);
  world.server.newest.say({ type: "broadcast", from: "", data: 1, new_field: true });
  assert.equal(world.state, "connected");
  assert.deepEqual(world.heard("state").map((state) => state.name), ["connected"]);
  assert.equal(world.heard("broadcast").length, 1);
});

test("an error before the close tells why the client stays away", () => {
  const world = new World();
  world.server.mood = "silence";
  world.connect();
  world.server.newest.say({ type: "error", code: "user_id_required", error: "user_id required" });
  world.cut(4001);
  assert.equal(world.heard("error")[0].code, "user_id_required");
  assert.deepEqual(world.client.state, { name: "closed", code: 4001, reason: "not authenticated" });
});

test("asking for a sign of life while there is no connection says that it wasn't sent", () => {
  const world = new World();
  world.server.mood = "silence";
  world.connect();
  assert.equal(world.client.ping(), false);
  world.server.mood = "accept";
  world.server.answer();
  assert.equal(world.client.ping(), true);
  world.cut();
  assert.equal(world.client.ping(), false);
});

test("data that JSON can't say is the caller's mistake", () => {
  const world = new World();
  world.connect();
  for (const data of [undefined, () => {}, Symbol("x")]) {
    assert.throws(() => world.client.broadcast(data), TypeError);
  }
});

test("a room joined before there is a connection is joined once there is one, ahead of what is said into it", () => {
  const world = new World();
  world.server.mood = "silence";
  const client = world.connect();
  client.join("news");
  client.on("connected", () => client.room("news", "hi"));
  world.server.mood = "accept";
  world.server.answer();
  assert.deepEqual(world.server.newest.heard.map((message) => message.type), ["join", "room"]);
});

test("a listener that throws keeps nothing from the others, and its error surfaces", (t) => {
  const world = new World();
  const client = world.connect();
  const surfaced = [];
  t.mock.method(globalThis, "queueMicrotask", (run) => surfaced.push(run));
  client.on("broadcast", () => {
    throw new Error("a bug in the program");
  });
  const seen = [];
  client.on("broadcast", (message) => seen.push(message.data));
  world.server.newest.say({ type: "broadcast", from: "", data: 1 });
  assert.deepEqual(seen, [1]);
  assert.throws(surfaced[0], /a bug in the program/);
});

test("a listener can be taken off", () => {
  const world = new World();
  const client = world.connect();
  const seen = [];
  const hear = (message) => seen.push(message.data);
  const off = client.on("broadcast", (message) => hear(message));
  client.on("broadcast", hear);
  world.server.newest.say({ type: "broadcast", from: "", data: 1 });
  off();
  world.server.newest.say({ type: "broadcast", from: "", data: 2 });
  client.off("broadcast", hear);
  world.server.newest.say({ type: "broadcast", from: "", data: 3 });
  assert.deepEqual(seen, [1, 1, 2]);
});
