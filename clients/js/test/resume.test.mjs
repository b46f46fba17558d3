/**
 * Stories of a client that was away: what it hands in, what moves its place, what it is given once, and
 * when it is told that messages may be missing.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

/** A world whose client has heard `connected` at place 10 of the log's first life. */
function at10(options = {}) {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:10", resumed: false, pending: 0, missed: 0 };
  world.connect(options);
  return world;
}

/** Cuts the connection and lets the client come back to a server that greets with this. */
function comeBack(world, greeting) {
  world.cut();
  world.server.greeting = greeting;
  world.advance(1000);
  return world.server.newest;
}

const RESUMED = { cursor: "1.a:0:99", resumed: true, pending: 0, missed: 0 };

function said(offset, fields = {}) {
  return { type: "broadcast", id: `m${offset}`, from: "bob", timestamp: 1, cursor: `1.a:0:${offset}`, data: offset, ...fields };
}

/** The place that a client would hand in after these messages. */
function placeAfter(...messages) {
  const world = at10();
  for (const message of messages) world.server.newest.say(message);
  return comeBack(world, RESUMED).query.get("after");
}

test("a first connect hands in nothing", () => {
  const world = at10({ rooms: ["news"] });
  assert.deepEqual([...world.server.newest.query.keys()], ["user_id"]);
  assert.deepEqual(world.heard("resumed"), []);
  assert.deepEqual(world.heard("lost"), []);
});

test("a client that comes back hands in its session, its place and its rooms", () => {
  const world = at10({ rooms: ["news"] });
  world.server.newest.say({ type: "joined", room_id: "news", cursor: "1.a:0:10", members: 1 });
  world.server.newest.say(said(11));
  const { query, heard } = comeBack(world, RESUMED);
  assert.deepEqual(Object.fromEntries(query), {
    user_id: "ann",
    session_id: "session-1",
    after: "1.a:0:11",
    rooms: "news",
  });
  assert.deepEqual(heard, []);
  assert.deepEqual(world.heard("resumed"), [{ resumed: true, pending: 0, missed: 0 }]);
  assert.deepEqual(world.heard("lost"), []);
});

test("the newest session is handed in, and the place outlives any number of failed attempts", () => {
  const world = at10();
  comeBack(world, RESUMED);
  world.server.mood = "refuse";
  world.cut();
  world.advance(60_000);
  world.server.mood = "accept";
  world.advance(30_000);
  const { query } = world.server.newest;
  assert.deepEqual([query.get("session_id"), query.get("after")], ["session-2", "1.a:0:10"]);
});

for (const [what, message] of [
  ["a broadcast", said(12)],
  ["a user message", said(12, { type: "user" })],
  ["a room's message", said(12, { type: "room", room_id: "news" })],
  ["a position", { type: "position", cursor: "1.a:0:12" }],
  ["a gap", { type: "gap", dropped: 2, cursor: "1.a:0:12" }],
  ["a reset", { type: "reset", reason: "node_behind", cursor: "1.a:0:12" }],
]) {
  test(`${what} moves the place`, () => assert.equal(placeAfter(message), "1.a:0:12"));
}

test("an ack, a joined and a left name a place that is not kept", () => {
  const cursor = "1.a:0:12";
  const place = placeAfter(
    { type: "ack", id: "x", cursor, duplicate: false },
    { type: "joined", room_id: "r", cursor, members: 1 },
    { type: "left", room_id: "r", cursor, members: 0 },
  );
  assert.equal(place, "1.a:0:10");
});

test("the cursor of a connected that resumed is not kept, that of another is", () => {
  const world = at10();
  comeBack(world, RESUMED);
  comeBack(world, { cursor: "2.b:0:3", resumed: false });
  assert.equal(world.server.newest.query.get("after"), "1.a:0:10");
  comeBack(world, RESUMED);
  assert.equal(world.server.newest.query.get("after"), "2.b:0:3");
});

