/**
 * Stories of a server that falls silent: one that lives is asked and kept, one that is gone is left.
 * The connection itself looks open in both, which is what a half-open TCP connection looks like.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

const PING = { type: "ping" };

test("a server from which nothing came for a minute is asked once, and not before", () => {
  const world = new World();
  world.connect();
  world.advance(59_999);
  assert.deepEqual(world.server.newest.heard, []);
  world.advance(1);
  assert.deepEqual(world.server.newest.heard, [PING]);
  world.advance(9_999);
  assert.deepEqual(world.server.newest.heard, [PING]);
  assert.equal(world.state, "connected");
});

test("a quiet server that lives is asked each minute and kept for good", () => {
  const world = new World();
  world.connect();
  for (let minute = 1; minute <= 100; minute += 1) {
    world.advance(60_000);
    assert.equal(world.server.newest.heard.length, minute);
    world.advance(1000);
    world.server.newest.say({ type: "pong" });
  }
  assert.equal(world.tries, 1);
  assert.equal(world.clock.pending, 1);
});

test("a server that is gone is left after ten seconds more, and the client comes back into its rooms", () => {
  const world = new World();
  world.connect({ rooms: ["news"] });
  world.server.mood = "silence";
  world.advance(70_000);
  assert.equal(world.server.newest.closedWith, 1000);
  assert.deepEqual(world.client.state, {
    name: "waiting",
    delayMs: 1000,
    attempt: 1,
    code: 1006,
    reason: "the server fell silent",
  });
  world.server.mood = "accept";
  world.advance(1000);
  assert.equal(world.state, "connected");
  assert.deepEqual(world.server.newest.heard, [{ type: "join", room_id: "news" }]);
});

test("a server that stays gone is tried with growing waits", () => {
  const world = new World();
  world.connect();
  world.server.mood = "refuse";
  world.advance(70_000);
  const waits = [];
  for (let i = 0; i < 3; i += 1) {
    waits.push(world.client.state.delayMs);
    world.advance(world.client.state.delayMs);
  }
  assert.deepEqual(waits, [1000, 2000, 4000]);
});

test("whatever comes is a sign of life, before the ping and after it", () => {
  const messages = ['{"type":"broadcast","from":"","data":1}', '{"type":"unheard_of"}', "no json", new ArrayBuffer(4)];
  for (const frame of messages) {
    const world = new World();
    world.connect();
    world.advance(59_000);
    world.server.newest.sayText(frame);
    world.advance(59_999);
    assert.deepEqual(world.server.newest.heard, []);
    world.advance(10_000);
    assert.deepEqual(world.server.newest.heard, [PING]);
    world.server.newest.sayText(frame);
    world.advance(59_999);
    assert.deepEqual([world.state, world.tries], ["connected", 1]);
    assert.deepEqual(world.server.newest.heard, [PING]);
  }
});

test("what the client itself writes is no sign of life", () => {
  const world = new World();
  world.connect();
  for (let i = 0; i < 7; i += 1) {
    world.client.broadcast("into the void");
    world.server.mood = "silence";
    world.advance(10_000);
  }
  assert.equal(world.state, "waiting");
});

test("a socket that is closing and never says so is left too", () => {
  const world = new World();
  world.connect();
  const CLOSING = 2;
  world.server.newest.readyState = CLOSING;
  world.server.mood = "silence";
  world.advance(70_000);
  assert.equal(world.state, "waiting");
});

test("how long to wait can be chosen", () => {
  const world = new World();
  world.connect({ pingAfterMs: 5000, pongWithinMs: 500 });
  world.server.mood = "silence";
  world.advance(5000);
  assert.deepEqual(world.server.newest.heard, [PING]);
  world.advance(499);
  assert.equal(world.state, "connected");
  world.advance(1);
  assert.equal(world.state, "waiting");
});

test("a wait without an end is as long as a timer can be, and one that is none is refused", () => {
  const world = new World();
  world.connect({ pingAfterMs: Infinity });
  assert.deepEqual(world.clock.delays, [2 ** 31 - 1]);
  for (const ms of [0, -1, NaN, "soon"]) {
    assert.throws(() => new World().connect({ pingAfterMs: ms }), RangeError);
    assert.throws(() => new World().connect({ pongWithinMs: ms }), RangeError);
  }
});

test("words before connected don't put off the end of an attempt", () => {
  const world = new World();
  world.server.mood = "silence";
  world.connect();
  world.advance(14_000);
  world.server.newest.say({ type: "error", code: "unavailable", error: "Not now." });
  world.advance(1000);
  assert.equal(world.state, "waiting");
});

test("messages of a draining node don't put off the move", () => {
  const world = new World();
  world.connect();
  world.server.newest.say({ type: "reconnect", reason: "draining", delay_ms: 4000 });
  world.advance(3000);
  world.server.newest.say({ type: "broadcast", from: "", data: 1 });
  world.advance(1000);
  assert.deepEqual([world.state, world.tries], ["connected", 2]);
  world.advance(60_000);
  assert.deepEqual(world.server.newest.heard, [PING]);
});

test("no timer is left behind by close, be it called in quiet, after a ping, or by a listener", () => {
  const quiet = new World();
  quiet.connect();
  quiet.client.close();
  assert.equal(quiet.clock.pending, 0);

  const asked = new World();
  asked.connect();
  asked.advance(60_000);
  asked.client.close();
  asked.server.connections[0].say({ type: "pong" });
  assert.equal(asked.clock.pending, 0);

  for (const event of ["connected", "state", "broadcast"]) {
    const world = new World();
    world.server.mood = "silence";
    const client = world.connect();
    client.on(event, () => client.close());
    world.server.mood = "accept";
    world.server.answer();
    world.server.newest.say({ type: "broadcast", from: "", data: 1 });
    assert.deepEqual([world.state, world.clock.pending], ["closed", 0]);
  }
});
