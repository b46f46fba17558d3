/**
 * The client of clients/js against the real binary, through connections that break and nodes that die
 * while it publishes: what was acknowledged is heard once, or the hearer is told that messages are lost.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { connect } from "../../../clients/js/wshub.js";
import { queued, startNode, startNodeOn } from "./node.mjs";
import { Wire } from "./wire.mjs";

const ROOM = "news";
const LOST = "lost";
/** So many publishes wait for their answer at a time: enough to have some under way at each cut. */
const IN_FLIGHT = 20;
/** Clients are sent away within a fifth of a second. */
const DRAINS_SOON = "drain.timeout=2200ms";
/** Waits of a twentieth of what they may be, so that a node that is back is found soon. */
const PATIENCE = { WebSocket, random: () => 0.05 };

/** Resolves with the next value of an event. */
function next(hub, name) {
  return new Promise((resolve) => {
    const off = hub.on(name, (value) => {
      off();
      resolve(value);
    });
  });
}

/** Publishes 0, 1, 2 … without an end, some at a time; each counts once it is acknowledged. */
class Publisher {
  acknowledged = 0;
  #number = 0;
  #stopped = false;
  #waiting = [];
  #lanes;

  constructor(write) {
    this.#lanes = Array.from({ length: IN_FLIGHT }, () => this.#run(write));
  }

  /** Resolves once so many more are acknowledged. */
  more(count) {
    return new Promise((resolve) => this.#waiting.push({ at: this.acknowledged + count, resolve }));
  }

  /** Waits for the last answers; says how many there were. */
  async stop() {
    this.#stopped = true;
    await Promise.all(this.#lanes);
    assert.equal(this.acknowledged, this.#number);
    return this.#number;
  }

  async #run(write) {
    while (!this.#stopped) {
      await write(this.#number++);
      this.acknowledged += 1;
      for (const { at, resolve } of this.#waiting) if (this.acknowledged >= at) resolve();
    }
  }
}

/** All that a client hears in the room, and where it is told that messages are lost. */
function record(hub) {
  const heard = [];
  hub.on("room", ({ data }) => heard.push(data));
  hub.on("lost", () => heard.push(LOST));
  return heard;
}

/** Resolves once this has been heard in the room. */
function heardLast(hub, last) {
  return new Promise((resolve) => {
    hub.on("room", ({ data }) => data === last && resolve());
  });
}

/** What a queue holds by default is 100. */
const COUNT = 80;

const numbers = (count) => Array.from({ length: count }, (_, number) => number);

test("connections break again and again: nothing is lost or doubled, and nobody has to reload", { timeout: 60_000 }, async (t) => {
  const node = await startNode();
  const wire = await Wire.to(node.port);
  const bob = connect(wire.socketAddress, { userId: "bob", ...PATIENCE });
  const ann = connect(wire.socketAddress, { userId: "ann", rooms: [{ room: ROOM, presence: true }], ...PATIENCE });
  t.after(async () => {
    for (const hub of [ann, bob]) hub.close();
    wire.close();
    assert.equal(await node.end(), 0);
  });
  const heard = record(ann);
  const resumed = [];
  ann.on("resumed", (how) => resumed.push(how.resumed));
  await next(ann, "joined");
  const last = heardLast(ann, "last");
  const publisher = new Publisher((number) => bob.room(ROOM, number));
  for (let cut = 0; cut < 5; cut += 1) {
    await publisher.more(100);
    const back = next(ann, "resumed");
    wire.cut();
    await back;
  }
  const total = await publisher.stop();
  await bob.room(ROOM, "last");
  await last;
  assert.deepEqual(heard.filter((data) => data !== "last").sort((one, other) => one - other), numbers(total));
  assert.deepEqual(resumed, [true, true, true, true, true]);
});

test("messages to a user are handled once, however often the connection breaks behind the handler's back", { timeout: 60_000 }, async (t) => {
  const node = await startNode();
  const wire = await Wire.to(node.port);
  const bob = connect(node.socketAddress, { userId: "bob", ...PATIENCE });
  const ann = connect(wire.socketAddress, { userId: "ann", ack: true, ...PATIENCE });
  const handled = [];
  const all = new Promise((resolve) => {
    ann.on("user", async ({ data }) => {
      if (data % 10 === 5) wire.cut();
      await new Promise((done) => setImmediate(done));
      handled.push(data);
      if (handled.length === COUNT) resolve();
    });
  });
  t.after(async () => {
    for (const hub of [ann, bob]) hub.close();
    wire.close();
    assert.equal(await node.end(), 0);
  });
  await Promise.all(numbers(COUNT).map((number) => bob.user("ann", number)));
  await all;
  await queued(node, 0);
  await bob.user("ann", COUNT);
  await queued(node, 0);
  assert.deepEqual(handled.sort((one, other) => one - other), numbers(COUNT + 1));
});

test("a node is killed and another ended while the client publishes: what isn't heard was told as lost", { timeout: 60_000 }, async (t) => {
  let node = await startNode(DRAINS_SOON);
  const { port, socketAddress } = node;
  const bob = connect(socketAddress, { userId: "bob", ...PATIENCE });
  const ann = connect(socketAddress, { userId: "ann", rooms: [ROOM], ...PATIENCE });
  t.after(async () => {
    for (const hub of [ann, bob]) hub.close();
    await node.kill();
  });
  const heard = record(ann);
  const reasons = [];
  ann.on("lost", ({ reason }) => reasons.push(reason));
  await next(ann, "joined");
  const publisher = new Publisher((number) => bob.room(ROOM, number));
  for (const end of ["kill", "end", "kill"]) {
    await publisher.more(100);
    const back = next(ann, "connected");
    await node[end]();
    node = await startNodeOn(port, DRAINS_SOON);
    await back;
  }
  await publisher.more(100);
  const total = await publisher.stop();
  const last = heardLast(ann, "last");
  await bob.room(ROOM, "last");
  await last;
  assert.deepEqual(reasons, ["not_resumed", "not_resumed", "not_resumed"]);
  assertToldOfAllLoss(heard, total);
});

/** Nothing twice; and what is missing is missing where the client was told so. */
function assertToldOfAllLoss(heard, total) {
  const told = heard.filter((data) => data !== LOST);
  assert.equal(new Set(told).size, told.length, "nothing is heard twice");
  const missing = numbers(total).filter((number) => !told.includes(number));
  const isNearLoss = (number) =>
    heard.some((data, at) => {
      if (data !== LOST) return false;
      // Those that were under way together may stand in any order.
      const near = [...heard.slice(0, at).slice(-1), ...heard.slice(at + 1).slice(0, 1)];
      return near.some((neighbour) => neighbour === "last" || Math.abs(neighbour - number) <= 4 * IN_FLIGHT);
    });
  assert.deepEqual(missing.filter((number) => !isNearLoss(number)), []);
}
