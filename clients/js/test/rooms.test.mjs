/**
 * Stories of the rooms that a client keeps: those it is let into, and no others.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

test("a room whose join is refused is forgotten and told, and not asked for again", () => {
  const world = new World();
  const client = world.connect({ rooms: ["news"] });
  client.join("chat");
  const roomsWhenTold = [];
  client.on("error", () => roomsWhenTold.push(...client.rooms));
  world.server.newest.say({ type: "joined", room_id: "news" });
  world.server.newest.say(refusal("chat"));
  assert.deepEqual(world.heard("error"), [refusal("chat")]);
  assert.deepEqual(roomsWhenTold, ["news"]);
  world.cut();
  world.advance(1000);
  assert.deepEqual(world.server.newest.heard, [{ type: "join", room_id: "news" }]);
});

test("a room that was joined on an earlier connection and is refused on this one is forgotten too", () => {
  const world = new World();
  const client = world.connect({ rooms: ["news"] });
  world.server.newest.say({ type: "joined", room_id: "news" });
  world.cut();
  world.advance(1000);
  world.server.newest.say(refusal("news"));
  assert.deepEqual(client.rooms, []);
});

test("a message into a joined room that is refused doesn't cost the room", () => {
  const world = new World();
  const client = world.connect({ rooms: ["news"] });
  world.server.newest.say({ type: "joined", room_id: "news" });
  world.server.newest.say({ ...refusal("news"), code: "too_deep" });
  assert.deepEqual(client.rooms, ["news"]);
});

test("a message that is refused while the join is on its way costs neither the room nor its promise", async () => {
  const world = new World();
  const client = world.connect();
  const joined = client.join("news");
  client.room("news", "too much", { id: "m1" });
  world.server.newest.say({ ...refusal("news"), code: "too_deep", id: "m1" });
  assert.deepEqual(client.rooms, ["news"]);
  world.server.newest.say({ type: "joined", room_id: "news", members: 3 });
  assert.deepEqual(await joined, { type: "joined", room_id: "news", members: 3 });
});

test("an error that names no room, or one that wasn't asked for, costs none", () => {
  const world = new World();
  const client = world.connect({ rooms: ["news"] });
  world.server.newest.say({ type: "error", code: "rate_limited", error: "Too fast." });
  world.server.newest.say(refusal("elsewhere"));
  assert.deepEqual(client.rooms, ["news"]);
});

test("a room that was left stays left, whatever the answer to its join", () => {
  for (const answer of [{ type: "joined", room_id: "news" }, refusal("news")]) {
    const world = new World();
    const client = world.connect();
    client.join("news");
    client.leave("news");
    world.server.newest.say(answer);
    assert.deepEqual(client.rooms, []);
  }
});

test("a room that was left and is refused the second time is forgotten, answer by answer", () => {
  const world = new World();
  const client = world.connect();
  client.join("news");
  client.leave("news");
  client.join("news");
  world.server.newest.say({ type: "joined", room_id: "news" });
  world.server.newest.say({ type: "left", room_id: "news" });
  world.server.newest.say(refusal("news"));
  assert.deepEqual(client.rooms, []);
});

test("a refused room can be asked for again, by the listener itself too", () => {
  const world = new World();
  const client = world.connect();
  const off = client.on("error", ({ room_id }) => {
    off();
    client.join(room_id);
  });
  client.join("news");
  world.server.newest.say(refusal("news"));
  world.server.newest.say({ type: "joined", room_id: "news" });
  assert.deepEqual(client.rooms, ["news"]);
});

test("a room asked for while there was no connection is forgotten where its join is refused later", () => {
  const world = new World();
  const client = world.connect();
  client.join("news");
  world.cut();
  client.join("chat");
  world.advance(1000);
  world.server.newest.say(refusal("chat"));
  assert.deepEqual(client.rooms, ["news"]);
});

function refusal(room_id) {
  return { type: "error", code: "too_many_rooms", error: "Leave one first.", room_id };
}
