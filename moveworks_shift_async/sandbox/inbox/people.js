// People: one person's messages as a chat shows them.

import { by, calmly, count, element, numberOf, showIn } from "./dom.js";
import { get } from "./server.js";

let address = "", before = 0, seen = "", shown = 0;

/** Go to this person's messages, older than a number. */
export function show(query) {
  address = (query.get("address") ?? "").trim();
  before = numberOf(query.get("before"));
  seen = "";
  by("person").value = address;
  load();
}

/** There may be another message. */
export const changed = calmly(500, () => { if (address && !by("people").hidden) load(); });

async function load() {
  if (!address) {
    by("person-words").replaceChildren("Type an address to see what this person was told.");
    for (const id of ["person-frame", "person-older", "person-newer"]) by(id).hidden = true;
    return;
  }
  const asked = `${address} ${before}`;
  const path = `people/${encodeURIComponent(address)}`;
  const found = await get(path, { before, limit: 50, cut: 1 });
  if (asked !== `${address} ${before}`) return; // another was asked for meanwhile
  by("person-words").replaceChildren(...words(found));
  by("person-frame").hidden = !found.told;
  by("person-older").hidden = found.next === null;
  by("person-older").dataset.before = found.next ?? "";
  by("person-newer").hidden = !before;
  const thread = `${asked} ${JSON.stringify(found)}`;
  if (found.told && thread !== seen) {
    seen = thread;
    // At its end, as a chat is shown; only another address makes a frame load what is new.
    const frame = `/_sandbox/inbox/person/${encodeURIComponent(address)}`;
    showIn(by("person-frame"), `${frame}?before=${before}&shown=${++shown}#newest`);
  }
}

function words(found) {
  const times = found.told === 1 ? "once" : `${count(found.told)} times`;
  const said = found.told ? `Told ${times}` : "Was told nothing";
  const lost = found.dropped ? `, the ${count(found.dropped)} oldest requests apart` : "";
  const twice = element("strong", { class: "twice" },
    `Told the same again: ${count(found.told_again)} of these messages.`);
  return [`${said}${lost}. `, found.told_again ? twice : ""];
}

function go(more) {
  const given = Object.entries({ address, ...more }).filter(([, value]) => value);
  location.hash = `#people?${new URLSearchParams(given)}`;
}

by("person-form").onsubmit = event => {
  event.preventDefault();
  address = by("person").value.trim();
  go({});
};
by("person-older").onclick = () => go({ before: by("person-older").dataset.before });
by("person-newer").onclick = () => go({});
