/**
 * Stories of rooms across connections: which go into the query, which catch up by message, and what is
 * told of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

const RESUMED = { cursor: "1.a:0:99", resumed: true };

/** A world whose client has joined these rooms at place 10. */
function inRooms(...rooms) {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:10", resumed: false };
  world.connect({ rooms });
  for (const each of rooms) joined(world, each.room ?? each, { cursor: "1.a:0:10" });
  return world;
}

function joined(world, room_id, fields = {}) {
  world.server.newest.say({ type: "joined", room_id, members: 1, ...fields });
}

function say(world, room_id, offset) {
  const message = { type: "room", room_id, id: `m${offset}`, from: "bob", cursor: `1.a:0:${offset}`, data: offset };
  world.server.newest.say(message);
}

function comeBack(world, greeting = RESUMED) {
  world.cut();
  world.server.greeting = greeting;
  world.advance(1000);
  return world.server.newest;
}

const heardIn = (world) => world.heard("room").map(({ data }) => data);

test("a room that was never joined is not resumed but joined, with its history", () => {
  const world = inRooms("news");
  world.server.mood = "refuse";
  world.cut();
  world.client.join("chat", { history: 5 });
  world.server.mood = "accept";
  world.server.greeting = RESUMED;
  world.advance(1000);
  assert.equal(world.server.newest.query.get("rooms"), "news");
  assert.deepEqual(world.server.newest.heard, [{ type: "join", room_id: "chat", history: 5 }]);
});

test("a room with presence is asked for again behind the query, and only that answer is told", () => {
  const world = inRooms({ room: "news", presence: true, history: 20 });
  world.told = [];
  const { heard } = comeBack(world);
  assert.deepEqual(heard, [{ type: "join", room_id: "news", presence: true }]);
  joined(world, "news");
  joined(world, "news", { users: ["ann"] });
  assert.deepEqual(world.heard("joined").map(({ users }) => users), [["ann"]]);
});

test("a room's history is asked for again only where the client is not resumed", () => {
  const world = inRooms({ room: "news", history: 20 });
  assert.deepEqual(comeBack(world).heard, []);
  joined(world, "news");
  const { heard } = comeBack(world, { cursor: "2.b:0:1", resumed: false });
  assert.deepEqual(heard, [{ type: "join", room_id: "news", history: 20 }]);
});

test("what a history has brought is not told again as a message of the room", () => {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:10", resumed: false };
  world.connect({ rooms: [{ room: "news", history: 5 }] });
  const old = { type: "room", room_id: "news", id: "m12", from: "bob", cursor: "1.a:0:12", data: 12 };
  joined(world, "news", { cursor: "1.a:0:15", history: [old] });
  comeBack(world);
  joined(world, "news");
  for (const offset of [12, 14, 16]) say(world, "news", offset);
  assert.deepEqual(heardIn(world), [16]);
});

test("what was said before a room was joined is no news, though the place that is handed in is older", () => {
  const world = inRooms();
  world.client.join("news");
  joined(world, "news", { cursor: "1.a:0:15" });
  const { query } = comeBack(world);
  assert.deepEqual([query.get("after"), query.get("rooms")], ["1.a:0:10", "news"]);
  joined(world, "news", { cursor: "1.a:0:30" });
  for (const offset of [13, 15, 20]) say(world, "news", offset);
  assert.deepEqual(heardIn(world), [20]);
});

test("what a history has brought after a failed resume is not told again either", () => {
  const world = inRooms({ room: "news", history: 5 });
  comeBack(world, { cursor: "2.b:0:5", resumed: false });
  const old = { type: "room", room_id: "news", id: "m6", from: "bob", cursor: "2.b:0:6", data: 6 };
  joined(world, "news", { cursor: "2.b:0:7" });
  joined(world, "news", { cursor: "2.b:0:7", history: [old] });
  const { query } = comeBack(world, { cursor: "2.b:0:9", resumed: true });
  assert.deepEqual([query.get("after"), query.get("rooms")], ["2.b:0:5", "news"]);
  world.server.newest.say(old);
  assert.deepEqual(heardIn(world), []);
});

/** A failed resume: the room was answered for the query, something was said in it, its history is on the way. */
function betweenTwoAnswers() {
  const world = inRooms({ room: "news", history: 2 });
  comeBack(world, { cursor: "2.b:0:5", resumed: false });
  joined(world, "news", { cursor: "2.b:0:5" });
  const live = [6, 7, 8].map((data) => {
    return { type: "room", room_id: "news", id: `m${data}`, from: "bob", cursor: `2.b:0:${data}`, data };
  });
  for (const message of live) world.server.newest.say(message);
  world.told = [];
  return { world, live };
}

