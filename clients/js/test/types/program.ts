/**
 * A TypeScript program that uses the package by its name: it compiles only if the generated declarations
 * say what the client does. Each line that must not compile says so.
 */
import { CLOSE_CODES, type Client, HubError, closeCode, connect } from "wshub";
import type { Events, Lost, Options, Receipt, State } from "wshub";

const options: Options = {
  userId: "ann",
  token: async () => "a.b.c",
  rooms: ["news", { room: "chat", history: 20, presence: true }],
  ack: true,
  outbox: { messages: 10 },
};
const hub: Client = connect("wss://hub.test/ws", options);

hub.on("room", ({ room_id, from, data, cursor }) => {
  const texts: [string, string, string | undefined] = [room_id, from, cursor];
  // @ts-expect-error: what others wrote is unknown until it was looked at
  const text: string = data;
  return [texts, text];
});
hub.on("user", async (message) => void (await Promise.resolve(message.id)));
hub.on("lost", ({ reason, room, count }: Lost) => {
  const known: "not_resumed" | "missed" | "gap" | "reset" = reason;
  return [known, room, count];
});
hub.on("resumed", ({ resumed, pending, missed }) => [resumed satisfies boolean, pending + missed]);
hub.on("presence", ({ event, user_id }) => [event satisfies "join" | "leave" | "count", user_id]);
hub.on("state", (state: State) => (state.name === "waiting" ? state.delayMs : 0));
// @ts-expect-error: there is no such event
hub.on("rooms", () => {});

const hear = (...[message]: Events["broadcast"]) => void message.data;
hub.on("broadcast", hear);
hub.off("broadcast", hear);

const receipt: Receipt = await hub.user(["bob"], { text: "hi" }, { id: "m1", to: "others", ephemeral: true });
const place: string | undefined = receipt.cursor;
const { members, users, history } = await hub.join("news", { history: 5 });
const sum: number = (members ?? 0) + (users?.length ?? 0) + (history?.[0]?.timestamp ?? 0);
await hub.leave("news");
await hub.broadcast(null).catch((error: HubError) => [error.code, error.id, error.room_id, error.retry_after_ms]);
// @ts-expect-error: others is the only choice beside all
hub.room("news", 1, { to: "me" });
// @ts-expect-error: which users?
hub.user({ text: "hi" });
hub.close();

export const used = [place, sum, CLOSE_CODES[1000], closeCode(4002).comeBack satisfies string, HubError];
