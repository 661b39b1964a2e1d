// What /api/about said last, for a start without the server. No picture and no key is ever kept.

const PLACE = "digits.about";

export function remember({ model, edge, facts, limits }) {
  try {
    localStorage.setItem(PLACE, JSON.stringify({ model, edge, facts, limits }));
  } catch {
    // a browser that keeps nothing: the page then wants its server at the start
  }
}

/** The same object, or null. */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(PLACE));
  } catch {
    return null;
  }
}
