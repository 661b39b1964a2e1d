// One digit of a photo: its 28 × 28 pixels alone, what else it might be, and the pad.

import { showBars } from "./answer.js";
import { paintPixels } from "./bytes.js";
import { byId, percent } from "./dom.js";

const SHOWN = 5; // bars

/** digit: of a reading, its image as bytes; null where this browser can't show the picture. */
export function showDetail(digit) {
  byId("line").hidden = true;
  byId("detail").hidden = false;
  const sure = digit.accepted ? "sure" : "not sure";
  byId("detail-title").textContent = `${digit.digit}, ${sure}, ${percent(digit.confidence)}`;
  byId("detail-image").hidden = digit.image === null;
  if (digit.image !== null) paintPixels(byId("detail-image"), digit.image);
  const shares = [[digit.digit, digit.confidence], ...digit.alternatives].slice(0, SHOWN);
  showBars(byId("detail-bars"), shares, digit.digit);
}
