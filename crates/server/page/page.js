/**
 * What the first page is put together from: a stage with devices, a way to add more, the node, and the
 * commands with which the world outside takes part.
 */
import { Announcer } from "./announcer.js";
import { copied } from "./clipboard.js";
import { find } from "./element.js";
import { NodePanel } from "./node.js";
import { Stage } from "./stage.js";
import { Steps } from "./steps.js";

/** Proposed for further users, one after the other. */
const NAMES = ["eve", "joe", "kim", "lee", "max", "pia", "sam", "zoe"];

const announcer = new Announcer(find(document, "#voice", HTMLElement));
const steps = new Steps(find(document, "#steps", HTMLElement));
const stage = new Stage(find(document, "#stage", HTMLElement), { announcer, steps });
const node = new NodePanel(find(document, "#node", HTMLElement), find(document, "#health", HTMLElement));

const form = find(document, "#add", HTMLFormElement);
const name = find(document, "#new-user", HTMLInputElement);

function propose() {
  const taken = stage.users();
  name.value = NAMES.find((each) => !taken.includes(each)) ?? "";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const card = stage.add(name.value);
  if (!card) return announcer.say("That is enough for one page");
  propose();
  find(card.element, "[data-testid=text]", HTMLInputElement).focus();
});

for (const button of document.querySelectorAll(".copy")) {
  if (!(button instanceof HTMLButtonElement)) continue;
  const code = find(document, `#${button.dataset.of}`, HTMLElement);
  button.addEventListener("click", () => void copied(button, code.textContent ?? ""));
}

// The examples name this node as the browser reached it.
for (const code of document.querySelectorAll("pre code")) {
  code.textContent = (code.textContent ?? "").trim().replaceAll("ORIGIN", location.origin);
}

stage.onStood = () => {
  if (stage.isConnected) node.ask();
  find(form, "button", HTMLButtonElement).disabled = stage.isFull;
};

stage.add("ann");
// Where there is room for it, a second device shows what it is to have one.
if (matchMedia("(min-width: 70rem)").matches) stage.add("ann");
stage.add("bob");
propose();
