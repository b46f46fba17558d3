/**
 * One device of one user: a client of its own behind a cable that can be pulled, and all that is shown of it.
 */
import { connect } from "/wshub.js";
import { Place } from "/wshub/place.js";

import { Badge } from "./badge.js";
import { Cable } from "./cable.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { copyOf, find } from "./element.js";
import { Rooms } from "./rooms.js";
import { Typing } from "./typing.js";
import { Wire } from "./wire.js";

/**
 * @typedef {import("/wshub.js").Events} Events
 * @typedef {Events["broadcast"][0] | Events["room"][0]} Published
 * @typedef {import("./badge.js").Standing} Standing
 * @typedef {import("./composer.js").Target} Target
 *
 * @typedef {object} Neighbours what a card knows of those around it
 * @property {(user: string) => string} colourOf
 * @property {(user: string) => boolean} isHere
 * @property {() => string[]} users
 * @property {(card: Card) => void} stood a card's connection has changed
 * @property {(card: Card, deed: "wrote" | "caught_up") => void} did
 * @property {(text: string, key?: string) => void} say aloud
 */

const FIRST_ROOM = "lobby";
const HISTORY = 20;
/** What came by HTTP has no sender. */
const NO_SENDER = "HTTP";

export class Card {
  #neighbours;
  #client;
  #cable;
  #badge;
  #conversation;
  #rooms;
  #typing;
  #composer;
  /** @type {number | null} */
  #movesAt = null;
  /** @type {Standing} */
  #standing = "idle";
  /** Up to where the log went when this device came back: what is not behind that is late. */
  #missedUpTo = new Place();