test("what is said while a history is on its way comes once, in the history or before it", () => {
  const { world, live } = betweenTwoAnswers();
  joined(world, "news", { cursor: "2.b:0:8", history: live.slice(1) });
  const told = world.told.flatMap(([name, value]) => {
    if (name === "room") return [value.data];
    return name === "joined" ? [value.history.map(({ data }) => data)] : [];
  });
  assert.deepEqual(told, [6, [7, 8]]);
});

test("what is said while a history is on its way is told where that never comes", () => {
  const refused = betweenTwoAnswers().world;
  refused.server.newest.say({ type: "error", code: "internal", error: "No.", room_id: "news" });
  assert.deepEqual(heardIn(refused), [6, 7, 8]);
  const cut = betweenTwoAnswers().world;
  cut.cut();
  assert.deepEqual(heardIn(cut), [6, 7, 8]);
});

test("what is said before a room is joined again after a failed resume is owed to the next resume", () => {
  const world = inRooms("news");
  comeBack(world, { cursor: "2.b:0:5", resumed: false });
  const { query } = comeBack(world, { cursor: "2.b:0:9", resumed: true });
  assert.deepEqual([query.get("after"), query.get("rooms")], ["2.b:0:5", "news"]);
  joined(world, "news", { cursor: "2.b:0:9" });
  world.server.newest.say({ type: "room", room_id: "news", id: "m6", from: "bob", cursor: "2.b:0:6", data: 6 });
  assert.deepEqual(heardIn(world), [6]);
});

test("a room left while the client was connecting is left once it is connected", async () => {
  const world = inRooms("news");
  world.server.mood = "silence";
  world.cut();
  world.advance(1000);
  assert.equal(await world.client.leave("news"), null);
  world.server.mood = "accept";
  world.server.answer();
  assert.deepEqual(world.server.newest.heard, [{ type: "leave", room_id: "news" }]);
  joined(world, "news");
  assert.deepEqual(world.client.rooms, []);
});

test("a room with a comma, and what no longer fits into the query, catches up by message", () => {
  const many = Array.from({ length: 100 }, (_, number) => `${"ü".repeat(60)}${number}`);
  const world = inRooms("a,b", ...many);
  const { url, query, heard } = comeBack(world);
  assert.ok(url.length <= 7000, String(url.length));
  const queried = query.get("rooms").split(",");
  assert.ok(queried.length > 10, String(queried.length));
  const after = "1.a:0:10";
  const rest = ["a,b", ...many].filter((room) => !queried.includes(room));
  assert.deepEqual(heard, rest.map((room_id) => ({ type: "join", room_id, after })));
});

test("a room that catches up keeps its own place until it is through", () => {
  const world = inRooms("a,b");
  comeBack(world);
  world.server.newest.say({ type: "broadcast", id: "x", from: "", cursor: "1.a:0:50", data: 1 });
  joined(world, "a,b", { cursor: "1.a:0:52", resumed: true });
  say(world, "a,b", 20);
  assert.deepEqual(comeBack(world).heard, [{ type: "join", room_id: "a,b", after: "1.a:0:20" }]);
  assert.equal(world.server.newest.query.get("after"), "1.a:0:50");
  joined(world, "a,b", { cursor: "1.a:0:52", resumed: true });
  for (const offset of [20, 30, 53]) say(world, "a,b", offset);
  assert.deepEqual(heardIn(world), [20, 30, 53]);
  assert.deepEqual(comeBack(world).heard, [{ type: "join", room_id: "a,b", after: "1.a:0:53" }]);
});

test("what a room was given while it catches up is not told again, however much that was", () => {
  const world = new World();
  world.server.greeting = { cursor: "1.a:0:10", resumed: false };
  world.connect({ rooms: ["a,b"], remember: 2 });
  joined(world, "a,b", { cursor: "1.a:0:10" });
  comeBack(world);
  joined(world, "a,b", { cursor: "1.a:0:52", resumed: true });
  for (const offset of [20, 30, 40]) say(world, "a,b", offset);
  comeBack(world);
  joined(world, "a,b", { cursor: "1.a:0:52", resumed: true });
  for (const offset of [20, 41]) say(world, "a,b", offset);
  assert.deepEqual(heardIn(world), [20, 30, 40, 41]);
});

