/**
 * An answer that somebody may wait for: a promise with the two ways to settle it.
 */

/** @template Value */
export class Promised {
  /** @type {(value: Value) => void} */
  resolve = () => {};
  /** @type {(error: Error) => void} */
  reject = () => {};

  constructor() {
    /** @type {Promise<Value>} */
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Who doesn't ask how it went is not to have an unhandled rejection for it, which ends a Node
    // process; who awaits the promise gets the error all the same.
    this.promise.catch(() => {});
  }
}
