// Small words for the document. Foreign text comes in as text, never as markup.

export const by = id => document.getElementById(id);

export const count = number => number.toLocaleString("en");

/** The number of a message; 0, which none has, for any other text. */
export const numberOf = text => (/^\d{1,15}$/.test(text ?? "") ? Number(text) : 0);

/** An element with attributes and children; a text is a child. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const people = number => (number === 1 ? "1 person" : `${count(number)} people`);

/** At most one call in so many milliseconds, and always one after the last. */
export function calmly(milliseconds, call) {
  let timer = null, last = -Infinity;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      last = performance.now();
      call();
    }, Math.max(0, last + milliseconds - performance.now()));
  };
}

/** Show a document in a frame, and leave no step of it in the browser's history. */
export function showIn(frame, path) {
  if (frame.contentWindow) frame.contentWindow.location.replace(path);
  else frame.src = path;
}
