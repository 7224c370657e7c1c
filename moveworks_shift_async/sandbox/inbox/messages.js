// Messages: a row a request, the newest first, and one of them in full.

import { by, calmly, count, element, numberOf, people, showIn } from "./dom.js";
import { get } from "./server.js";

const ROWS = 50;
// People of a message that are shown at first: a request may have 500.
const SHOWN = 20;
const WORDS = 160;
// Characters of an event's id: a UUID has 36, and a refused request any.
const EVENT = 64;
const TAGS = /<\/?(?:a|b|br|i|li|p|strong|ul)\b[^<>]*>/gi;
const OUTCOMES = {
  told: ["told", "✓"],
  refused: ["refused", "✕"],
  fault: ["fault", "⚡"],
  open: ["being answered", "…"],
};

const rows = new Map();
let search = {}, before = 0, chosen = 0, opened = "", asked = 0, newest = 0, shown = 0;

/** Go to these messages: text, to, event; before a number; one of them opened. */
export function show(query) {
  search = { text: query.get("text"), to: query.get("to"), event: query.get("event") };
  before = numberOf(query.get("before"));
  for (const name of ["text", "to", "event"]) by(`search-${name}`).value = search[name] ?? "";
  const number = numberOf(query.get("number"));
  if (number !== chosen) open(number);
  load();
}

/** The number of the last request is another. */
export function changed(number) {
  newest = number;
  if (chosen > newest) by("detail-close").click(); // the records were forgotten
  if (before) words();
  else again();
}

const again = calmly(500, () => load());

async function load() {
  const mine = ++asked;
  const page = await get("messages", { ...search, before, limit: ROWS, cut: 4 * WORDS });
  if (mine !== asked) return; // another was asked for meanwhile
  draw(page.messages);
  by("older").disabled = page.next === null;
  by("older").dataset.before = page.next ?? "";
  by("newer").disabled = !before;
  shown = Math.max(newest, page.messages[0]?.number ?? 0);
  const some = page.messages;
  by("page-words").dataset.page = some.length
    ? `Requests ${count(some.at(-1).number)} to ${count(some[0].number)}` : "";
  words();
  nothing(some.length, page.dropped);
}

function words() {
  const late = before && newest > shown ? `, ${count(newest - shown)} newer` : "";
  by("page-words").textContent = by("page-words").dataset.page + late;
}

function nothing(some, dropped) {
  const asks = search.text || search.to || search.event;
  by("nothing").hidden = some > 0;
  by("nothing").replaceChildren(
    element("p", {}, asks || before ? "No message is like this." : "No message yet."),
    element("p", {}, asks || before
      ? (dropped ? "The oldest requests were dropped; it may have been one of them." : "")
      : "What is sent to this sandbox appears here. Nobody else gets it."),
  );
}

function draw(messages) {
  const focused = document.activeElement?.closest?.("tr")?.dataset.number;
  const kept = new Map(messages.map(message => [message.number, fill(message)]));
  rows.clear();
  kept.forEach((row, number) => rows.set(number, row));
  by("rows").replaceChildren(...rows.values());
  if (focused) rows.get(Number(focused))?.querySelector("a").focus({ preventScroll: true });
}

function fill(message) {
  const row = rows.get(message.number) ?? element("tr", { "data-number": message.number });
  const said = JSON.stringify(message);
  if (row.dataset.said !== said) {
    row.dataset.said = said;
    row.replaceChildren(...cells(message));
  }
  row.classList.toggle("chosen", message.number === chosen);
  // It was still being answered, or it is another since the records were forgotten.
  if (message.number === chosen && opened && opened !== stand(message)) open(chosen);
  return row;
}

const stand = message => `${message.time} ${message.outcome} ${message.status}`;

function cells(message) {
  const time = new Date(message.time);
  const link = element("a", { href: address({ number: message.number }) }, firstWords(message));
  return [
    element("td", { class: "time" },
      element("time", { datetime: message.time, title: time.toString() },
        time.toLocaleTimeString("en-GB"))),
    element("td", { class: "words", dir: "auto" }, link),
    element("td", { class: "event" }, event(message)),
    element("td", { class: "number" }, ...many(message.people)),
    element("td", { class: "outcome" }, did(message)),
  ];
}

function many(number) {
  if (!number) return ["–"];
  const unit = number === 1 ? " person" : " people";
  return [count(number), element("span", { class: "unit" }, unit)];
}

function firstWords(message) {
  if (message.message === null) return "(not read)";
  const text = message.message.replace(TAGS, " ").replace(/\s+/g, " ").trim();
  return text.length > WORDS ? `${text.slice(0, WORDS)}…` : text || "(nothing to see)";
}

