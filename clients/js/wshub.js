/**
 * The entry of the wshub client for browsers and Node, and all that a program imports.
 * A node serves it as `/wshub.js`, and the modules beside it as `/wshub/….js`.
 *
 *     import { connect } from "/wshub.js";
 *     const hub = connect("/ws", { userId: "ann", rooms: ["news"] });
 *     hub.on("room", (message) => console.log(message.room_id, message.from, message.data));
 *     hub.on("connected", () => hub.room("news", { hello: "world" }));
 */

/**
 * @typedef {import("./wshub/client.js").Options} Options
 * @typedef {import("./wshub/client.js").Events} Events
 * @typedef {import("./wshub/client.js").State} State
 * @typedef {import("./wshub/client.js").Resumed} Resumed
 * @typedef {import("./wshub/client.js").Lost} Lost
 * @typedef {import("./wshub/client.js").Wish} Wish
 * @typedef {import("./wshub/client.js").WantedRoom} WantedRoom
 * @typedef {import("./wshub/client.js").Receipt} Receipt
 * @typedef {import("./wshub/client.js").PublishOptions} PublishOptions
 */

export { Client, connect } from "./wshub/client.js";
export { CLOSE_CODES, closeCode } from "./wshub/codes.js";
export { HubError } from "./wshub/errors.js";
