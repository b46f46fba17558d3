/**
 * Coming and going through Node's ws, with and without permessage-deflate: nothing is lost, nothing comes twice.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { queued, startNode } from "./node.mjs";
import { Person } from "./person.mjs";

const WORDS = "a word and a word and ".repeat(50);

async function publish(hub, messages) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${hub.address}/publish`, { method: "POST", headers, body: JSON.stringify(messages) });
  assert.equal(answer.status, 200);
  return answer.json();
}

for (const [name, options] of [
  ["with deflate", { perMessageDeflate: { threshold: 0 } }],
  ["without deflate", { perMessageDeflate: false }],
]) {
  describe(name, () => {
    let hub;
    before(async () => {
      hub = await startNode();
    });
    after(async () => assert.equal(await hub.end(), 0));

    test("what waited for a user comes once, and then what is live", async () => {
      const waits = { type: "user", target_ids: ["ann"], data: WORDS };
      await publish(hub, [waits, waits]);
      const ann = await Person.connect(hub, "ann", options);
      assert.equal(ann.connected.pending, 2);
      await publish(hub, [{ ...waits, data: "live" }]);
      for (const data of [WORDS, WORDS, "live"]) assert.equal((await ann.hear("user")).data, data);
      await queued(hub, 0);
      await ann.leave();
      const back = await Person.connect(hub, "ann", options);
      assert.equal(back.connected.pending, 0);
      await back.leave();
    });

    test("without pongs nothing counts as received", async () => {
      const bob = await Person.connect(hub, "bob", { ...options, autoPong: false });
      await publish(hub, [{ type: "user", target_ids: ["bob"], data: WORDS }]);
      await bob.hear("user");
      await bob.leave();
      const back = await Person.connect(hub, "bob", options);
      assert.equal(back.connected.pending, 1);
      await back.hear("user");
      await queued(hub, 0);
      await back.leave();
    });

    test("a client acknowledges for itself", async () => {
      const asks = { ack: "1" };
      const carol = await Person.connect(hub, "carol", { ...options, asks });
      await publish(hub, [1, 2].map((data) => ({ type: "user", target_ids: ["carol"], data })));
      const { cursor } = await carol.hear("user");
      await carol.hear("user");
      carol.send("ack", { cursor });
      await queued(hub, 1);
      await carol.leave();
      const back = await Person.connect(hub, "carol", { ...options, asks });
      assert.equal(back.connected.pending, 1);
      const second = await back.hear("user");
      assert.equal(second.data, 2);
      back.send("ack", { cursor: second.cursor });
      await queued(hub, 0);
      await back.leave();
    });

    test("who comes back is given the thousand messages that they missed", async () => {
      const dan = await Person.connect(hub, "dan", options);
      await dan.leave();
      const { session_id, cursor } = dan.connected;
      await publish(hub, Array.from({ length: 1000 }, (_, number) => ({ type: "broadcast", data: [number, WORDS] })));
      const back = await Person.connect(hub, "dan", { ...options, asks: { session_id, after: cursor } });
      assert.equal(back.connected.resumed, true);
      assert.equal(back.connected.session_id, session_id);
      for (let number = 0; number < 1000; number += 1) {
        assert.deepEqual((await back.hear("broadcast")).data, [number, WORDS]);
      }
      await back.leave();
    });

    test("a node that drains says when to come back, and the last place", async () => {
      const ending = await startNode("drain.timeout=3s");
      const eve = await Person.connect(ending, "eve", options);
      await publish(ending, [{ type: "user", target_ids: ["nobody"], data: 1 }]);
      const closed = eve.hearClose();
      const ended = ending.end();
      assert.ok((await eve.hear("reconnect")).delay_ms <= 1000);
      assert.notEqual((await eve.hear("position")).cursor, eve.connected.cursor);
      assert.equal(await closed, 1012);
      assert.equal(await ended, 0);
    });
  });
}