  /**
   * @param {{ user: string, device: string }} who
   * @param {Neighbours} neighbours
   */
  constructor({ user, device }, neighbours) {
    this.user = user;
    this.device = device;
    this.#neighbours = neighbours;
    this.element = copyOf("card");
    this.#name();
    const wire = new Wire(this.element);
    this.#cable = new Cable((direction, text) => wire.add(direction, text));
    this.#badge = new Badge(this.element);
    this.#conversation = new Conversation(this.element);
    this.#typing = new Typing(this.element, user);
    this.#composer = new Composer(this.element, {
      send: (target, text) => void this.#write(target, text),
      pass: (target, data) => this.#pass(target, data),
      isHere: neighbours.isHere,
    });
    this.#rooms = new Rooms(this.element, {
      show: (room) => this.#show(room),
      join: (room) => void this.#client.join(room, { history: HISTORY, presence: true }),
      leave: (room) => void this.#client.leave(room),
      colourOf: neighbours.colourOf,
    });
    this.#client = this.#connect();
    this.#badge.button.addEventListener("click", () => this.#press());
    this.#stand();
  }

  get isConnected() {
    return this.#standing === "connected" || this.#standing === "draining";
  }

  get isUnplugged() {
    return this.#standing === "unplugged";
  }

  get rooms() {
    return this.#rooms;
  }

  /** The users or rooms around it have changed. */
  refresh() {
    const others = new Set([...this.#neighbours.users(), ...this.#rooms.users]);
    others.delete(this.user);
    this.#composer.offer(this.#rooms.names, [...others].sort());
    this.#conversation.release(this.#neighbours.isHere);
  }

  end() {
    this.#client.close();
    this.#badge.end();
    this.#typing.clear();
    this.element.remove();
  }

  #name() {
    const { user, device, element } = this;
    element.dataset.user = user;
    element.dataset.device = device;
    element.dataset.colour = this.#neighbours.colourOf(user);
    element.setAttribute("aria-label", `${user}, ${device}`);
    find(element, ".avatar", HTMLElement).textContent = [...user][0]?.toUpperCase() ?? "";
    find(element, "[data-part=user]", HTMLElement).textContent = user;
    find(element, "[data-part=device]", HTMLElement).textContent = device;
    find(element, "[data-testid=log]", HTMLElement).setAttribute("aria-label", `What ${user} has heard on the ${device}`);
  }

  #connect() {
    const client = connect("/ws", {
      userId: this.user,
      rooms: [{ room: FIRST_ROOM, history: HISTORY, presence: true }],
      ack: true,
      WebSocket: this.#cable.socketClass,
    });
    client.on("state", () => this.#stand());
    client.on("connected", ({ cursor }) => {
      this.#missedUpTo = new Place(cursor);
    });
    client.on("broadcast", (message) => this.#hear(message, "everybody"));
    client.on("user", (message) => this.#hear(message, message.from === this.user ? this.user : "you"));
    client.on("room", (message) => this.#hear(message, ""));
    client.on("joined", (message) => this.#joined(message));
    client.on("left", ({ room_id }) => this.#left(room_id));
    client.on("presence", (message) => {
      this.#rooms.presence(message);
      this.refresh();
    });
    client.on("resumed", (how) => this.#cameBack(how));
    client.on("lost", (lost) => this.#conversation.note("lost", sentenceOf(lost)));
    client.on("error", ({ code, error }) => this.#conversation.note("error", `${code}: ${error}`));
    client.on("reconnect", ({ delay_ms }) => {
      this.#movesAt = performance.now() + delay_ms;
      this.#conversation.note("draining", "The node is about to stop; this device moves on");
      this.#stand();
    });
    return client;
  }

  /** The one button does what helps just now. */
  #press() {
    if (this.#standing === "waiting" || this.#standing === "refused") return this.#client.connect();
    if (this.#cable.isIn) this.#cable.pull();
    else {
      this.#cable.plugIn();
      this.#client.connect();
    }
    this.#stand();
  }

  #stand() {
    const { state } = this.#client;
    if (state.name !== "connected") this.#movesAt = null;
    const before = this.#standing;
    this.#standing = this.#badge.show(state, { isIn: this.#cable.isIn, movesAt: this.#movesAt });
    if (this.#standing === before) return;
    this.#tellStanding(before);
    this.#neighbours.stood(this);
  }

  /** @param {Standing} before */
  #tellStanding(before) {
    const { user, device } = this;
    const said = { connected: "is connected", unplugged: "is away", refused: "is refused", draining: "moves on" };
    if (this.#standing in said) {
      this.#neighbours.say(`${user}, ${device}, ${said[/** @type {keyof typeof said} */ (this.#standing)]}`);
    }
    if (this.isConnected) return;
    this.#typing.clear();
    this.#conversation.holdUp("goes out when the connection is back");
    if (this.#standing === "unplugged") this.#conversation.note("away", "Unplugged");
    // A hundred failed attempts are one line.
    if (this.#standing === "waiting" && before === "connected") this.#conversation.note("lost", "The connection broke");
  }

  /** @param {Events["resumed"][0]} how */
  #cameBack({ resumed }) {
    this.#conversation.comeBack();
    this.#conversation.note("back", resumed ? "Back, and nothing is lost" : "Back");
  }

  /** @param {Events["joined"][0]} message */
  #joined(message) {
    const { room_id, history = [] } = message;
    const isNew = this.#rooms.joined(message);
    if (isNew) this.#conversation.note("joined", `Joined ${room_id}`, room_id);
    for (const old of history) this.#take(old, "");
    this.refresh();
  }

  /** @param {string} room */
  #left(room) {
    this.#rooms.left(room);
    this.refresh();
  }

  /** @param {string} room */
  #show(room) {
    this.#conversation.show(room);
    this.#typing.show(room);
    this.refresh();
    this.#composer.turnTo(room);
  }

  /**
   * @param {Published} message
   * @param {string} to
   */
  #hear(message, to) {
    if (this.#typing.hear(message)) return;
    const room = roomOf(message);
    this.#typing.stop(message.from, room);
    const late = this.#missedUpTo.covers(message.cursor);
    if (!this.#take(message, to, late)) return;
    this.#rooms.heard(room);
    if (late) this.#neighbours.did(this, "caught_up");
    this.#neighbours.say(`${message.from || NO_SENDER}: ${textOf(message.data)}`, keyOf(message.from, message.id));
  }

  /**
   * @param {Published} message
   * @param {string} to
   * @param {boolean} [late]
   */
  #take(message, to, late = false) {
    const { type, id, from, timestamp, data } = message;
    return this.#conversation.hear({
      ...this.#speech(from, textOf(data)),
      key: keyOf(from, id),
      kind: type,
      room: roomOf(message),
      to,
      at: new Date(timestamp * 1000),
      late,
    });
  }

  /**
   * @param {string} from
   * @param {string} text
   */
  #speech(from, text) {
    const { colourOf } = this.#neighbours;
    return { from: from || NO_SENDER, colour: from ? colourOf(from) : "0", text, own: from === this.user };
  }

  /**
   * @param {Target} target
   * @param {string} text
   */
  async #write(target, text) {
    const id = newId();
    const key = keyOf(this.user, id);
    const entry = { ...this.#speech(this.user, text), ...addressOf(target), key, at: new Date() };
    this.#conversation.pend(entry, this.isConnected ? "on its way" : "goes out when the connection is back");
    this.#neighbours.did(this, "wrote");
    try {
      await this.#publish(target, { text }, { id });
    } catch (error) {
      return this.#conversation.settle(key, "failed", `not published: ${/** @type {Error} */ (error).message}`);
    }
    // What this device hears itself replaces this; what is for another user only doesn't come back.
    if (target.kind === "user" && target.user !== this.user) {
      const isHere = this.#neighbours.isHere(target.user);
      this.#conversation.settle(key, isHere ? "sent" : "waits", isHere ? "" : `waits for ${target.user}`);
    }
  }

  /**
   * Nobody keeps it, so there is no use in sending it to who isn't there.
   *
   * @param {Target} target
   * @param {object} data
   */
  #pass(target, data) {
    if (target.kind === "user" && !this.#neighbours.isHere(target.user)) return;
    void this.#publish(target, data, { ephemeral: true, to: "others" });
  }

  /**
   * @param {Target} target
   * @param {unknown} data
   * @param {{ id?: string, ephemeral?: boolean, to?: "all" | "others" }} options
   */
  #publish(target, data, options) {
    if (target.kind === "room") return this.#client.room(target.room, data, options);
    if (target.kind === "user") return this.#client.user(target.user, data, options);
    return this.#client.broadcast(data, options);
  }
}

/**
 * @param {Target} target
 * @returns {Pick<import("./conversation.js").Entry, "kind" | "room" | "to">}
 */
function addressOf(target) {
  if (target.kind === "room") return { kind: "room", room: target.room, to: "" };
  if (target.kind === "user") return { kind: "user", room: "", to: target.user };
  return { kind: "broadcast", room: "", to: "everybody" };
}

/** @param {Published} message */
function roomOf(message) {
  return message.type === "room" ? message.room_id : "";
}

/**
 * What people write is `{ text }`, here as in the examples; all else is shown as the JSON that it is.
 *
 * @param {unknown} data
 */
function textOf(data) {
  if (typeof data === "string") return data;
  const { text, ...more } = /** @type {any} */ (data ?? {});
  return typeof text === "string" && Object.keys(more).length === 0 ? text : JSON.stringify(data);
}

/**
 * Ids are unique for each sender.
 *
 * @param {string} from
 * @param {string} id
 */
function keyOf(from, id) {
  return JSON.stringify([from, id]);
}

/** Not `crypto.randomUUID`, which browsers have on secure pages only. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("-");
}

/** @param {Events["lost"][0]} lost */
function sentenceOf({ reason, room, count }) {
  const many = count === undefined ? "Messages" : count === 1 ? "1 message" : `${count} messages`;
  const where = room === undefined ? "" : ` in ${room}`;
  if (reason === "missed") return `${many} waited too long and are gone`;
  if (reason === "gap") return `${many} left out${where}: this device was too slow`;
  return `Messages${where} may be missing: the log doesn't reach back to where this device was`;
}
