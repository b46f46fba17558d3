/**
 * Stories of a hub that wants a token: how it is told, and how an expired one is followed by another.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

const JWT = "eyJh.eyJz.c2ln";
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a token is offered as a subprotocol, and stands in no address", () => {
  const world = new World();
  world.connect({ userId: undefined, token: JWT });
  assert.deepEqual(world.server.newest.protocols, ["wshub.v1", `bearer.${JWT}`]);
  assert.equal(world.server.newest.url, "ws://hub.test/ws");
});

test("an expired token is followed by a fresh one at once", () => {
  const world = new World();
  let issued = 0;
  world.connect({ token: () => `token-${(issued += 1)}` });
  world.cut(4002);
  assert.equal(world.client.state.delayMs, 0);
  world.advance(0);
  assert.deepEqual(world.server.connections.map(({ protocols }) => protocols[1]), ["bearer.token-1", "bearer.token-2"]);
  assert.equal(world.state, "connected");
});

test("a fresh token that is refused too is not replaced without a pause", () => {
  const world = new World();
  world.connect({ token: () => JWT });
  world.server.mood = "silence";
  world.cut(4002);
  world.advance(0);
  world.cut(4002);
  assert.equal(world.client.state.delayMs, 1000);
});

test("a token that is only a text is not tried again once it has expired", () => {
  const world = new World();
  world.connect({ token: JWT });
  world.cut(4002);
  assert.equal(world.state, "closed");
});

test("a token may take its time, and one that comes too late opens nothing", async () => {
  const world = new World();
  const asked = [];
  world.connect({ token: () => new Promise((resolve) => asked.push(resolve)) });
  assert.deepEqual([world.state, world.tries], ["connecting", 0]);
  asked[0](JWT);
  await turn();
  world.server.answer();
  assert.deepEqual([world.state, world.tries], ["connected", 1]);
  world.cut();
  world.advance(1000);
  world.advance(15_000);
  assert.equal(world.state, "waiting");
  asked[1](JWT);
  await turn();
  assert.deepEqual([world.state, world.tries], ["waiting", 1]);
  world.advance(2000);
  world.client.close();
  asked[2](JWT);
  await turn();
  assert.deepEqual([world.state, world.tries, world.clock.pending], ["closed", 1, 0]);
});

test("where there is no token the client says so and asks again later", async () => {
  const sources = [
    () => {
      throw new Error("offline");
    },
    () => Promise.reject(new Error("offline")),
    () => undefined,
    () => "no, sorry",
    async () => null,
  ];
  for (const token of sources) {
    const world = new World();
    world.connect({ token });
    await turn();
    const { name, delayMs } = world.client.state;
    assert.deepEqual([name, delayMs, world.heard("error")[0]?.code], ["waiting", 1000, "no_token"]);
  }
});

test("a text that can be no token is the caller's mistake", () => {
  for (const token of ["", "two words", "ü"]) assert.throws(() => new World().connect({ token }), TypeError);
});
