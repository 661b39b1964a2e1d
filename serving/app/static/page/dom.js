// Elements found and made. Text goes in as textContent alone: nothing that a person or a file is called is markup.

export const byId = (id) => document.getElementById(id);

/** An element: properties by name, "aria-…", "role" and "for" as attributes; children may be strings. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** A share of 1 as people read it; never "100.0%" for less than all. */
export function percent(share, places = 1) {
  const text = (100 * share).toFixed(places);
  const shown = share < 1 && Number(text) === 100 ? (100 - 10 ** -places).toFixed(places) : text;
  return `${shown}%`;
}

/** A dialog closes by its buttons and by a click beside it. */
export function closable(dialog) {
  for (const button of dialog.querySelectorAll("[data-close]")) button.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