test("a position says that a room is through", () => {
  const world = inRooms("a,b");
  comeBack(world);
  joined(world, "a,b", { cursor: "1.a:0:52", resumed: true });
  world.server.newest.say({ type: "position", cursor: "1.a:0:52" });
  assert.deepEqual(comeBack(world).heard, [{ type: "join", room_id: "a,b", after: "1.a:0:52" }]);
});

test("a room that can't catch up is told as lost, and goes on from there", () => {
  const world = inRooms("a,b");
  comeBack(world);
  joined(world, "a,b", { cursor: "1.a:0:52", resumed: false });
  assert.deepEqual(world.heard("lost"), [{ reason: "not_resumed", room: "a,b" }]);
  say(world, "a,b", 53);
  assert.deepEqual(comeBack(world).heard, [{ type: "join", room_id: "a,b", after: "1.a:0:53" }]);
});

test("a client that isn't resumed has no room catch up", () => {
  const world = inRooms("a,b");
  comeBack(world);
  const { heard } = comeBack(world, { cursor: "2.b:0:1", resumed: false });
  assert.deepEqual(heard, [{ type: "join", room_id: "a,b" }]);
});

test("join and leave promise the server's answers, in their order", async () => {
  const world = inRooms();
  const { client } = world;
  const answers = [client.join("news"), client.leave("news"), client.join("news")];
  joined(world, "news", { members: 1 });
  world.server.newest.say({ type: "left", room_id: "news", members: 0 });
  joined(world, "news", { members: 2 });
  const [first, left, second] = await Promise.allSettled(answers);
  assert.equal(first.reason.code, "left");
  assert.deepEqual([left.value.members, second.value.members], [0, 2]);
  assert.deepEqual(client.rooms, ["news"]);
});

test("a join that is cut off is answered on the next connection, a leave is done with", async () => {
  const world = inRooms("old");
  const join = world.client.join("news");
  const leave = world.client.leave("old");
  const { query, heard } = comeBack(world);
  assert.equal(await leave, null);
  assert.equal(query.get("rooms"), null);
  assert.deepEqual(heard, [{ type: "join", room_id: "news" }]);
  joined(world, "news", { members: 7 });
  assert.equal((await join).members, 7);
});

test("a join that is refused, or never answered since the client is closed, rejects", async () => {
  const world = inRooms();
  const refused = world.client.join("news");
  const closed = world.client.join("chat");
  const odd = world.client.join("a\nb");
  world.server.newest.say({ type: "error", code: "too_many_rooms", error: "Leave one first.", room_id: "news" });
  world.client.close();
  const codes = await Promise.all([refused, closed, odd].map((join) => join.catch(({ code }) => code)));
  assert.deepEqual(codes, ["too_many_rooms", "closed", "invalid_message"]);
});

test("a room that the server can't let the client into just now is asked for again", async () => {
  const world = inRooms();
  const join = world.client.join("news", { history: 3 });
  const refusal = { type: "error", code: "rate_limited", error: "Slower.", room_id: "news", retry_after_ms: 500 };
  world.server.newest.say(refusal);
  assert.deepEqual(world.client.rooms, ["news"]);
  world.advance(1499);
  assert.equal(world.server.newest.heard.length, 1);
  world.advance(1);
  assert.deepEqual(world.server.newest.heard[1], { type: "join", room_id: "news", history: 3 });
  joined(world, "news", { members: 4 });
  assert.equal((await join).members, 4);
});

test("a room of the query that is let in later catches up from where it was heard", () => {
  const world = inRooms("news");
  comeBack(world);
  world.server.newest.say({ type: "error", code: "unavailable", error: "Later.", room_id: "news" });
  world.server.newest.say({ type: "broadcast", id: "x", from: "", cursor: "1.a:0:50", data: 1 });
  world.advance(2000);
  const join = { type: "join", room_id: "news", after: "1.a:0:10" };
  assert.deepEqual(world.server.newest.heard, [join]);
  const { query, heard } = comeBack(world);
  assert.deepEqual([query.get("after"), query.get("rooms"), heard], ["1.a:0:50", null, [join]]);
});

test("no timer is left by a room that is to be asked for again", () => {
  const world = inRooms();
  world.client.join("news");
  world.server.newest.say({ type: "error", code: "overloaded", error: "Later.", room_id: "news" });
  world.client.close();
  assert.equal(world.clock.pending, 0);
});
