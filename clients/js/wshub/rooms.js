/**
 * The rooms that the program wants to be in: which of them are asked for on a new connection and how,
 * and which answer is for which question. The server answers the joins and leaves of a connection in
 * the order in which they were sent.
 */
import { HubError } from "./errors.js";
import * as messages from "./messages.js";
import { Place } from "./place.js";
import { Promised } from "./promised.js";

/**
 * @typedef {object} Wish what a program wants of a room
 * @property {number} [history] how many of the last messages, up to 100, `joined` is to bring
 * @property {boolean} [presence] whether to be told who is there, comes and goes
 *
 * @typedef {Wish & { room: string }} WantedRoom
 *
 * @typedef {object} Question one join or leave on its way
 * @property {"join" | "leave"} type
 * @property {boolean} [isAskedAgain] another join follows, whose answer says more
 * @property {boolean} [holds] its answer brings a history, with what is said in the room until then
 * @property {boolean} [begins] the first of a client that goes on from nowhere
 * @property {string} [after] the place from which the room catches up by itself
 * @property {string} [from] the place up to which the room was heard, however it catches up
 * @property {Promised<any>[]} askers
 *
 * @typedef {object} Room
 * @property {string} id
 * @property {Wish} wish
 * @property {boolean} isWanted
 * @property {boolean} isMember it was joined, and heard up to the kept place since
 * @property {boolean} isTriedLater the server could not let the client in just now
 * @property {Place | null} since where it was joined: what was said before is no news
 * @property {Place | null} behind its own place, while it catches up with the kept one
 * @property {Place | null} until the partitions in which it still does
 * @property {Question[]} asked
 * @property {any[]} held what was said in it while a history that may hold it is on its way
 * @property {Promised<messages.Membership>[]} waiting who waits for the next `joined`
 */

/** Refusals that pass by themselves; a room isn't given up for them. */
const PASSES = new Set(["rate_limited", "unavailable", "overloaded", "outcome_unknown", "internal"]);

export class Rooms {
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /**
   * Those with a place of their own.
   *
   * @type {Set<Room>}
   */
  #behind = new Set();
  #send;
  #tell;

  /**
   * @param {Iterable<string | WantedRoom>} wanted
   * @param {(text: string) => boolean} send whether it went to a connection
   * @param {(message: any) => void} tell gives a message to the program that was held for a while
   */
  constructor(wanted, send, tell) {
    this.#send = send;
    this.#tell = tell;
    for (const each of wanted) {
      const { room, ...wish } = typeof each === "string" ? { room: each } : each;
      if (!isRoomId(room)) throw new TypeError("a room has 1 to 128 bytes and no control characters");
      this.#want(room, wish);
    }
  }

