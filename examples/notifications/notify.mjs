/**
 * Tells a user something from a back end, with nothing but what Node brings:
 *
 *     node examples/notifications/notify.mjs ann "Your parcel is here"
 *
 * It is one HTTP request. Where it gets no answer it is sent again under the same id, which has no second effect.
 */
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

const TRIES = 5;
// The node takes nothing now, or nobody knows whether it did. All other refusals would be refused again.
const TRY_AGAIN = [503, 504];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    id: { type: "string", default: randomUUID() },
    node: { type: "string", default: "http://127.0.0.1:8080" },
  },
});
const [user, text] = positionals;
if (text === undefined) fail("usage: notify.mjs USER TEXT [--id ID] [--node URL]");
console.log(await publish({ type: "user", target_ids: [user], id: values.id, data: { text } }));

/** Publishes a message; resolves to its id, its place in the log, and whether it was there before, as JSON. */
async function publish(message) {
  const request = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(message),
  };
  let why = "";
  for (let tried = 0; tried < TRIES; tried++) {
    if (tried > 0) {
      // A random part of a growing time: publishers that failed together don't come back together.
      const wait = Math.random() * 1000 * 2 ** (tried - 1);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    try {
      const answer = await fetch(`${values.node}/publish`, { ...request, signal: AbortSignal.timeout(5000) });
      why = await answer.text();
      if (answer.ok) return why;
      if (!TRY_AGAIN.includes(answer.status)) break;
    } catch (error) {
      why = String(error.cause ?? error);
    }
  }
  return fail(`not published: ${why}`);
}

function fail(why) {
  console.error(why);
  process.exit(1);
}