test("offsets compare as numbers of any size, their second half last", () => {
  assert.equal(placeAfter(said(100), said(99)), "1.a:0:100");
  assert.equal(placeAfter(said("9007199254740993"), said("9007199254740992")), "1.a:0:9007199254740993");
  assert.equal(placeAfter(said("20-9"), said("20-10"), said("20")), "1.a:0:20-10");
});

test("a message from the queue that is older, or of another life of the log, leaves the place", () => {
  assert.equal(placeAfter(said(12), said(3, { type: "user" })), "1.a:0:12");
  assert.equal(placeAfter(said(0, { type: "user", cursor: "0.9:0:500" })), "1.a:0:10");
  assert.equal(placeAfter(said(0, { type: "user", cursor: "2.b:0:500" })), "1.a:0:10");
  assert.equal(placeAfter(said(0, { type: "user", cursor: "2.b:7:500" })), "1.a:0:10");
});

test("an old life of the log doesn't come back once a new one was named", () => {
  const world = at10();
  comeBack(world, { cursor: "2.b:0:3", resumed: false });
  world.server.newest.say(said(500, { type: "user" }));
  assert.equal(comeBack(world, RESUMED).query.get("after"), "2.b:0:3");
});

test("a reset may name an earlier place, and a new life of the log", () => {
  assert.equal(placeAfter(said(12), { type: "reset", reason: "node_behind", cursor: "1.a:0:4" }), "1.a:0:4");
  const reset = { type: "reset", reason: "log_lost", cursor: "2.b:0:0" };
  assert.equal(placeAfter(said(12), reset, said(0, { cursor: "2.b:0:1" }), said(13)), "2.b:0:1");
});

test("each partition has a place of its own", () => {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:10,1.a:1:20", resumed: false };
  world.connect();
  world.server.newest.say(said(0, { cursor: "1.a:1:21" }));
  world.server.newest.say({ type: "position", cursor: "1.a:0:15,1.a:1:19" });
  assert.equal(comeBack(world, RESUMED).query.get("after"), "1.a:0:15,1.a:1:21");
});

test("a reset of one partition leaves the places of the others", () => {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:10,1.a:1:20", resumed: false };
  world.connect();
  world.server.newest.say({ type: "reset", reason: "log_lost", cursor: "2.b:1:0" });
  world.server.newest.say(said(11));
  world.server.newest.say(said(0, { cursor: "2.b:1:7" }));
  assert.equal(comeBack(world, RESUMED).query.get("after"), "1.a:0:11,2.b:1:7");
});

test("what is no cursor moves nothing and breaks nothing", () => {
  for (const cursor of [undefined, null, 7, "", "yesterday", "1.a:0", "1.a:0:-1", "1.a:0:1-", ["1.a:0:12"]]) {
    assert.equal(placeAfter(said(0, { cursor, id: "odd" })), "1.a:0:10");
  }
});

test("a message that comes twice is told once, known by its cursor or by who sent it under which id", () => {
  const world = at10();
  const { newest } = world.server;
  const repeats = [said(11), said(11, { id: "other" }), said(12, { id: "m11" })];
  for (const message of [said(11), ...repeats, said(13, { id: "m11", from: "eve" })]) newest.say(message);
  assert.deepEqual(world.heard("broadcast").map(({ data }) => data), [11, 13]);
  assert.equal(world.heard("message").filter(({ type }) => type === "broadcast").length, 5);
});

test("a message that the queue gives again on the next connection is told once", () => {
  const world = at10();
  world.server.newest.say(said(11, { type: "user" }));
  const next = comeBack(world, { ...RESUMED, pending: 1 });
  next.say(said(11, { type: "user" }));
  next.say(said(12, { type: "user" }));
  assert.deepEqual(world.heard("user").map(({ data }) => data), [11, 12]);
});

