/**
 * Finding and making elements. What a peer sent is only ever set as text, so it can't become HTML.
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

/**
 * Text that somebody else wrote, in whichever direction it reads.
 *
 * @param {"span" | "p" | "b"} tag
 * @param {string} className
 * @param {string} text
 */
export function quote(tag, className, text) {
  const element = make(tag, className, text);
  element.dir = "auto";
  return element;
}

/**
 * One of the page's pictures, which stand in index.html.
 *
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.classList.add("icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

/**
 * @template {Element} Kind
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function find(root, selector, kind) {
  const element = root.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`the page has no ${selector}`);
  return element;
}

/**
 * A copy of a template's one element.
 *
 * @param {string} id
 */
export function copyOf(id) {
  const copy = find(document, `template#${id}`, HTMLTemplateElement).content.cloneNode(true);
  return find(/** @type {DocumentFragment} */ (copy), "*", HTMLElement);
}

/** @param {Date} at */
export function clockTime(at) {
  const time = make("time", "", at.toTimeString().slice(0, 8));
  time.dateTime = at.toISOString();
  return time;
}

/**
 * Half a megabyte is a valid message and no pleasure to scroll past.
 *
 * @param {string} text
 * @param {number} longest
 */
export function shortened(text, longest) {
  const rest = text.length - longest;
  return rest > 0 ? `${text.slice(0, longest)}… and ${rest.toLocaleString("en")} more characters` : text;
}
