/**
 * The entry of the wshub client for browsers and Node, and all that a program imports.
 * A node serves it as `/wshub.js`, and the modules beside it as `/wshub/….js`.
 *
 *     import { connect } from "/wshub.js";
 *     const hub = connect("/ws", { userId: "ann", rooms: ["news"] });
 *     hub.on("room", (message) => console.log(message.room_id, message.from, message.data));
 *     hub.on("connected", () => hub.room("news", { hello: "world" }));
 */
export { Client, connect } from "./wshub/client.js";
export { CLOSE_CODES, closeCode } from "./wshub/codes.js";
export { HubError } from "./wshub/errors.js";