function event(message) {
  if (message.route === "shift.messages") return "SHIFT";
  if (!message.event_id) return element("span", { class: "soft" }, "none");
  return element("code", { title: message.event_id }, message.event_id.slice(0, 8));
}

function did(message) {
  const [words, sign] = OUTCOMES[message.outcome];
  const chip = element("span", { class: `chip ${message.outcome}` },
    element("span", { "aria-hidden": "true" }, `${sign} `), words);
  const how = message.fault ?? (message.outcome === "refused" ? String(message.status) : "");
  return element("span", {}, chip, how ? element("small", {}, ` ${how}`) : "");
}

function address(more) {
  const given = Object.entries({ ...search, before, ...more }).filter(([, value]) => value);
  return `#messages?${new URLSearchParams(given)}`;
}

// One of them

async function open(number) {
  const back = chosen;
  chosen = number;
  opened = "";
  by("detail").hidden = !number;
  document.body.classList.toggle("opened", number > 0);
  rows.forEach((row, key) => row.classList.toggle("chosen", key === number));
  if (!number) {
    rows.get(back)?.querySelector("a").focus({ preventScroll: true });
    return;
  }
  const message = await get(`messages/${number}`).catch(error => ({ why: error.message }));
  if (number !== chosen) return;
  by("detail-name").textContent = `Message ${count(number)}`;
  by("detail").classList.toggle("missing", "why" in message);
  by("detail-words").textContent = message.why ?? story(message);
  if (message.why) return;
  opened = stand(message);
  showIn(by("detail-frame"), `/_sandbox/inbox/message/${number}`);
  names(message, SHOWN);
  by("detail-all").onclick = () => names(message, Infinity);
  by("detail").focus({ preventScroll: true });
}

function story(message) {
  const at = new Date(message.time).toLocaleString("en-GB");
  // Isolated: an id may hold what turns the order of reading around.
  const id = message.event_id?.slice(0, EVENT);
  const event = id ? `event \u2068${id}\u2069` : message.route;
  const done = {
    told: `${people(message.people)} told`,
    refused: "nobody told: refused",
    fault: "nobody told: a fault",
    open: "being answered",
  }[message.outcome];
  const fault = message.fault ? `, fault ${message.fault}` : "";
  const answer = message.status ? `, answer ${message.status}` : ", no answer";
  return `${at}, ${event}: ${done}${fault}${message.outcome === "open" ? "" : answer}.`;
}

function names(message, most) {
  const told = message.told_before;
  const twice = message.to.filter(one => one in told);
  const all = [...twice, ...message.to.filter(one => !(one in told))];
  by("detail-people").replaceChildren(...all.slice(0, most).map(one => name(one, told[one])));
  by("detail-people-name").textContent = twice.length
    ? `${people(all.length)}, ${count(twice.length)} told the same before`
    : all.length ? people(all.length) : "Nobody was told";
  by("detail-all").hidden = all.length <= most;
  by("detail-all").textContent = `Show all ${count(all.length)}`;
}

function name(address, before) {
  const link = element("a", { href: `#people?${new URLSearchParams({ address })}` }, element("bdi", {}, address));
  if (!before) return element("li", {}, link);
  const mark = element("strong", { class: "twice" }, ` told the same in message ${count(before)}`);
  return element("li", {}, link, mark);
}

by("search").onsubmit = event => {
  event.preventDefault();
  for (const name of ["text", "to", "event"]) search[name] = by(`search-${name}`).value.trim();
  before = 0;
  location.hash = address({});
};
for (const name of ["text", "to", "event"]) {
  // A browser empties such a field by its cross or by Escape, and then all messages are meant.
  by(`search-${name}`).addEventListener("search", () => by("search").requestSubmit());
}
by("older").onclick = () => { location.hash = address({ before: by("older").dataset.before }); };
by("newer").onclick = () => { location.hash = address({ before: 0 }); };
by("detail-close").onclick = () => { location.hash = address({ number: 0 }); };
by("detail").onkeydown = event => { if (event.key === "Escape") by("detail-close").click(); };
by("rows").onclick = event => {
  const row = event.target.closest("tr");
  if (row && !event.target.closest("a")) row.querySelector("a").click();
};
by("rows").onkeydown = event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const links = [...by("rows").querySelectorAll("a")];
  const next = links[links.indexOf(document.activeElement) + (step ?? NaN)];
  if (next) { event.preventDefault(); next.focus(); }
};
