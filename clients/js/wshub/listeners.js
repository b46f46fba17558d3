/**
 * Who wants to hear of which event. It differs from EventTarget in that listeners get the value
 * itself, that their types are known to `tsc`, and that what they return is handed back.
 */

/**
 * @template {Record<string, any[]>} Events
 */
export class Listeners {
  /** @type {Map<keyof Events, Set<(...values: any[]) => unknown>>} */
  #byName = new Map();

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => unknown} listener
   */
  add(name, listener) {
    const listeners = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, listeners.add(listener));
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => unknown} listener
   */
  remove(name, listener) {
    this.#byName.get(name)?.delete(listener);
  }

  /**
   * A listener that throws must not keep the message from the others, nor stop the client from
   * coming back; its error still surfaces where uncaught errors do.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} values
   * @returns {unknown[]} what each listener returned, or `FAILED`
   */
  tell(name, ...values) {
    return [...(this.#byName.get(name) ?? [])].map((listener) => {
      try {
        return listener(...values);
      } catch (error) {
        surface(error);
        return FAILED;
      }
    });
  }

  /**
   * Tells, and says when the listeners are through: null where they are already. It fails where one of
   * them does, and where there is none.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} values
   * @returns {Promise<unknown> | null}
   */
  work(name, ...values) {
    const results = this.tell(name, ...values);
    if (results.length === 0 || results.includes(FAILED)) return Promise.reject(FAILED);
    const promises = results.filter((result) => typeof (/** @type {any} */ (result)?.then) === "function");
    if (promises.length === 0) return null;
    for (const promise of promises) Promise.resolve(promise).catch(surface);
    return Promise.all(promises);
  }
}

/** Stands for what a listener would have returned that threw. */
const FAILED = Symbol("a listener threw");

/** @param {unknown} error */
function surface(error) {
  queueMicrotask(() => {
    throw error;
  });
}
