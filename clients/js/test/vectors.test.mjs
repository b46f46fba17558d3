/**
 * The golden messages that every client and the server are held to: what the server says is read as it
 * is meant, and what this client says is among what the server takes.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { World } from "./world.js";

const cases = (file) =>
  JSON.parse(readFileSync(new URL(`../../../crates/protocol/vectors/${file}`, import.meta.url), "utf8")).cases;

/** Answers over HTTP have no type, and never reach this client. */
const OVER_HTTP = ["published", "http_error"];

/** A cursor of the vectors is given by its parts, but in `connected`. */
function cursorText(cursor) {
  if (cursor === undefined || typeof cursor === "string") return cursor;
  const { ordinal, random, partition, major, minor } = cursor;
  return `${ordinal}.${random}:${partition}:${major}${minor === 0 ? "" : `-${minor}`}`;
}

/** What a case says that a listener should hear. Numbers beyond 2^53 are lost to JSON on both sides alike. */
function meant({ writes, with: { cursor, cursors = [], data, history, ...rest } }) {
  const said = {
    type: writes,
    ...rest,
    cursor: cursorText(cursor) ?? (cursors.map(cursorText).join(",") || undefined),
    data: data === undefined ? undefined : JSON.parse(data),
    history: history?.map((text) => JSON.parse(text)),
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

for (const golden of cases("server_messages.json").filter(({ writes }) => !OVER_HTTP.includes(writes))) {
  test(`the server says: ${golden.name}`, () => {
    // The offsets of a few are written as JSON numbers beyond 2^53, so these are taken from the text.
    const said = JSON.parse(golden.text);
    const expected = meant(golden);
    if (typeof said.cursor === "string" && /\d{17}/.test(said.cursor)) expected.cursor = said.cursor;
    const world = new World();
    const heard = [];
    world.server.mood = "silence";
    const client = world.connect();
    client.on(golden.writes, (message) => heard.push(message));
    if (golden.writes !== "connected") {
      world.server.mood = "accept";
      world.server.answer();
    }
    world.server.newest.sayText(golden.text);
    assert.deepEqual(heard, [expected]);
    client.close();
  });
}

/** How this client would be brought to say what a golden message says. */
function bring(client, { type, id, data, target_ids, room_id, to, ephemeral, ...wish }) {
  const options = { ...(id === null ? {} : { id }), ...(to ? { to } : {}), ...(ephemeral ? { ephemeral } : {}) };
  const value = data === undefined ? undefined : JSON.parse(data);
  if (type === "broadcast") client.broadcast(value, options);
  if (type === "user") client.user(target_ids, value, options);
  if (type === "room") client.room(room_id, value, options);
  if (type === "join") client.join(room_id, wish);
  if (type === "leave") client.leave(room_id);
  if (type === "ping") client.ping();
}

/** What a text says, as the vectors put it. */
function read(text) {
  const { data, ...rest } = JSON.parse(text);
  return { ...rest, ...(data === undefined ? {} : { data: JSON.stringify(data) }) };
}

const accepted = cases("client_messages.json").filter(
  // An `ack` and an `after` say what was heard, and are brought about by nothing else.
  ({ message }) => message && message.type !== "ack" && !("after" in message),
);

test("there are golden messages to say", () => assert.ok(accepted.length > 40));

for (const { name, message } of accepted) {
  test(`this client says: ${name}`, () => {
    const world = new World();
    bring(world.connect(), message);
    const [text] = world.server.newest.sent;
    const { id, ...said } = read(text);
    const { id: wanted, data, ...expected } = message;
    // None is what there is without asking.
    if (expected.history === 0) delete expected.history;
    assert.deepEqual(said, { ...expected, ...(data === undefined ? {} : { data: JSON.stringify(JSON.parse(data)) }) });
    if (wanted) assert.equal(id, wanted);
    world.client.close();
  });
}

test("what the client acknowledges and resumes from is a cursor as the server takes it", () => {
  for (const { message } of cases("client_messages.json")) {
    if (!["ack", "join"].includes(message?.type)) continue;
    for (const cursor of message.cursor ?? message.after ?? []) {
      const world = new World();
      world.server.greeting = { cursor, resumed: false };
      world.connect({ ack: true, listens: false });
      world.client.on("user", () => {});
      world.server.newest.say({ type: "user", id: "m", from: "", cursor, data: 1 });
      assert.deepEqual(world.server.newest.heard, [{ type: "ack", cursor }]);
      world.cut();
      world.advance(1000);
      assert.equal(world.server.newest.query.get("after"), cursor);
      world.client.close();
    }
  }
});