  /** Those that are joined, or will be as soon as there is a connection. */
  get names() {
    return [...this.#rooms.values()].filter((room) => room.isWanted).map((room) => room.id);
  }

  /**
   * The rooms for the query of a connection that resumes: those that were heard up to the kept place, as
   * long as they fit. The rest is joined by message.
   *
   * @param {(id: string) => boolean} fits
   * @returns {string[]}
   */
  forQuery(fits) {
    const rooms = [...this.#rooms.values()].filter(({ isWanted, isMember, behind }) => isWanted && isMember && !behind);
    return rooms.map((room) => room.id).filter((id) => !id.includes(",") && fits(id));
  }

  /**
   * There is a connection: asks for each room that it isn't in, or of which more is wanted.
   *
   * @param {object} how
   * @param {readonly string[]} how.queried what stood in its query
   * @param {boolean} how.resumed
   * @param {boolean} how.begins the client goes on from nowhere: what is said before it is in a room is no news
   * @param {string} how.after the place from which rooms that weren't in the query are to go on; "" for none
   */
  welcome({ queried, resumed, begins, after }) {
    const inQuery = new Set(queried);
    const from = resumed ? after : "";
    for (const id of queried) this.#askedByQuery(this.#rooms.get(id) ?? newRoom(id), from);
    for (const room of this.#rooms.values()) {
      if (!room.isWanted || inQuery.has(room.id)) continue;
      this.#ask(room, room.isMember && resumed ? (room.behind?.toString() ?? after) : "");
    }
    for (const { asked } of begins ? this.#rooms.values() : []) if (asked[0]) asked[0].begins = true;
  }

  /** The connection is gone, and all questions with it. */
  cut() {
    for (const room of [...this.#rooms.values()]) {
      for (const { type, askers } of room.asked.splice(0)) {
        if (type === "join") room.waiting.push(...askers);
        else for (const asker of askers) asker.resolve(null);
      }
      room.isTriedLater = false;
      this.#release(room);
      if (!room.isWanted) this.#forget(room);
    }
  }

  /** No connection will come, for now. */
  end() {
    this.cut();
    for (const room of this.#rooms.values()) this.#disappoint(room, "closed", "the client was closed");
  }

  /**
   * @param {string} id
   * @param {Wish} wish
   * @returns {Promise<messages.Membership>}
   */
  join(id, wish) {
    const room = this.#want(id, wish);
    /** @type {Promised<messages.Membership>} */
    const asker = new Promised();
    room.waiting.push(asker);
    this.#ask(room, "");
    return asker.promise;
  }

  /**
   * @param {string} id
   * @returns {Promise<messages.Membership | null>} null where there was no connection to leave by
   */
  leave(id) {
    /** @type {Promised<messages.Membership | null>} */
    const asker = new Promised();
    const room = this.#rooms.get(id) ?? newRoom(id);
    this.#rooms.set(id, room);
    Object.assign(room, { isWanted: false, isMember: false, isTriedLater: false, since: null, held: [] });
    this.#settle(room);
    this.#disappoint(room, "left", "the room was left before it was joined");
    this.#askToLeave(room, [asker]);
    return asker.promise;
  }

  /** Asks again for the rooms that the server could not let the client into. */
  tryAgain() {
    for (const room of this.#rooms.values()) {
      if (!room.isTriedLater) continue;
      room.isTriedLater = false;
      this.#ask(room, room.behind?.toString() ?? "");
    }
  }

  /**
   * The answer to a join.
   *
   * @param {messages.Membership} message
   * @returns {boolean} whether the program is told of it
   */
  joined(message) {
    const room = this.#rooms.get(message.room_id);
    const question = room?.asked[0]?.type === "join" ? room.asked.shift() : undefined;
    if (!room || !question) return true;
    if (question.holds) this.#release(room, message.history);
    for (const asker of question.askers) asker.resolve(message);
    if (room.isWanted) {
      if (question.after) this.#catchUp(room, question.after, message);
      else if (!room.isMember || question.begins) room.since = new Place(message.cursor);
      room.isMember = true;
    }
    return !question.isAskedAgain;
  }

  /** @param {messages.Membership} message */
  left(message) {
    const room = this.#rooms.get(message.room_id);
    if (room?.asked[0]?.type !== "leave") return;
    for (const asker of room.asked.shift()?.askers ?? []) asker.resolve(message);
    this.#forget(room);
  }

  /**
   * The server refuses a join or a leave. A room that it doesn't let the client into is forgotten, for
   * it would be refused again after every reconnect; unless the reason passes by itself.
   *
   * @param {messages.Refusal} refusal
   * @returns {boolean} whether to try again later
   */
  refused({ code, error, ...about }) {
    const room = this.#rooms.get(about.room_id ?? "");
    const question = room?.asked.shift();
    if (!room || !question) return false;
    if (question.holds) this.#release(room);
    const isTriedLater = question.type === "join" && room.isWanted && PASSES.has(code);
    if (isTriedLater) {
      room.waiting.push(...question.askers);
      room.isTriedLater = true;
      if (room.isMember && question.from) this.#fallBehind(room, question.from);
      return true;
    }
    for (const asker of question.askers) asker.reject(new HubError(code, error, about));
    if (question.type === "join" && room.asked.every(({ type }) => type === "leave")) {
      Object.assign(room, { isWanted: false, isMember: false });
    }
    this.#forget(room);
    return false;
  }

  /**
   * Whether a room's message was said before the room was joined, or given before while it catches up. A
   * client that resumes is given the room from its kept place on, which may lie before its join.
   *
   * @param {{ room_id: string, cursor?: string }} message
   */
  isOld({ room_id, cursor }) {
    const room = this.#rooms.get(room_id);
    if (!room?.behind) return room?.since?.covers(cursor) === true;
    const wasGiven = room.behind.covers(cursor);
    room.behind.move(cursor);
    return wasGiven;
  }

  /**
   * Whether a room's message is told with a history that is on its way: the room was joined by the query of a
   * client that isn't resumed, and the history is the answer to a second join.
   *
   * @param {{ room_id: string, cursor?: string }} message
   */
  holds(message) {
    const room = this.#rooms.get(message.room_id);
    if (!room?.asked[0]?.holds || message.cursor === undefined) return false;
    room.held.push(message);
    return true;
  }

  /**
   * A cursor has come. Those who catch up are given the log in its order, so what lies behind their
   * `joined` says that they are through.
   *
   * @param {{ type: string, cursor?: string }} message
   */
  moved({ type, cursor }) {
    for (const room of this.#behind) {
      room.until?.pass(cursor);
      if (room.until && (type === "position" || !room.until.isKnown)) this.#settle(room);
    }
  }

  /** The log was let go of: no room has anything to catch up with. */
  reset() {
    for (const room of this.#behind) this.#settle(room);
  }

  /**
   * Keeps the place up to which rooms were heard that a connection could not take into its query; while
   * they catch up, the common place moves on without them.
   *
   * @param {Room} room
   * @param {string} after
   * @param {messages.Membership} message
   */
  #catchUp(room, after, { resumed, cursor }) {
    if (resumed === false) return this.#settle(room);
    this.#fallBehind(room, after);
    room.until = new Place(cursor);
  }

  /**
   * @param {Room} room
   * @param {string} after
   */
  #fallBehind(room, after) {
    room.behind ??= new Place(after);
    this.#behind.add(room);
  }

  /** @param {Room} room */
  #settle(room) {
    room.behind = null;
    room.until = null;
    this.#behind.delete(room);
  }

  /**
   * @param {string} id
   * @param {Wish} wish
   */
  #want(id, wish) {
    const room = this.#rooms.get(id) ?? newRoom(id);
    this.#rooms.set(id, Object.assign(room, { isWanted: true, wish }));
    return room;
  }

  /**
   * A room was asked for by the query, which can say neither `presence` nor `history`.
   *
   * @param {Room} room
   * @param {string} from where it goes on; "" where it doesn't
   */
  #askedByQuery(room, from) {
    this.#rooms.set(room.id, room);
    const { history = 0, presence } = room.wish;
    // What was missed comes by itself; a history would bring it twice.
    const goesOn = room.isMember && from !== "";
    const isAskedAgain = room.isWanted && Boolean(presence || (history > 0 && !goesOn));
    room.asked.push({ type: "join", isAskedAgain, from, askers: isAskedAgain ? [] : room.waiting.splice(0) });
    if (!room.isWanted) this.#askToLeave(room, []);
    else if (isAskedAgain) this.#ask(room, "", goesOn ? { ...room.wish, history: 0 } : room.wish, !goesOn && history > 0);
  }

  /**
   * @param {Room} room
   * @param {string} after
   * @param {Wish} [wish]
   * @param {boolean} [holds]
   */
  #ask(room, after, wish = room.wish, holds = false) {
    // A room that goes on from a place keeps it from now on: the connection may end before `joined`.
    if (after) this.#fallBehind(room, after);
    const asks = after ? { ...wish, history: 0, after } : wish;
    if (!this.#send(messages.join(room.id, asks))) return;
    room.asked.push({ type: "join", holds, after, from: after, askers: room.waiting.splice(0) });
  }

  /**
   * @param {Room} room
   * @param {Promised<messages.Membership | null>[]} askers
   */
  #askToLeave(room, askers) {
    if (this.#send(messages.leave(room.id))) return room.asked.push({ type: "leave", askers });
    for (const asker of askers) asker.resolve(null);
    return this.#forget(room);
  }

  /**
   * Tells what was held and isn't in the history.
   *
   * @param {Room} room
   * @param {readonly messages.RoomMessage[]} [history]
   */
  #release(room, history = []) {
    const told = new Set(history.map(({ cursor }) => cursor));
    for (const message of room.held.splice(0)) if (!told.has(message.cursor)) this.#tell(message);
  }

