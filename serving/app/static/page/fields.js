// What was read, as a list: fields with kind, text and confidence, and how much was left unread.

import { make, percent } from "./dom.js";

const KINDS = { line: "one line", digit: "one digit", number: "number", postcode: "postcode", amount: "amount", score: "score" };

const CLEAR = "Each digit is clear by itself. Whether one is missing, or two were read as one, is not.";
const clearButUnsure = ({ accepted, digits }) => !accepted && digits.length > 1 && digits.every((digit) => digit.accepted);

/** Fills both lists and returns one sentence of it all. chosen: called with the image of a field's line. */
export function showFields(list, unread, reading, chosen) {
  const fields = reading.lines.flatMap((line) => line.fields);
  list.replaceChildren(...fields.map((field) => make("li", {},
    text(field, reading.images?.[field.image], chosen),
    make("span", { className: "small", textContent: KINDS[field.kind] ?? field.kind }),
    make("span", {
      className: `state ${field.accepted ? "yes" : "no"}`,
      textContent: `${field.accepted ? "sure" : "not sure"}, ${percent(field.confidence)}`,
    }),
    ...(clearButUnsure(field) ? [make("span", { className: "small why", textContent: CLEAR })] : []))));
  unread.replaceChildren(...reasons(reading.unread).map((text) => make("li", { textContent: text })));
  if (fields.length === 0) {
    return reading.unread.length === 0 ? "Nothing was found in this picture." : "No digit was read in this picture.";
  }
  const unsure = fields.filter((field) => !field.accepted).length;
  const read = `Read: ${fields.map((field) => field.text).join(", ")}.`;
  if (unsure === 0) return read;
  const doubt = fields.length === 1 ? "Not sure" : `Not sure of ${unsure} of ${fields.length} fields`;
  return `${read} ${doubt}; touch a digit to see more${reading.images ? ", or a text to correct it" : ""}.`;
}

/** A field's text; where its line is at hand a button. */
function text({ text }, image, chosen) {
  if (!image) return make("span", { className: "text", textContent: text });
  const label = `${text}: correct the line`;
  const button = make("button", { type: "button", className: "text", textContent: text, "aria-label": label });
  button.addEventListener("click", () => chosen(image));
  return button;
}

function reasons(unread) {
  const counts = new Map();
  for (const { reason } of unread) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return Array.from(counts, ([reason, count]) => `${count === 1 ? "One place" : `${count} places`} not read: ${reason}`);
}
