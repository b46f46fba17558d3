/**
 * What the first page does: two panels, each one user with a client of its own. Whatever comes from
 * the hub was written by somebody else, so it reaches the page as text and never as HTML.
 */
import { connect } from "/wshub.js";

/** @typedef {import("/wshub.js").Client} Client */
/** @typedef {Client["state"]} State */

const LONGEST_LOG = 200;
const LONGEST_TEXT = 2000;
const TICK_MS = 100;

/** One user: who it is, its connection, and what it has heard. */
class Panel {
  /** @type {Client | null} */
  #client = null;
  /** @type {Panel | null} */
  #other = null;
  /** @type {State} */
  #state = { name: "idle" };
  /** Whether the log says already that the connection is lost; a hundred failed attempts are one line. */
  #saidLost = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;

  /**
   * @param {string} side
   * @param {string} name
   */
  constructor(side, name) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("panel"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = find(copy, ".panel", HTMLElement);
    this.element.id = side;
    this.element.dataset.testid = side;
    for (const part of this.element.querySelectorAll("[data-testid]")) {
      part.id = `${side}-${part.getAttribute("data-testid")}`;
    }
    this.avatar = find(copy, ".avatar", HTMLElement);
    this.otherLabel = find(copy, "[data-part=other]", HTMLElement);
    this.roomLabel = find(copy, "[data-part=room]", HTMLElement);
    this.name = this.#part("name", HTMLInputElement);
    this.text = this.#part("text", HTMLInputElement);
    this.room = this.#part("room", HTMLInputElement);
    this.log = this.#part("log", HTMLOListElement);
    this.stateText = this.#part("state", HTMLElement);
    this.countdown = this.#part("countdown", HTMLProgressElement);
    this.connect = this.#part("connect", HTMLButtonElement);
    this.disconnect = this.#part("disconnect", HTMLButtonElement);
    this.send = this.#part("send", HTMLButtonElement);
    this.join = this.#part("join", HTMLButtonElement);
    this.leave = this.#part("leave", HTMLButtonElement);
    this.targets = [...this.element.querySelectorAll("input[type=radio]")].map(asInput);
    for (const target of this.targets) target.name = `${side}-target`;
    this.name.value = name;
    this.#listen();
  }