  /**
   * Fails those who wait for the room's `joined`.
   *
   * @param {Room} room
   * @param {string} code
   * @param {string} why
   */
  #disappoint(room, code, why) {
    const joins = room.asked.filter(({ type }) => type === "join");
    const askers = [...room.waiting.splice(0), ...joins.flatMap((question) => question.askers.splice(0))];
    for (const asker of askers) asker.reject(new HubError(code, why, { room_id: room.id }));
  }

  /** @param {Room} room */
  #forget(room) {
    if (room.isWanted || room.asked.length > 0) return;
    this.#settle(room);
    this.#rooms.delete(room.id);
  }
}

const encoder = new TextEncoder();

/**
 * Whether the server knows this as a room's id; how it refuses another can't be told from the answers
 * for others.
 *
 * @param {unknown} id
 * @returns {id is string}
 */
export function isRoomId(id) {
  if (typeof id !== "string" || id === "" || /[\0-\x1f\x7f\p{Surrogate}]/u.test(id)) return false;
  return encoder.encode(id).length <= 128;
}

/**
 * @param {string} id
 * @returns {Room}
 */
function newRoom(id) {
  return {
    id,
    wish: {},
    isWanted: false,
    isMember: false,
    isTriedLater: false,
    since: null,
    behind: null,
    until: null,
    asked: [],
    held: [],
    waiting: [],
  };
}
