// What the page asks of the sandbox.

import { by } from "./dom.js";

async function ask(path, options) {
  try {
    const answer = await fetch(`/_sandbox/${path}`, options);
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.error);
    trouble("");
    return value;
  } catch (error) {
    trouble(error instanceof TypeError ? "The sandbox does not answer." : error.message);
    throw error;
  }
}

export function trouble(words) {
  by("trouble").textContent = words;
  by("trouble").hidden = !words;
}

export const get = (path, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value);
  return ask(`api/${path}?${new URLSearchParams(given)}`);
};

export const post = (path, value = {}) =>
  ask(`api/${path}`, { method: "POST", body: JSON.stringify(value) });

export const remove = path => ask(`api/${path}`, { method: "DELETE" });

/** How many people were told the same more than once: seconds of work for millions of people. */
export const repeated = async () => (await ask("inbox/repeated")).repeated;

/** Call with each state that the sandbox tells; the browser asks again by itself. */
export function listen(heard, connected) {
  const feed = new EventSource("/_sandbox/inbox/feed");
  feed.onmessage = event => {
    connected(true);
    heard(JSON.parse(event.data));
  };
  feed.onerror = () => connected(false);
}
