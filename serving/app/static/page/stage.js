// The picture with its boxes: every digit a button over its place, what was not read dashed.

import { make, percent } from "./dom.js";

const FRAME = 3; // pixels of the screen, so that the border leaves the ink free

/**
 * Fills the stage. file: the picture; reading: the server's tree; chosen: called with a digit and whether a person
 * touched it; unreadChosen: called with the image of a line that was not read.
 */
export function showStage(stage, file, reading, chosen, unreadChosen) {
  const { width, height } = reading;
  stage.replaceChildren(picture(stage, file, width, height));
  stage.style.aspectRatio = `${width} / ${height}`;
  const place = (element, [x, y, w, h]) => {
    const sides = { left: x / width, top: y / height, width: w / width, height: h / height };
    for (const [name, share] of Object.entries(sides)) {
      const frame = name === "left" || name === "top" ? -FRAME : 2 * FRAME;
      element.style[name] = `calc(${100 * share}% + ${frame}px)`;
    }
    stage.append(element);
  };
  for (const { box, reason, image } of reading.unread) {
    const line = reading.images?.[image];
    const label = `Not read, ${reason}: say what is written here`;
    const button = make("button", {
      type: "button", className: "unread", title: reason, "aria-label": label, disabled: !line,
    });
    button.addEventListener("click", () => unreadChosen(line));
    place(button, box);
  }
  for (const digit of digitsOf(reading)) {
    const sure = digit.accepted ? "sure" : "not sure";
    const button = make("button", {
      type: "button", className: `box ${digit.accepted ? "" : "unsure"}`, "aria-pressed": "false",
      "aria-label": `${digit.digit}, ${sure}, ${percent(digit.confidence)}: show details`,
    }, make("span", { className: "tag", textContent: digit.digit }),
    make("span", { className: "tip", textContent: percent(digit.confidence, 0) }));
    button.addEventListener("click", (event) => {
      for (const other of stage.querySelectorAll(".box")) other.setAttribute("aria-pressed", String(other === button));
      chosen(digit, event.isTrusted);
    });
    place(button, digit.box);
  }
}

/** Every digit of a reading, as one reads them. */
export const digitsOf = (reading) => reading.lines.flatMap((line) => line.fields.flatMap((field) => field.digits));

function picture(stage, file, width, height) {
  if (stage.address) URL.revokeObjectURL(stage.address);
  stage.address = URL.createObjectURL(file);
  const image = make("img", { src: stage.address, alt: "The picture that was read", width, height });
  image.addEventListener("error", () => {
    const note = "This browser can't show this kind of picture; the boxes are where its digits are.";
    image.replaceWith(make("p", { className: "hint", textContent: note }));
  });
  return image;
}
