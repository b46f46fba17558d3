/**
 * Stories of publishes that wait for their answer: through nodes that die, through refusals, and within
 * bounds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { HubError } from "../wshub.js";
import { World } from "./world.js";

const MINUTE = 60_000;

function ack(id, fields = {}) {
  return { type: "ack", id, cursor: "1.a:0:1", duplicate: false, ...fields };
}

/** What a connection was sent, without what isn't a publish. */
function published(socket) {
  return socket.heard.filter(({ data }) => data !== undefined).map(({ data }) => data);
}

/** How a promise ended by now: its value, the code of its error, or `waits`. */
async function outcome(promise) {
  const turn = new Promise((resolve) => setImmediate(() => resolve("waits")));
  return Promise.race([promise.catch((error) => error.code), turn]);
}

test("a publish is answered by its receipt", async () => {
  const world = new World();
  const client = world.connect();
  const sent = client.broadcast("x", { id: "m1" });
  assert.equal(await outcome(sent), "waits");
  world.server.newest.say(ack("m1"));
  assert.deepEqual(await sent, { id: "m1", cursor: "1.a:0:1", duplicate: false });
  assert.equal(world.clock.pending, 1);
});

test("what was not answered is sent again on the next connection, unchanged and in order, and then no more", async () => {
  const world = new World();
  const client = world.connect();
  for (const data of [1, 2, 3]) client.room("news", data, { id: `m${data}` });
  const [first] = world.server.connections;
  first.say(ack("m2"));
  world.cut();
  world.advance(1000);
  const { newest } = world.server;
  assert.deepEqual(newest.sent, [first.sent[0], first.sent[2]]);
  newest.say(ack("m1", { duplicate: true }));
  newest.say(ack("m3"));
  world.cut();
  world.advance(1000);
  assert.deepEqual(world.server.newest.heard, []);
});

test("what is written while there is no connection goes out with the next one, behind the joins", () => {
  const world = new World();
  world.server.mood = "silence";
  const client = world.connect({ rooms: ["news"] });
  client.room("news", 1);
  client.broadcast(2);
  world.server.mood = "accept";
  world.server.answer();
  assert.deepEqual(world.server.newest.heard.map(({ type }) => type), ["join", "room", "broadcast"]);
});

test("a refusal is the promise's and an event's, and the message isn't sent again", async () => {
  const world = new World();
  const client = world.connect();
  const sent = client.user("bob", 1, { id: "m1" });
  world.server.newest.say({ type: "error", code: "rate_limited", error: "Slower.", id: "m1", retry_after_ms: 50 });
  const error = await sent.catch((reason) => reason);
  assert.ok(error instanceof HubError);
  assert.deepEqual([error.code, error.message, error.id, error.retry_after_ms], ["rate_limited", "Slower.", "m1", 50]);
  assert.equal(world.heard("error").length, 1);
  world.cut();
  world.advance(1000);
  assert.deepEqual(world.server.newest.heard, []);
});

test("a repeat that is refused for now says nothing about the attempt before it", async () => {
  for (const [code, expected] of [["unavailable", "outcome_unknown"], ["id_reused", "id_reused"]]) {
    const world = new World();
    const sent = world.connect().broadcast(1, { id: "m1" });
    world.cut();
    world.advance(1000);
    world.server.newest.say({ type: "error", code, error: "No.", id: "m1" });
    assert.equal(await outcome(sent), expected);
  }
});

test("who ignores the promise has no unhandled rejection", async (t) => {
  const unhandled = t.mock.fn();
  process.on("unhandledRejection", unhandled);
  t.after(() => process.off("unhandledRejection", unhandled));
  const world = new World();
  const client = world.connect();
  client.broadcast(1, { id: "m1" });
  world.server.newest.say({ type: "error", code: "internal", error: "No.", id: "m1" });
  client.join("");
  client.join("news");
  client.broadcast(2);
  client.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(unhandled.mock.callCount(), 0);
});

test("an id that the server has forgotten is not sent again: a repeat would be a second message", async () => {
  const world = new World();
  const client = world.connect();
  const old = client.broadcast("old");
  world.server.mood = "refuse";
  world.cut();
  world.advance(4 * MINUTE);
  const young = client.broadcast("young");
  world.advance(MINUTE);
  assert.deepEqual([await outcome(old), await outcome(young)], ["outcome_unknown", "waits"]);
  world.server.mood = "accept";
  world.advance(30_000);
  assert.deepEqual(published(world.server.newest), ["young"]);
  assert.deepEqual(world.heard("error").map(({ code }) => code), ["outcome_unknown"]);
});

