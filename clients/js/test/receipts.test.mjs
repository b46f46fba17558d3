/**
 * Stories of a client that acknowledges `user` messages itself: when, how far, and what comes again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

/** A client with `ack` and this handler of `user` messages. */
function withHandler(handler) {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:0", resumed: false };
  world.server.mood = "silence";
  const client = world.connect({ ack: true, listens: false });
  if (handler) client.on("user", handler);
  world.server.mood = "accept";
  world.server.answer();
  return world;
}

function say(world, ...offsets) {
  for (const offset of offsets) {
    world.server.newest.say({ type: "user", id: `m${offset}`, from: "bob", cursor: `1.a:0:${offset}`, data: offset });
  }
}

/** The cursors that the newest connection was told, once all handlers have had their turn. */
async function acknowledged(world) {
  await new Promise((resolve) => setImmediate(resolve));
  return world.server.newest.heard.filter(({ type }) => type === "ack").map(({ cursor }) => cursor);
}

/** A handler that is through with a message when the test says so. */
function slowly() {
  const jobs = new Map();
  const handler = ({ data }) => new Promise((resolve, reject) => jobs.set(data, { resolve, reject }));
  return { handler, jobs };
}

function comeBack(world) {
  world.cut();
  world.server.greeting = { cursor: "1.a:0:9", resumed: true };
  world.advance(1000);
}

test("without the option nothing is acknowledged, with it the server is asked to wait for it", async () => {
  const world = new World();
  world.connect();
  say(world, 1);
  assert.deepEqual([await acknowledged(world), world.server.newest.query.get("ack")], [[], null]);
  assert.equal(withHandler(() => {}).server.newest.query.get("ack"), "1");
});

test("each message is acknowledged once its handler has returned", async () => {
  const world = withHandler(() => {});
  say(world, 1, 2);
  assert.deepEqual(await acknowledged(world), ["1.a:0:1", "1.a:0:2"]);
});

test("an async handler is awaited, and one that isn't through holds back those behind it", async () => {
  const { handler, jobs } = slowly();
  const world = withHandler(handler);
  say(world, 1, 2, 3);
  jobs.get(2).resolve();
  assert.deepEqual(await acknowledged(world), []);
  jobs.get(1).resolve();
  assert.deepEqual(await acknowledged(world), ["1.a:0:2"]);
  jobs.get(3).resolve();
  assert.deepEqual(await acknowledged(world), ["1.a:0:2", "1.a:0:3"]);
});

test("of several partitions the newest of each is acknowledged", async () => {
  const { handler, jobs } = slowly();
  const world = withHandler(handler);
  say(world, 1, 2);
  world.server.newest.say({ type: "user", id: "other", from: "bob", cursor: "1.a:1:7", data: 3 });
  for (const job of [3, 2, 1]) jobs.get(job).resolve();
  assert.deepEqual(await acknowledged(world), ["1.a:0:2,1.a:1:7"]);
});

test("what the handlers failed at comes again, and nothing behind it is acknowledged until then", async (t) => {
  const surfaced = [];
  t.mock.method(globalThis, "queueMicrotask", (run) => surfaced.push(run));
  const handlers = [
    () => {
      throw new Error("a bug in the program");
    },
    () => Promise.reject(new Error("a bug in the program")),
  ];
  for (const fails of handlers) {
    const heard = [];
    let isMended = false;
    const world = withHandler(({ data }) => {
      heard.push(data);
      return data === 1 && !isMended ? fails() : undefined;
    });
    say(world, 1, 2);
    assert.deepEqual(await acknowledged(world), []);
    isMended = true;
    comeBack(world);
    say(world, 1, 2);
    assert.deepEqual(await acknowledged(world), ["1.a:0:1", "1.a:0:2"]);
    assert.deepEqual(heard, [1, 2, 1]);
    assert.throws(surfaced.shift(), /a bug in the program/);
  }
});

test("a message that nobody listens to is not received", async () => {
  const world = withHandler(null);
  say(world, 1);
  assert.deepEqual(await acknowledged(world), []);
  const heard = [];
  world.client.on("user", ({ data }) => heard.push(data));
  comeBack(world);
  say(world, 1);
  assert.deepEqual([heard, await acknowledged(world)], [[1], ["1.a:0:1"]]);
});

test("a repeat of what is still at work is acknowledged on the new connection once that is done", async () => {
  const { handler, jobs } = slowly();
  const heard = [];
  const world = withHandler((message) => {
    heard.push(message.data);
    return handler(message);
  });
  say(world, 1);
  comeBack(world);
  say(world, 1);
  assert.deepEqual(await acknowledged(world), []);
  jobs.get(1).resolve();
  assert.deepEqual([heard, await acknowledged(world)], [[1], ["1.a:0:1"]]);
});

test("what was through when the connection broke is acknowledged when it comes again", async () => {
  const heard = [];
  const world = withHandler(({ data }) => void heard.push(data));
  say(world, 1);
  comeBack(world);
  say(world, 1);
  assert.deepEqual([heard, await acknowledged(world)], [[1], ["1.a:0:1"]]);
});

test("messages without a cursor, of rooms and for everybody are not acknowledged", async () => {
  const world = withHandler(() => {});
  world.server.newest.say({ type: "user", id: "m", from: "", data: 1 });
  world.server.newest.say({ type: "room", room_id: "r", id: "m", from: "", data: 1, cursor: "1.a:0:1" });
  world.server.newest.say({ type: "broadcast", id: "n", from: "", data: 1, cursor: "1.a:0:2" });
  assert.deepEqual(await acknowledged(world), []);
});
