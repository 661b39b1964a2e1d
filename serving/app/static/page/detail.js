// One digit of a photo: the 28 × 28 pixels that the model was shown, what else it might be, and the pad.

import { showBars } from "./answer.js";
import { paintPixels } from "./bytes.js";
import { byId, percent } from "./dom.js";

const SHOWN = 5; // bars

/** digit: of a reading, its image as bytes. */
export function showDetail(digit) {
  byId("detail").hidden = false;
  const cut = digit.split ? "; cut from digits that touch" : "";
  const sure = digit.accepted ? "sure" : "not sure";
  byId("detail-title").textContent = `${digit.digit}, ${sure}, ${percent(digit.confidence)}${cut}`;
  paintPixels(byId("detail-image"), digit.image);
  const shares = [[digit.digit, digit.confidence], ...digit.alternatives].slice(0, SHOWN);
  showBars(byId("detail-bars"), shares, digit.digit);
}