test("what never found a connection in time was surely not published", async () => {
  const world = new World();
  world.server.mood = "refuse";
  const sent = world.connect().broadcast(1);
  world.advance(5 * MINUTE);
  assert.equal(await outcome(sent), "unavailable");
});

test("a computer that slept for an hour sends nothing twice", async () => {
  const world = new World();
  const sent = world.connect().broadcast(1);
  world.clock.sleep(60 * MINUTE);
  world.cut();
  world.advance(1000);
  assert.deepEqual(published(world.server.newest), []);
  assert.equal(await outcome(sent), "outcome_unknown");
});

test("a full outbox rejects what is new and keeps what it promised", async () => {
  for (const outbox of [{ messages: 2 }, { bytes: 120 }]) {
    const world = new World();
    world.server.mood = "silence";
    const client = world.connect({ outbox });
    const sent = ["a", "b", "c"].map((data) => client.broadcast(data, { id: `m${data}` }));
    assert.deepEqual(await Promise.all(sent.map(outcome)), ["waits", "waits", "outbox_full"]);
    world.server.mood = "accept";
    world.server.answer();
    assert.deepEqual(published(world.server.newest), ["a", "b"]);
    world.server.newest.say(ack("ma"));
    assert.equal(await outcome(client.broadcast("d")), "waits");
  }
});

test("by default a thousand messages and a mebibyte of UTF-8 may wait", async () => {
  const world = new World();
  const client = world.connect();
  for (let number = 0; number < 1000; number += 1) client.broadcast(number);
  assert.equal(await outcome(client.broadcast(1000)), "outbox_full");
  assert.equal(await outcome(new World().connect().broadcast("é".repeat(600_000))), "too_large");
});

test("the same publish twice while it waits is one, another under its id is refused", async () => {
  const world = new World();
  const client = world.connect();
  const sent = client.broadcast(1, { id: "m1" });
  assert.equal(client.broadcast(1, { id: "m1" }), sent);
  assert.equal(await outcome(client.broadcast(2, { id: "m1" })), "id_reused");
  assert.deepEqual(published(world.server.newest), [1]);
  world.server.newest.say(ack("m1"));
  assert.equal((await sent).id, "m1");
});

test("an ephemeral message is sent once or not at all", async () => {
  const world = new World();
  world.server.mood = "silence";
  const client = world.connect();
  assert.equal(await outcome(client.room("news", "typing", { ephemeral: true })), "not_connected");
  world.server.mood = "accept";
  world.server.answer();
  const [heard, unheard] = [1, 2].map((data) => client.room("news", data, { ephemeral: true, id: `m${data}` }));
  world.server.newest.say({ type: "ack", id: "m1", duplicate: false });
  assert.deepEqual(await heard, { id: "m1", duplicate: false });
  world.cut();
  assert.equal(await outcome(unheard), "outcome_unknown");
  world.advance(1000);
  assert.deepEqual(published(world.server.newest), []);
  assert.deepEqual(world.heard("error"), []);
});

test("a message that the server finds too big doesn't end each connection that follows", async () => {
  const world = new World();
  const client = world.connect();
  const [small, big] = ["x", "x".repeat(600)].map((data) => client.broadcast(data));
  world.cut(1009);
  assert.deepEqual([await outcome(small), await outcome(big)], ["waits", "too_large"]);
  world.advance(1000);
  assert.deepEqual(published(world.server.newest), ["x"]);
});

test("an ephemeral message that is too big doesn't cost one that waits", async () => {
  const world = new World();
  const client = world.connect();
  const small = client.broadcast("x");
  const big = client.broadcast("x".repeat(600), { ephemeral: true });
  world.cut(1009);
  assert.deepEqual([await outcome(small), await outcome(big)], ["waits", "too_large"]);
});

test("a client that is closed, or told to stay away, leaves nobody waiting and no timer", async () => {
  for (const end of [(world) => world.client.close(), (world) => world.cut(4003)]) {
    const world = new World();
    const client = world.connect();
    const sent = client.broadcast(1);
    end(world);
    assert.equal(await outcome(sent), "outcome_unknown");
    assert.equal(world.clock.pending, 0);
  }
  const world = new World();
  world.server.mood = "silence";
  const client = world.connect();
  const unsent = client.broadcast(1);
  client.close();
  assert.equal(await outcome(unsent), "closed");
});
