// Keeps the page as the server has it: asks for it when it hears of news, and changes what differs,
// in place, so that neither the focus nor a selection nor an open part is lost.
"use strict";

const lost = document.getElementById("lost");
const notice = document.getElementById("notice");
let asking = null;
let again = false;
let hides = 0;
let sending = false;

function say(text) {
  notice.textContent = text;
  clearTimeout(hides);
  hides = setTimeout(() => { notice.textContent = ""; }, 8000);
}

function nameOf(node) {
  return node.nodeType === 1 ? node.id || node.getAttribute("aria-labelledby") || "" : "";
}

// Make `old` what `now` is.
function change(old, now) {
  if (old.isEqualNode(now)) return;
  if (old.nodeType !== 1) { old.data = now.data; return; }
  for (const { name, value } of now.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!now.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  changeInside(old, now);
}

// Children that have a name are found by it; others are taken in their order.
function changeInside(old, now) {
  let next = old.firstChild;
  const removeUntil = last => {
    while (next !== last) { const gone = next; next = next.nextSibling; gone.remove(); }
  };
  for (const child of [...now.childNodes]) {
    const name = nameOf(child);
    let found = next;
    while (name && found && nameOf(found) !== name) found = found.nextSibling;
    if (!found || found.nodeName !== child.nodeName || nameOf(found) !== name) {
      old.insertBefore(child, next);
      continue;
    }
    removeUntil(found);
    next = found.nextSibling;
    change(found, child);
  }
  removeUntil(null);
}

function take(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const main = document.querySelector("main"), now = page.querySelector("main");
  change(main, now);
  if (document.title !== page.title) document.title = page.title;
  if (!now.hasAttribute("data-live")) feed.close();  // the job is finished: this is its report
}

async function ask(...what) {
  const answer = await fetch(...what);
  const text = await answer.text();
  if (answer.ok) take(text); else say(text);
}

// One question at a time: whatever comes meanwhile is in the next answer.
async function refresh() {
  if (asking) { again = true; return; }
  do {
    again = false;
    asking = ask("./").catch(() => {});  // the feed says that the server is gone
    await asking;
  } while (again);
  asking = null;
}

document.addEventListener("submit", async event => {
  event.preventDefault();
  if (sending) return;
  sending = true;
  try {
    await ask(event.target.action, { method: "POST" });
  } catch {
    say("Nothing was asked of the job: the page is served no more.");
  }
  sending = false;
});

document.addEventListener("click", async event => {
  if (!event.target.matches("button.copy")) return;
  const command = event.target.parentNode.querySelector("code").textContent;
  try {
    await navigator.clipboard.writeText(command);
    say(`Copied: ${command}`);
  } catch {
    say("The browser does not let it be copied; mark the command by a click on it.");
  }
});

const feed = new EventSource("events");
let gone = 0;
feed.onmessage = refresh;
feed.onopen = () => { clearTimeout(gone); gone = 0; lost.hidden = true; };
feed.onerror = () => { gone ||= setTimeout(() => { lost.hidden = false; }, 2000); };