  /** @param {Panel} other */
  face(other) {
    this.#other = other;
    other.name.addEventListener("input", () => this.#draw());
    this.#draw();
  }

  #listen() {
    this.name.addEventListener("input", () => this.#draw());
    this.room.addEventListener("input", () => this.#draw());
    this.connect.addEventListener("click", () => this.#connect());
    this.disconnect.addEventListener("click", () => this.#client?.close());
    this.leave.addEventListener("click", () => this.#leaveRoom());
    this.#submitted("compose", () => this.#write());
    this.#submitted("rooms", () => this.#joinRoom());
  }

  /** While waiting the same button tries at once; otherwise the name may have changed, so it begins anew. */
  #connect() {
    if (this.#client && this.#state.name === "waiting") return this.#client.connect();
    const client = connect("/ws", { userId: this.name.value });
    this.#client = client;
    client.on("state", (state) => this.#follow(state));
    client.on("broadcast", (message) => this.#hear(message, "everybody"));
    client.on("user", (message) => this.#hear(message, "you"));
    client.on("room", (message) => this.#hear(message, `room ${message.room_id}`));
    client.on("joined", ({ room_id, members }) => {
      this.#note("joined", `Joined ${room_id}${members ? `, ${members} there` : ""}`);
    });
    client.on("left", ({ room_id }) => this.#note("left", `Left ${room_id}`));
    client.on("error", ({ code, error }) => this.#note("error", `${code}: ${error}`));
    client.on("reconnect", ({ delay_ms }) => {
      this.#note("draining", `The node is about to stop; moving in ${seconds(Number(delay_ms) || 0)}`);
    });
    this.#follow(client.state);
  }

  /** @param {State} state */
  #follow(state) {
    const before = this.#state.name;
    this.#state = state;
    if (state.name === "connected") {
      this.#note("connected", this.#saidLost ? "Back again" : `Connected as ${this.name.value}`);
      this.#saidLost = false;
    }
    if (state.name === "waiting" && !this.#saidLost) {
      this.#note("lost", `${before === "connected" ? "Cut" : "No connection"}: ${state.reason} (${state.code})`);
      this.#saidLost = true;
    }
    if (state.name === "closed") {
      this.#note("closed", state.code === 1000 ? "Disconnected" : `Closed: ${state.reason} (${state.code})`);
      this.#saidLost = false;
    }
    this.#countDown();
    this.#draw();
  }

  #countDown() {
    clearInterval(this.#ticking);
    const state = this.#state;
    if (state.name !== "waiting") return;
    const end = performance.now() + state.delayMs;
    const tick = () => {
      const left = Math.max(end - performance.now(), 0);
      this.countdown.value = state.delayMs ? left / state.delayMs : 0;
      this.stateText.textContent = `Back in ${seconds(left)}`;
    };
    this.#ticking = setInterval(tick, TICK_MS);
    tick();
  }

  #write() {
    const client = this.#client;
    const text = this.text.value;
    if (!client || text === "") return;
    const target = this.targets.find((each) => each.checked)?.value;
    const other = this.#other?.name.value ?? "";
    const room = this.room.value;
    if (target === "user") client.user(other, text);
    else if (target === "room") client.room(room, text);
    else client.broadcast(text);
    // What goes to others only is shown as it leaves; the rest comes back from the hub by itself.
    if (target === "user" && other !== this.name.value) this.#say("sent", "you", other, text);
    if (target === "room" && !this.#joined) this.#say("sent", "you", `room ${room}`, text);
    this.text.value = "";
  }

  #joinRoom() {
    if (this.room.value === "" || this.#joined) return;
    this.#client?.join(this.room.value);
    const toRoom = this.targets.find((each) => each.value === "room");
    if (toRoom) toRoom.checked = true;
    this.#draw();
  }

  #leaveRoom() {
    this.#client?.leave(this.room.value);
    this.#draw();
  }

  /** Whether the room is this client's, be it just now or again once it is back. */
  get #joined() {
    const { name } = this.#state;
    if (!this.#client || name === "idle" || name === "closed") return false;
    return this.#client.rooms.includes(this.room.value);
  }

  /**
   * @param {{ type: string, from: string, data: unknown }} message
   * @param {string} to
   */
  #hear(message, to) {
    this.#say(message.type, message.from || "HTTP", to, asText(message.data));
  }

  /**
   * A message in the log, with who wrote it and to whom.
   *
   * @param {string} kind
   * @param {string} from
   * @param {string} to
   * @param {string} text
   */
  #say(kind, from, to, text) {
    const own = from === this.name.value || kind === "sent";
    const head = make("p", "route");
    head.append(make("span", "from", from), make("span", "arrow", "to"), make("span", "to", to), clockTime());
    const entry = make("li", "message");
    entry.dataset.author = own ? "self" : from === this.#other?.name.value ? "other" : "else";
    entry.append(head, make("p", "data", text));
    this.#append(kind, entry);
  }

  /**
   * A line about the connection itself.
   *
   * @param {string} kind
   * @param {string} text
   */
  #note(kind, text) {
    const entry = make("li", "note");
    entry.append(make("span", "", text), clockTime());
    this.#append(kind, entry);
  }

  /**
   * @param {string} kind
   * @param {HTMLElement} entry
   */
  #append(kind, entry) {
    entry.dataset.kind = kind;
    const { log } = this;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(entry);
    while (log.childElementCount > LONGEST_LOG) log.firstElementChild?.remove();
    // Who has scrolled up is reading there.
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  #draw() {
    const state = this.#state;
    const { name } = state;
    const connected = name === "connected";
    const user = this.name.value || "?";
    this.element.dataset.state = name === "closed" && state.code !== 1000 ? "refused" : name;
    this.element.setAttribute("aria-label", user);
    this.log.setAttribute("aria-label", `What ${user} received`);
    this.log.dataset.empty = `What ${user} receives appears here.`;
    this.avatar.textContent = [...user][0]?.toUpperCase() ?? "?";
    this.otherLabel.textContent = this.#other?.name.value || "?";
    this.roomLabel.textContent = `Room ${this.room.value}`;
    if (name !== "waiting") this.stateText.textContent = label(state);
    this.countdown.hidden = name !== "waiting";
    this.name.readOnly = !(name === "idle" || name === "closed");
    this.room.readOnly = this.#joined;
    this.connect.textContent = name === "waiting" ? "Try now" : "Connect";
    this.disconnect.textContent = name === "waiting" ? "Stop" : "Disconnect";
    swap(this.connect, this.disconnect, name !== "connected" && name !== "connecting", this.name.readOnly);
    swap(this.join, this.leave, !this.#joined, this.#joined);
    for (const button of [this.send, this.join, this.leave]) button.disabled = !connected;
  }

  /**
   * @template {HTMLElement} Kind
   * @param {string} testid
   * @param {new () => Kind} kind
   */
  #part(testid, kind) {
    return find(this.element, `[data-testid=${testid}]`, kind);
  }

  /**
   * @param {string} testid
   * @param {() => void} run
   */
  #submitted(testid, run) {
    this.#part(testid, HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      run();
    });
  }
}

/** @param {State} state */
function label(state) {
  if (state.name === "connected") return "Connected";
  if (state.name === "connecting") return "Connecting…";
  if (state.name === "closed" && state.code !== 1000) return `Closed: ${state.reason}`;
  return "Not connected";
}

/**
 * Shows one button or the other, or both. A button that hides while it has the focus hands it to its
 * counterpart; otherwise the keyboard would be thrown back to the top of the page.
 *
 * @param {HTMLButtonElement} first
 * @param {HTMLButtonElement} second
 * @param {boolean} showFirst
 * @param {boolean} showSecond
 */
function swap(first, second, showFirst, showSecond) {
  const focused = document.activeElement;
  first.hidden = !showFirst;
  second.hidden = !showSecond;
  if (focused === first && !showFirst) second.focus();
  if (focused === second && !showSecond) first.focus();
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.dir = "auto";
  element.textContent = text;
  return element;
}

function clockTime() {
  const now = new Date();
  const time = document.createElement("time");
  time.dateTime = now.toISOString();
  time.textContent = now.toTimeString().slice(0, 8);
  return time;
}

/**
 * Half a megabyte is a valid message and no pleasure to scroll past.
 *
 * @param {unknown} data
 */
function asText(data) {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  const rest = text.length - LONGEST_TEXT;
  return rest > 0 ? `${text.slice(0, LONGEST_TEXT)}… and ${rest} more characters` : text;
}

/** @param {number} ms */
function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** @param {Element} element */
function asInput(element) {
  return /** @type {HTMLInputElement} */ (element);
}

/**
 * @template {Element} Kind
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
function find(root, selector, kind) {
  const element = root.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`the page has no ${selector}`);
  return element;
}

const ann = new Panel("a", "ann");
const bob = new Panel("b", "bob");
find(document, "#panels", HTMLElement).append(ann.element, bob.element);
ann.face(bob);
bob.face(ann);

find(document, "#curl", HTMLElement).textContent = `curl -d '{"type":"broadcast","data":"hello"}' \\
  -H 'Content-Type: application/json' \\
  ${location.origin}/publish`;
find(document, "#import", HTMLElement).textContent = `import { connect } from "${location.origin}/wshub.js";
const hub = connect("${location.origin}/ws", {
  userId: "eve",
});
hub.on("broadcast", (message) => console.log(message.data));`;
