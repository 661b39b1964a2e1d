// 28×28 pixels → what the network of the model sees, and whether they hold ink: digits.model.canonicalize and
// digits.ink in a browser.
//
//   canonicalize(pixels)   integers 0–255 → Float32Array(784) of 0–1: polarity, contrast and place are MNIST's
//   scale(pixels)          the same, with nothing done but that: what tutorials' models see
//   hasInk(pixels)         whether that is enough ink to be a digit at all
//
// The steps and their numbers are those of the Python modules, which explain them; a test holds the results
// equal. Models are trained on what Python makes, so a step changes there first, then here.

import { BLANK, centreOfMass, ringOf, SIDE } from "./normalize.js";

const AREA = SIDE * SIDE;
const MIDDLE = 14; // row and column of the centre of mass
const BRIGHT_RANK = 8, FAINTEST = 8 / 255, SOLID = 0.2;
const LEAST_INK = 8; // pixels
const f32 = Math.fround;

/** Integers 0–255, 28×28 → Float32Array(784) of 0–1: polarity, contrast and place are MNIST's. */
export function canonicalize(pixels) {
  return centre(stretch(scale(pixels)));
}

/** Integers 0–255, 28×28 → Float32Array(784) of 0–1 and nothing else done: what tutorials' models see. */
export function scale(pixels) {
  return Float32Array.from(pixels, (level) => level * f32(1 / 255)); // so TensorFlow computes a division by 255
}

/** Whether integers 0–255, 28×28, hold enough ink; what holds less is never an accepted answer. */
export function hasInk(pixels) {
  const border = ringOf(pixels, SIDE, SIDE).sort();
  const paper = border[border.length / 2]; // the upper median
  const apart = Array.from(pixels, (level) => Math.abs(level - paper));
  const farthest = Math.max(...apart);
  const inked = apart.map((distance) => (distance * 100 > farthest * 30 ? 1 : 0));
  const together = neighbourhoods(inked);
  const solid = inked.reduce((sum, is, i) => sum + (is && together[i] >= 3 ? 1 : 0), 0);
  return Math.max(...pixels) - Math.min(...pixels) >= BLANK && solid >= LEAST_INK;
}

/** The largest multiple of 1/256 below the rank-th largest value. */
function below(values, rank) {
  const ranked = Float32Array.from(values).sort();
  return Math.max(Math.ceil(ranked[ranked.length - rank] * 256) - 1, 0) / 256;
}

function stretch(levels) {
  const border = ringOf(levels, SIDE, SIDE);
  const ground = below(border, border.length / 2);
  const sign = levels.reduce((sum, level) => sum + level, 0) / AREA < ground ? -1 : 1;
  const ink = levels.map((level) => Math.max(sign * (level - ground), 0));
  const full = below(ink, BRIGHT_RANK) + 1 / 256;
  return ink.map((level) => (full < f32(FAINTEST) ? 0 : Math.min(level / full, 1)));
}

/** Moved by whole pixels until the centre of mass of what is solid is in the middle. */
function centre(ink) {
  const sums = neighbourhoods(ink);
  const solid = ink.map((level, i) => (sums[i] > f32(9 * SOLID) ? level : 0));
  const [row, column] = centreOfMass(solid, SIDE, SIDE);
  const [down, right] = row < 0 ? [0, 0] : [row, column].map((place) => halfToEven(place - MIDDLE));
  const moved = new Float32Array(AREA);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const [fromY, fromX] = [y + down, x + right];
      const inside = fromY >= 0 && fromY < SIDE && fromX >= 0 && fromX < SIDE;
      moved[y * SIDE + x] = inside ? ink[fromY * SIDE + fromX] : 0;
    }
  }
  return moved;
}

/** Each value and its eight neighbours summed, 28×28, zeros outside; down first, as the graph sums. */
function neighbourhoods(values) {
  const framed = new Float32Array((SIDE + 2) ** 2), wide = SIDE + 2;
  for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) framed[(y + 1) * wide + x + 1] = values[y * SIDE + x];
  const down = framed.map((level, i) => f32(f32((framed[i - wide] ?? 0) + level) + (framed[i + wide] ?? 0)));
  const sums = new Float32Array(AREA);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const i = (y + 1) * wide + x + 1;
      sums[y * SIDE + x] = f32(f32(down[i - 1] + down[i]) + down[i + 1]);
    }
  }
  return sums;
}

/** The nearest integer; of two the even one, as TensorFlow rounds. */
export function halfToEven(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low & 1) : Math.round(value);
}