test("ephemeral messages may bear the same id again and again", () => {
  const world = at10();
  const typing = said(0, { cursor: undefined, id: "typing" });
  world.server.newest.say(typing);
  world.server.newest.say(typing);
  assert.equal(world.heard("broadcast").length, 2);
});

test("only so many messages are remembered", () => {
  const world = at10({ remember: 3 });
  for (const offset of [11, 12, 13, 14, 12, 11]) world.server.newest.say(said(offset));
  assert.deepEqual(world.heard("broadcast").map(({ data }) => data), [11, 12, 13, 14, 11]);
});

for (const [what, message, lost] of [
  ["a gap", { type: "gap", dropped: 20, cursor: "1.a:0:12" }, { reason: "gap", count: 20 }],
  ["a gap in a room", { type: "gap", dropped: 1, cursor: "1.a:0:12", room_id: "r" }, { reason: "gap", count: 1, room: "r" }],
  ["a reset", { type: "reset", reason: "log_lost", cursor: "2.b:0:0" }, { reason: "reset" }],
]) {
  test(`${what} is told as lost`, () => {
    const world = at10();
    world.server.newest.say(message);
    assert.deepEqual(world.heard("lost"), [lost]);
    assert.deepEqual(world.heard(message.type), [message]);
  });
}

test("not resumed is lost for who comes back, and so is what the queue has lost", () => {
  const world = at10();
  comeBack(world, { cursor: "2.b:0:3", resumed: false, pending: 0, missed: 0 });
  comeBack(world, { ...RESUMED, missed: 4 });
  comeBack(world, { cursor: "3.c:0:3", resumed: false, pending: 1, missed: 2 });
  assert.deepEqual(world.heard("lost"), [
    { reason: "not_resumed" },
    { reason: "missed", count: 4 },
    { reason: "not_resumed", count: 2 },
  ]);
  assert.deepEqual(world.heard("resumed").map(({ resumed }) => resumed), [false, true, false]);
});

test("who comes for the first time is told what the queue has lost, and nothing else", () => {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:10", resumed: false, pending: 1, missed: 7 };
  world.connect();
  assert.deepEqual(world.heard("lost"), [{ reason: "missed", count: 7 }]);
});

test("a client that was closed and connects again resumes as well", () => {
  const world = at10();
  world.client.close();
  world.server.greeting = RESUMED;
  world.client.connect();
  world.server.answer();
  assert.equal(world.server.newest.query.get("after"), "1.a:0:10");
  assert.equal(world.heard("resumed").length, 1);
});

test("on a node whose log is away neither connected nor the reset that follows is a loss", () => {
  const world = new World();
  world.server.greeting = { degraded: true, resumed: false, pending: 0, missed: 0 };
  world.connect();
  world.server.newest.say({ type: "reset", reason: "node_behind", cursor: "1.a:0:5" });
  world.advance(30_000);
  assert.deepEqual([world.heard("lost"), world.tries], [[], 1]);
  world.server.newest.say({ type: "reset", reason: "node_behind", cursor: "1.a:0:6" });
  assert.deepEqual(world.heard("lost"), [{ reason: "reset" }]);
});

test("who comes back to a node whose log is away keeps its place, and resumes once the log is back", () => {
  const world = at10();
  const away = comeBack(world, { cursor: "1.a:0:8", degraded: true, resumed: false, pending: 0, missed: 0 });
  assert.deepEqual([world.heard("lost"), world.heard("resumed")], [[], []]);
  world.server.greeting = RESUMED;
  away.say({ type: "reset", reason: "node_behind", cursor: "1.a:0:30" });
  assert.equal(world.state, "waiting");
  world.advance(1000);
  assert.equal(world.server.newest.query.get("after"), "1.a:0:10");
  assert.deepEqual(world.heard("lost"), []);
  assert.deepEqual(world.heard("resumed"), [{ resumed: true, pending: 0, missed: 0 }]);
});
