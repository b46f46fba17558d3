/**
 * How it stands with the node: what it holds, and what became of every message it took.
 */
import { find, make } from "./element.js";

/**
 * @typedef {object} Stats what of `/stats` is shown
 * @property {string} node
 * @property {number} total_clients
 * @property {number} users
 * @property {number} rooms
 * @property {{ entries: number }} log
 * @property {{ nodes: string[], total_clients: number, users: number }} [cluster] where nodes share a Redis
 * @property {{ accepted: number, delivered: number, queued: number, expired: number, duplicate: number,
 *   in_flight: number, dropped: Record<string, number> }} ledger
 */

const EVERY_MS = 2000;

/** The fates in the order in which they are shown, and how a person would say them. */
const FATES = /** @type {const} */ ([
  ["delivered", "delivered"],
  ["in_flight", "on the way"],
  ["queued", "waiting"],
  ["duplicate", "repeated"],
  ["expired", "expired"],
  ["dropped", "dropped"],
]);

export class NodePanel {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isAsking = false;
  #isStale = false;

  /**
   * @param {HTMLElement} panel
   * @param {HTMLElement} pill
   */
  constructor(panel, pill) {
    this.pill = pill;
    this.facts = find(panel, "[data-testid=facts]", HTMLElement);
    this.bar = find(panel, "[data-part=bar]", HTMLElement);
    this.sum = find(panel, "[data-testid=ledger]", HTMLElement);
    document.addEventListener("visibilitychange", () => this.ask());
  }

  /** Asks now, and again every two seconds, until the node doesn't answer: then somebody has to say so again. */
  ask() {
    clearTimeout(this.#timer);
    // An answer that is on its way may not know yet what has just changed.
    this.#isStale = this.#isAsking;
    if (!this.#isAsking && !document.hidden) void this.#ask();
  }

  async #ask() {
    this.#isAsking = true;
    try {
      const answer = await fetch("/stats");
      this.#show(await answer.json());
      this.#timer = setTimeout(() => this.ask(), EVERY_MS);
    } catch {
      this.#tell("away", "The node doesn't answer");
    }
    this.#isAsking = false;
    if (this.#isStale) this.ask();
  }

  /** @param {Stats} stats */
  #show({ node, rooms, log, ledger, cluster, ...own }) {
    const { total_clients, users } = cluster ?? own;
    const who = cluster === undefined ? `Node ${node}` : plural(cluster.nodes.length, "node");
    this.#tell("healthy", `${who}: ${plural(total_clients, "connection")}`);
    const facts = [
      [total_clients, total_clients === 1 ? "connection" : "connections"],
      [users, users === 1 ? "user" : "users"],
      [rooms, rooms === 1 ? "room" : "rooms"],
      [log.entries, "messages in the log"],
    ];
    this.facts.replaceChildren(...facts.map(([value, name]) => fact(Number(value), String(name))));
    this.#draw(ledger);
  }

  /** @param {Stats["ledger"]} ledger */
  #draw({ accepted, dropped, ...others }) {
    const fates = { ...others, dropped: Object.values(dropped).reduce((sum, each) => sum + each, 0) };
    const parts = FATES.map(([key, name]) => ({ key, name, count: fates[key] }));
    // In a cluster what waits may be below zero: this node has taken out what others put in.
    const some = parts.filter(({ count }) => count !== 0);
    const shown = some.filter(({ count }) => count > 0);
    this.bar.replaceChildren(...shown.map(({ key, count }) => segment(key, count)));
    const terms = some.flatMap(({ key, name, count }, index) => [index === 0 ? " = " : " + ", term(key, count, name)]);
    this.sum.replaceChildren(term("accepted", accepted, "accepted"), ...terms);
  }

  /**
   * @param {"healthy" | "away"} health
   * @param {string} text
   */
  #tell(health, text) {
    this.pill.dataset.health = health;
    find(this.pill, "[data-part=health]", HTMLElement).textContent = text;
  }
}

/**
 * @param {number} value
 * @param {string} name
 */
function fact(value, name) {
  const group = make("div");
  group.append(make("dt", "", name), make("dd", "", value.toLocaleString("en")));
  return group;
}

/**
 * @param {string} key
 * @param {number} count
 */
function segment(key, count) {
  const part = make("span");
  part.dataset.fate = key;
  part.style.flexGrow = String(count);
  return part;
}

/**
 * @param {string} key
 * @param {number} count
 * @param {string} name
 */
function term(key, count, name) {
  const part = make("span", "term");
  part.dataset.fate = key;
  part.append(make("b", "", count.toLocaleString("en")), ` ${name}`);
  return part;
}

/**
 * @param {number} count
 * @param {string} word
 */
function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}
