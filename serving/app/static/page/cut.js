// The digits of a photo as single images, as the model of single digits takes them, and corrections.

import { Blank, normalize } from "../normalize.js";
import { grey } from "../picture.js";

const MARGIN = 0.12; // of a box's height, around it

/** Gives each digit its `image`, 784 bytes; null where this browser can't decode the file, or sees no ink. */
export async function cutOut(file, digits) {
  for (const digit of digits) digit.image = null;
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  if (bitmap === null) return;
  for (const digit of digits) digit.image = await one(bitmap, digit.box);
  bitmap.close();
}

async function one(bitmap, [x, y, w, h]) {
  const pad = Math.round(MARGIN * h);
  const canvas = new OffscreenCanvas(w + 2 * pad, h + 2 * pad);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, pad - x, pad - y);
  const { levels, width, height } = await grey(context.getImageData(0, 0, canvas.width, canvas.height));
  try {
    return normalize(levels, width, height);
  } catch (error) {
    if (error instanceof Blank) return null;
    throw error;
  }
}
