/**
 * The three things that show what a hub is for, ticked off as they are done.
 */
import { find } from "./element.js";

export class Steps {
  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
  }

  /** @param {"write" | "pull" | "catch-up"} step */
  done(step) {
    const item = find(this.list, `[data-step="${step}"]`, HTMLElement);
    if (item.dataset.done) return;
    item.dataset.done = "true";
    find(item, ".said", HTMLElement).textContent = "Done: ";
  }
}
