/**
 * Stories of a client that is cut and comes back: when, how often, and when not.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { CLOSE_CODES } from "../wshub.js";
import { World } from "./world.js";

test("a client that is cut comes back and joins its rooms again", () => {
  const world = new World();
  world.connect({ rooms: ["news"] });
  world.client.join("chat");
  world.client.join("gone");
  world.client.leave("gone");
  world.cut();
  world.advance(1000);
  assert.equal(world.state, "connected");
  assert.deepEqual(world.server.newest.heard, [
    { type: "join", room_id: "news" },
    { type: "join", room_id: "chat" },
  ]);
});

test("the wait doubles up to half a minute and has no end", () => {
  const world = new World();
  world.connect();
  world.server.mood = "refuse";
  world.cut();
  const waits = [];
  for (let i = 0; i < 2000; i += 1) {
    waits.push(world.client.state.delayMs);
    world.advance(world.client.state.delayMs);
  }
  assert.deepEqual(waits.slice(0, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assert.equal(waits.at(-1), 30_000);
  assert.equal(world.tries, 2001);
});

test("jitter covers the whole span down to nothing", () => {
  const world = new World();
  world.luck = 0;
  world.connect();
  world.cut();
  assert.equal(world.client.state.delayMs, 0);
  world.advance(0);
  world.luck = 0.25;
  world.cut();
  assert.equal(world.client.state.delayMs, 250);
});

test("the waits start small again once the server has said connected", () => {
  const world = new World();
  world.server.mood = "refuse";
  world.connect();
  for (let i = 0; i < 5; i += 1) world.advance(world.client.state.delayMs);
  assert.equal(world.client.state.delayMs, 30_000);
  world.server.mood = "accept";
  world.advance(30_000);
  world.cut();
  assert.equal(world.client.state.delayMs, 1000);
});

for (const [code, row] of Object.entries(CLOSE_CODES)) {
  test(`after close code ${code} (${row.meaning}) the client does as the table says`, () => {
    const world = new World();
    world.connect();
    world.cut(Number(code));
    const expected = {
      no: { name: "closed" },
      fresh_token: { name: "closed" },
      at_once: { name: "waiting", delayMs: 0 },
      back_off: { name: "waiting", delayMs: row.atLeastMs + 1000 },
    }[row.comeBack];
    assert.deepEqual({ ...world.client.state, ...expected }, world.client.state);
    assert.equal(world.client.state.code, Number(code));
    assert.equal(world.client.state.reason, row.meaning);
  });
}

test("a client that is told to stay away leaves no timer and no ear behind", () => {
  const world = new World();
  world.connect();
  world.cut(4003);
  world.online();
  world.advance(120_000);
  assert.equal(world.tries, 1);
  assert.equal(world.clock.pending, 0);
});

test("too many connections keeps at least 30 s of distance, whatever the luck and the network say", () => {
  const world = new World();
  world.luck = 0;
  world.connect();
  world.cut(4009);
  world.online();
  world.advance(29_999);
  assert.equal(world.tries, 1);
  world.advance(1);
  assert.equal(world.tries, 2);
});

test("a node that drains before it says connected is not asked without a pause", () => {
  const world = new World();
  world.server.mood = "silence";
  world.connect();
  world.cut(1012);
  assert.equal(world.client.state.delayMs, 1000);
});

test("a draining node serves until the delay is over, then the client moves at once", () => {
  const world = new World();
  world.connect();
  world.server.newest.say({ type: "reconnect", reason: "draining", delay_ms: 4000 });
  world.advance(3999);
  assert.equal(world.client.ping(), true);
  world.advance(1);
  assert.equal(world.server.connections[0].closedWith, 1000);
  assert.equal(world.tries, 2);
  assert.equal(world.state, "connected");
});

test("a node that sends everybody away again at once is not asked without a pause", () => {
  const world = new World();
  world.connect();
  world.cut(1012);
  world.advance(0);
  assert.equal(world.state, "connected");
  world.cut(1012);
  assert.equal(world.client.state.delayMs, 1000);
  world.advance(1000);
  world.cut(1012);
  assert.equal(world.client.state.delayMs, 0);
});

test("a wild delay neither keeps the client on a dying node nor breaks it", () => {
  for (const delay_ms of [1e12, -5, null, "soon", undefined]) {
    const world = new World();
    world.connect();
    world.server.newest.say({ type: "reconnect", reason: "draining", delay_ms });
    world.advance(30_000);
    assert.equal(world.tries, 2);
  }
});

test("a draining node that closes first is left at once too", () => {
  const world = new World();
  world.connect();
  world.server.newest.say({ type: "reconnect", reason: "draining", delay_ms: 4000 });
  world.cut(1012);
  world.advance(0);
  assert.equal(world.state, "connected");
  world.advance(60_000);
  assert.equal(world.tries, 2);
});

test("a network that is back ends the wait", () => {
  const world = new World();
  world.server.mood = "refuse";
  world.connect();
  for (let i = 0; i < 5; i += 1) world.advance(world.client.state.delayMs);
  world.server.mood = "accept";
  world.online();
  world.server.answer();
  assert.equal(world.state, "connected");
  world.online();
  assert.equal(world.tries, 7);
});

test("a connect that gets no answer is given up and tried again", () => {
  const world = new World();
  world.server.mood = "silence";
  world.connect();
  world.advance(15_000);
  assert.equal(world.state, "waiting");
  assert.equal(world.server.newest.closedWith, 1000);
  world.server.mood = "accept";
  world.advance(1000);
  assert.equal(world.state, "connected");
});

test("a socket that was given up is not listened to any more", () => {
  const world = new World();
  world.server.mood = "silence";
  world.connect();
  world.advance(15_000);
  const [old] = world.server.connections;
  old.closeFromServer(4003);
  old.say({ type: "broadcast", from: "bob", data: "late" });
  assert.equal(world.state, "waiting");
  assert.deepEqual(world.heard("broadcast"), []);
});

test("a browser that is out of sockets is asked again later", () => {
  const world = new World();
  world.server.mood = "throw";
  world.connect();
  assert.equal(world.state, "waiting");
  world.server.mood = "accept";
  world.advance(1000);
  assert.equal(world.state, "connected");
});

test("connect while waiting tries at once", () => {
  const world = new World();
  world.connect();
  world.cut();
  world.client.connect();
  world.server.answer();
  assert.equal(world.state, "connected");
  assert.equal(world.tries, 2);
  world.advance(60_000);
  assert.equal(world.tries, 2);
});

test("close is for good, until connect is called", () => {
  const world = new World();
  world.connect();
  world.client.close();
  assert.equal(world.server.newest.closedWith, 1000);
  world.online();
  world.advance(60_000);
  assert.equal(world.tries, 1);
  assert.equal(world.clock.pending, 0);
  world.client.connect();
  world.server.answer();
  assert.equal(world.state, "connected");
});

test("close while waiting ends the wait", () => {
  const world = new World();
  world.connect();
  world.cut();
  world.client.close();
  world.advance(60_000);
  assert.equal(world.state, "closed");
  assert.equal(world.tries, 1);
});
