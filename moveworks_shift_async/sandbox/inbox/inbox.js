// The sandbox's page: which view is shown, and what is live in it.

import { by, calmly, count } from "./dom.js";
import * as faults from "./faults.js";
import * as limit from "./limit.js";
import * as messages from "./messages.js";
import * as people from "./people.js";
import { listen, remove, repeated } from "./server.js";

const VIEWS = { messages, people };
// Deliveries up to which people are counted without being asked: a moment's work.
const QUICK = 200_000;

let last = "", deliveries = 0;

function route() {
  const [name, query] = location.hash.slice(1).split("?", 2);
  const shown = Object.hasOwn(VIEWS, name) ? name : "messages";
  for (const view of Object.keys(VIEWS)) {
    by(view).hidden = view !== shown;
    if (view === shown) by(`to-${view}`).setAttribute("aria-current", "page");
    else by(`to-${view}`).removeAttribute("aria-current");
  }
  document.body.dataset.view = shown;
  VIEWS[shown].show(new URLSearchParams(query));
}

function heard(numbers) {
  limit.changed(numbers);
  faults.changed(numbers.faults);
  deliveries = numbers.deliveries;
  by("requests").textContent = count(numbers.newest);
  by("deliveries").textContent = count(deliveries);
  by("dropped").hidden = !numbers.dropped;
  by("dropped").textContent =
    `The records of the ${count(numbers.dropped)} oldest requests were dropped: there is room for so many.`;
  const said = `${numbers.records} ${numbers.newest} ${deliveries} ${numbers.throttled}`;
  if (said === last) return;
  last = said;
  messages.changed(numbers.newest);
  people.changed();
  if (deliveries <= QUICK) soon();
  else askTwice();
}

const soon = calmly(2000, twice);

async function twice() {
  const found = await repeated();
  by("twice").textContent = count(found);
  by("twice").classList.toggle("twice", found > 0);
}

/** Counting millions of people takes seconds: it is done when somebody asks. */
function askTwice() {
  if (by("twice").querySelector("button")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Count";
  button.onclick = () => { button.disabled = true; twice(); };
  by("twice").replaceChildren(button);
}

function connected(yes) {
  by("live").textContent = yes ? "live" : "not connected; trying again";
  by("live").classList.toggle("lost", !yes);
}

by("forget").onclick = async () => {
  if (confirm("Forget all messages? Faults and the used part of the limit stay.")) {
    await remove("messages");
    location.hash = "#messages";
    route();
  }
};
document.addEventListener("keydown", event => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  by(document.body.dataset.view === "people" ? "person" : "search-text").focus();
});
window.addEventListener("hashchange", route);
route();
listen(heard, connected);
