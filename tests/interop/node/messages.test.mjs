/**
 * Ordinary use through Node's ws, with and without permessage-deflate: both must hear the same.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { startNode } from "./node.mjs";
import { Person } from "./person.mjs";

const MANY_WORDS = Array.from({ length: 500 }, (_, number) => `a word and a word and ${number % 7}`);
const DEFLATE = { perMessageDeflate: { threshold: 0 } };
const PLAIN = { perMessageDeflate: false };

let hub;
before(async () => {
  hub = await startNode();
});
after(async () => assert.equal(await hub.end(), 0));

for (const [name, options] of [
  ["with deflate", DEFLATE],
  ["without deflate", PLAIN],
]) {
  describe(name, () => {
    test("a client learns who it is", async () => {
      const ann = await Person.connect(hub, "ann lee/ü", options);
      assert.equal(ann.connected.user_id, "ann lee/ü");
      assert.equal(ann.connected.resumed, false);
      assert.equal(await ann.leave(), 1000);
    });

    test("a broadcast reaches clients of either kind alike", async () => {
      const ann = await Person.connect(hub, "ann", options);
      const others = [await Person.connect(hub, "bob", DEFLATE), await Person.connect(hub, "bob", PLAIN)];
      ann.send("broadcast", { data: MANY_WORDS });
      const heard = await ann.hear("broadcast");
      assert.deepEqual(heard.data, MANY_WORDS);
      for (const other of others) assert.deepEqual(await other.hear("broadcast"), heard);
      for (const one of [ann, ...others]) await one.leave();
    });

    test("a user is reached on every connection", async () => {
      const ann = await Person.connect(hub, "ann", options);
      const carol = [await Person.connect(hub, "carol", options), await Person.connect(hub, "carol", options)];
      ann.send("user", { target_ids: ["carol"], data: 1, id: `for-carol-${randomUUID()}` });
      assert.equal((await ann.hear("ack")).duplicate, false);
      for (const one of carol) assert.equal((await one.hear("user")).from, "ann");
      for (const one of [ann, ...carol]) await one.leave();
    });

    test("rooms are joined, spoken in and left", async () => {
      const room = randomUUID();
      const ann = await Person.connect(hub, "ann", options);
      const bob = await Person.connect(hub, "bob", options);
      ann.send("join", { room_id: room });
      assert.equal((await ann.hear("joined")).members, 1);
      bob.send("room", { room_id: room, data: MANY_WORDS });
      assert.deepEqual((await ann.hear("room")).data, MANY_WORDS);
      ann.send("leave", { room_id: room });
      assert.equal((await ann.hear("left")).room_id, room);
      for (const one of [ann, bob]) await one.leave();
    });

    test("data comes back byte for byte", async () => {
      const ann = await Person.connect(hub, "ann", options);
      const data = String.raw`{ "big" : 1e400,"n":-0 , "half":"\ud800", "a":1,"a":2 }`;
      ann.socket.send(`{"type":"broadcast","data":${data}}`);
      assert.ok((await ann.hearText()).includes(`"data":${data}`));
      await ann.leave();
    });

    test("a thousand messages come in their order", async () => {
      const ann = await Person.connect(hub, "ann", options);
      for (let number = 0; number < 1000; number += 1) ann.send("broadcast", { data: number });
      for (let number = 0; number < 1000; number += 1) {
        assert.equal((await ann.hear("broadcast")).data, number);
      }
      await ann.leave();
    });

    test("half a mebibyte is passed on whole", async () => {
      const ann = await Person.connect(hub, "ann", options);
      const letters = "x".repeat(511 * 1024);
      ann.send("broadcast", { data: letters });
      assert.equal((await ann.hear("broadcast")).data, letters);
      await ann.leave();
    });

    test("a message that is too big ends the connection with 1009", async () => {
      const ann = await Person.connect(hub, "ann", options);
      const closed = once(ann.socket, "close", { signal: AbortSignal.timeout(10_000) });
      ann.socket.on("error", () => {});
      ann.send("broadcast", { data: "x".repeat(513 * 1024) });
      assert.equal((await closed)[0], 1009);
    });

    test("a message may be sent in fragments", async () => {
      const ann = await Person.connect(hub, "ann", options);
      for (const [part, fin] of [['{"type":"broad', false], ['cast","da', false], ['ta":"whole"}', true]]) {
        ann.socket.send(part, { fin });
      }
      assert.equal((await ann.hear("broadcast")).data, "whole");
      await ann.leave();
    });

    test("the hub answers a ping of the library", async () => {
      const ann = await Person.connect(hub, "ann", options);
      const pong = once(ann.socket, "pong", { signal: AbortSignal.timeout(10_000) });
      ann.socket.ping("are you there?");
      assert.equal((await pong)[0].toString(), "are you there?");
      await ann.leave();
    });
  });
}

test("deflate is negotiated without context takeover in either direction", async () => {
  const ann = await Person.connect(hub, "ann", DEFLATE);
  assert.match(ann.socket.extensions, /^permessage-deflate/);
  const { params } = ann.socket._extensions["permessage-deflate"];
  assert.equal(params.server_no_context_takeover, true);
  assert.equal(params.client_no_context_takeover, true);
  await ann.leave();
});

test("without an offer no extension is negotiated", async () => {
  const ann = await Person.connect(hub, "ann", PLAIN);
  assert.equal(ann.socket.extensions, "");
  await ann.leave();
});

test("wshub.v1 is selected beside what carries a token", async () => {
  const ann = await Person.connect(hub, "ann", { protocols: ["bearer.a.b.c", "wshub.v1"] });
  assert.equal(ann.socket.protocol, "wshub.v1");
  await ann.leave();
});

test("without a user the reason is read before the close with 4001", async () => {
  const nobody = new Person(new WebSocket(hub.socketAddress));
  const closed = once(nobody.socket, "close", { signal: AbortSignal.timeout(10_000) });
  assert.equal((await nobody.hear("error")).code, "user_id_required");
  assert.equal((await closed)[0], 4001);
});

test("a hundred clients come and go", async () => {
  const names = Array.from({ length: 100 }, (_, number) => `guest-${number}`);
  const guests = await Promise.all(names.map((name) => Person.connect(hub, name, DEFLATE)));
  guests[0].send("broadcast", { data: "welcome" });
  const heard = await Promise.all(guests.map((guest) => guest.hear("broadcast")));
  assert.equal(new Set(heard.map((message) => message.cursor)).size, 1);
  assert.deepEqual(new Set(await Promise.all(guests.map((guest) => guest.leave()))), new Set([1000]));
});
