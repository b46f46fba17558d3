/**
 * A clock that stands still until a test moves it, so that a test of half a minute takes no time
 * and gives the same answer each time.
 */

export class FakeClock {
  #time = 0;
  #timers = [];
  #last = 0;

  setTimeout = (run, ms) => {
    const timer = { id: ++this.#last, at: this.#time + ms, run };
    this.#timers.push(timer);
    return timer.id;
  };

  clearTimeout = (id) => {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  };

  now = () => this.#time;

  /** A computer that sleeps: time passes, and no timer with it. */
  sleep(ms) {
    this.#time += ms;
    this.#timers = this.#timers.map((timer) => ({ ...timer, at: timer.at + ms }));
  }

  /** How many timers are set; none may be left over by a client that is closed. */
  get pending() {
    return this.#timers.length;
  }

  /** In how many milliseconds each of them falls due. */
  get delays() {
    return this.#timers.map((timer) => timer.at - this.#time);
  }

  /**
   * Moves on by `ms` and runs what falls due, in its order, what is set meanwhile included; after
   * each the world around the clock gets its turn.
   */
  advance(ms, turn = () => {}) {
    const until = this.#time + ms;
    for (let due = this.#next(until); due; due = this.#next(until)) {
      this.clearTimeout(due.id);
      this.#time = due.at;
      due.run();
      turn();
    }
    this.#time = until;
  }

  #next(until) {
    const due = this.#timers.filter((timer) => timer.at <= until);
    return due.sort((a, b) => a.at - b.at || a.id - b.id)[0];
  }
}
