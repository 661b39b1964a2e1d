// An answer: the digit large, sure or not, ten bars; said aloud once the pen rests.

import { byId, make, percent } from "./dom.js";

const REST = 700; // ms without a new answer before it is said

/** Fills a list with bars of [digit, probability] pairs; the first call makes the rows. */
export function showBars(list, shares, best = null) {
  while (list.children.length > shares.length) list.lastChild.remove();
  while (list.children.length < shares.length) {
    const track = make("span", { className: "track", "aria-hidden": "true" }, make("span", { className: "fill" }));
    list.append(make("li", {}, make("span", { className: "of" }), track, make("span", { className: "share" })));
  }
  shares.forEach(([digit, share], i) => {
    const row = list.children[i];
    row.classList.toggle("best", digit === best);
    row.querySelector(".of").textContent = digit;
    row.querySelector(".fill").style.transform = `scaleX(${share})`;
    row.querySelector(".share").textContent = best === null && share === 0 ? "" : percent(share);
  });
}

/** "sure" and its colour, or "not sure". */
export function showSure(element, accepted, confidence) {
  element.textContent = `${accepted ? "sure" : "not sure"}, ${percent(confidence)}`;
  element.className = `sure ${accepted ? "yes" : "no"}`;
}

export class AnswerView {
  #timer = null;

  constructor() {
    this.clear();
  }

  /** Nothing is drawn, or nobody can answer: why. */
  clear(why = "draw a digit") {
    byId("digit").textContent = "–";
    byId("sure").textContent = why;
    byId("sure").className = "sure";
    byId("by").textContent = byId("agreement").textContent = "";
    showBars(byId("bars"), Array.from({ length: 10 }, (_, digit) => [digit, 0]));
    this.#say(why === "draw a digit" ? "" : why);
  }

  /** answer: {digit, confidence, accepted, probabilities}; by: who gave it. */
  show({ digit, confidence, accepted, probabilities }, by) {
    byId("digit").textContent = digit;
    showSure(byId("sure"), accepted, confidence);
    byId("by").textContent = by;
    showBars(byId("bars"), Array.from(probabilities, (share, i) => [i, share]), digit);
    this.#say(`${digit}, ${byId("sure").textContent}`);
  }

  /** {same, text} of agreement.js, or null. */
  agree(found) {
    byId("agreement").textContent = found?.text ?? "";
    byId("agreement").className = `small ${found?.same === false ? "no" : ""}`;
  }

  #say(text) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (byId("said").textContent = text), REST);
  }
}
