/**
 * Putting text on the clipboard, and saying how that went on the button that was pressed for it.
 */
import { icon } from "./element.js";

const SAID_MS = 1500;

/**
 * A page that didn't come over a secure connection may not.
 *
 * @param {HTMLButtonElement} button
 * @param {string} text
 */
export async function copied(button, text) {
  const before = [...button.childNodes];
  if (button.dataset.said) return;
  button.dataset.said = "true";
  try {
    await navigator.clipboard.writeText(text);
    button.replaceChildren(icon("tick"), "Copied");
  } catch {
    button.replaceChildren("Not allowed");
  }
  setTimeout(() => {
    button.replaceChildren(...before);
    delete button.dataset.said;
  }, SAID_MS);
}
