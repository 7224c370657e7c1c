// The rate limit, drawn live: requests in the window against the limit, and 429s.

import { by, count } from "./dom.js";

const SECONDS = 120;
const samples = [];
let now = { in_window: 0, limit: 120, window: 60, throttled: 0 }, refused = null;

/** The numbers as the sandbox tells them. */
export function changed(numbers) {
  now = numbers;
  if (refused === null || now.throttled < refused) refused = now.throttled;
  const gauge = by("gauge");
  gauge.max = now.limit;
  gauge.value = now.in_window;
  gauge.style.setProperty("--share", now.in_window / now.limit);
  gauge.classList.toggle("high", now.in_window > 0.9 * now.limit);
  by("limit-words").textContent =
    `${count(now.in_window)} of ${count(now.limit)} in ${now.window} s`;
  by("refused-words").textContent = `429: ${count(now.throttled)}`;
  by("refused-words").classList.toggle("some", now.throttled > 0);
}

function sample() {
  samples.push([now.in_window / now.limit, now.throttled > (refused ?? 0)]);
  refused = now.throttled;
  if (samples.length > SECONDS) samples.shift();
  draw();
}

function draw() {
  const left = SECONDS - samples.length;
  const high = share => (29 - 27 * Math.min(1, share)).toFixed(2);
  const points = samples.map(([share], n) => `${left + n},${high(share)}`);
  const line = points.length ? `M${points.join("L")}` : "";
  by("history-line").setAttribute("d", line);
  by("history-area").setAttribute("d", line && `${line}V30H${left}Z`);
  const marks = samples.map(([, met], n) => (met ? `M${left + n},30V22` : ""));
  by("history-refused").setAttribute("d", marks.join(""));
}

setInterval(sample, 1000);
