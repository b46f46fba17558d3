/**
 * What is read aloud to those who don't see the page. There is one voice for all cards: a message that
 * three of them receive is said once.
 */
const REMEMBERED = 200;

export class Announcer {
  /** @type {Set<string>} */
  #said = new Set();

  /** @param {HTMLElement} voice an element that is a live region */
  constructor(voice) {
    this.voice = voice;
  }

  /**
   * @param {string} text
   * @param {string} [key] what is said once only
   */
  say(text, key) {
    if (key !== undefined) {
      if (this.#said.has(key)) return;
      this.#said.add(key);
      const [oldest] = this.#said;
      if (oldest !== undefined && this.#said.size > REMEMBERED) this.#said.delete(oldest);
    }
    this.voice.textContent = text;
  }
}
