/**
 * Where a connection goes: the address of the hub with what the client says of itself in the query.
 */

/**
 * The server takes a request line of 8 KiB. What is left of that is for proxies that make a path longer.
 */
const LONGEST_URL = 7000;

/** What a token may be made of to be offered as a subprotocol; a JWT is. */
const TOKEN = /^[\w.~+-]+$/;

/**
 * @param {string | URL} url in a browser relative to the page
 * @param {string | undefined} userId
 * @param {boolean} acknowledges
 * @returns {URL}
 */
export function address(url, userId, acknowledges) {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace(/^http/, "ws");
  if (full.protocol !== "ws:" && full.protocol !== "wss:") {
    throw new TypeError(`a hub is reached by ws, wss, http or https, not by ${full.protocol}`);
  }
  full.hash = "";
  if (userId !== undefined) full.searchParams.set("user_id", userId);
  if (acknowledges) full.searchParams.set("ack", "1");
  return full;
}

/**
 * The address of a connection that goes on where another ended. Rooms are added as long as they fit.
 *
 * @param {URL} url
 * @param {string} sessionId
 * @param {string} after
 * @param {(fits: (room: string) => boolean) => readonly string[]} rooms
 * @returns {{ url: URL, queried: readonly string[] }}
 */
export function resuming(url, sessionId, after, rooms) {
  const full = new URL(url);
  full.searchParams.set("session_id", sessionId);
  full.searchParams.set("after", after);
  let left = LONGEST_URL - full.href.length - "&rooms=".length;
  const queried = rooms((room) => {
    // Three characters for the comma; a byte is never more than three in a query.
    const length = encodeURIComponent(room).length + 3 + 2 * (room.match(/[!'()~]/g)?.length ?? 0);
    if (length > left) return false;
    left -= length;
    return true;
  });
  if (queried.length > 0) full.searchParams.set("rooms", queried.join(","));
  return { url: full, queried };
}

/**
 * The subprotocols to offer. Browsers can set no header, and a query ends up in logs; so the token goes
 * here.
 *
 * @param {unknown} token
 * @returns {string[]}
 */
export function protocols(token) {
  if (token === undefined) return ["wshub.v1"];
  if (typeof token !== "string" || !TOKEN.test(token)) throw new TypeError("a token is a JWT, as text");
  return ["wshub.v1", `bearer.${token}`];
}
