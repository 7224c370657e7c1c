// What goes wrong next: switched on and off.

import { by, element } from "./dom.js";
import { get, post } from "./server.js";

let kinds = null, pending = { script: {}, rates: {} };

/** What is still to come, as the sandbox tells it. */
export function changed(now) {
  pending = now;
  const on = [...scripts(), ...rates()];
  by("faults-button").textContent = on.length ? `Faults: ${on.length}` : "Faults";
  by("faults-button").classList.toggle("on", on.length > 0);
  by("faults-on").replaceChildren(...on);
}

function* scripts() {
  for (const [family, queue] of Object.entries(pending.script)) {
    const next = queue.length === 1 ? "the next" : `the next ${queue.length}`;
    const names = [...new Set(queue)].join(", ");
    yield line(`${names} for ${next} (${family})`, () => without("script", family));
  }
}

function* rates() {
  for (const [family, parts] of Object.entries(pending.rates)) {
    for (const [kind, share] of Object.entries(parts)) {
      if (!share) continue;
      const words = `${kind} for ${(100 * share).toLocaleString("en")} % (${family})`;
      yield line(words, () => post("faults", { rates: { [family]: { [kind]: 0 } } }));
    }
  }
}

function line(words, off) {
  const button = element("button", { type: "button", "aria-label": `Switch off: ${words}` }, "Off");
  button.onclick = off;
  return element("li", {}, words, " ", button);
}

function without(name, family) {
  const rest = Object.fromEntries(Object.entries(pending[name]).filter(([key]) => key !== family));
  return post("faults", { clear: true, ...pending, [name]: rest });
}

async function toggle() {
  by("faults").hidden = !by("faults").hidden;
  by("faults-button").setAttribute("aria-expanded", String(!by("faults").hidden));
  if (kinds === null && !by("faults").hidden) {
    kinds = (await get("faults")).kinds;
    by("fault-kind").replaceChildren(...Object.keys(kinds).map(kind => element("option", {}, kind)));
    by("fault-kind").value = "processed-then-reset";
    explain();
  }
}

function explain() {
  by("fault-sentence").textContent = kinds[by("fault-kind").value];
}

by("faults-button").onclick = toggle;
by("fault-kind").onchange = explain;
by("fault-form").onsubmit = event => {
  event.preventDefault();
  const kind = by("fault-kind").value, family = by("fault-family").value;
  const number = Number(by("fault-number").value);
  const order = by("fault-how").value === "next"
    ? { script: { [family]: Array(number).fill(kind) } }
    : { rates: { [family]: { [kind]: number / 100 } } };
  post("faults", order);
};
