/**
 * Who wants to hear of which event. It differs from EventTarget in that listeners get the value
 * itself, and that their types are known to `tsc`.
 */

/**
 * @template {Record<string, any[]>} Events
 */
export class Listeners {
  /** @type {Map<keyof Events, Set<(...values: any[]) => void>>} */
  #byName = new Map();

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => void} listener
   */
  add(name, listener) {
    const listeners = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, listeners.add(listener));
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => void} listener
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
   */
  tell(name, ...values) {
    for (const listener of [...(this.#byName.get(name) ?? [])]) {
      try {
        listener(...values);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
