// A drawing: strokes of points in shares of the paper's side, with the pen's width at each; and its 784 bytes.

import { Blank, normalize } from "../normalize.js";
import { levels } from "../picture.js";

const SIDE = 280; // pixels, ten for one of the model's

export class Strokes {
  #strokes = [];

  get empty() {
    return this.#strokes.length === 0;
  }

  begin(x, y, width) {
    this.#strokes.push([{ x, y, width }]);
  }

  extend(x, y, width) {
    this.#strokes.at(-1).push({ x, y, width });
  }

  undo() {
    this.#strokes.pop();
  }

  clear() {
    this.#strokes = [];
  }

  /** Draws all, in a colour, on a context whose side has that many pixels. */
  paint(context, side, colour) {
    context.strokeStyle = context.fillStyle = colour;
    context.lineCap = context.lineJoin = "round";
    for (const points of this.#strokes) {
      points.forEach((point, i) => {
        const { x, y, width } = point, next = points[i + 1];
        const from = i ? between(points[i - 1], point) : point;
        const to = next ? between(point, next) : { x: x + 1e-4, y };
        context.lineWidth = width * side;
        context.beginPath();
        context.moveTo(from.x * side, from.y * side);
        context.quadraticCurveTo(x * side, y * side, to.x * side, to.y * side);
        context.stroke();
      });
    }
  }

  /** What the model is asked: 28×28 bytes, white ink on black; null while there is no ink. */
  pixels() {
    const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIDE, SIDE);
    this.paint(context, SIDE, "#fff");
    try {
      return normalize(levels(context.getImageData(0, 0, SIDE, SIDE).data), SIDE, SIDE);
    } catch (error) {
      if (error instanceof Blank) return null;
      throw error;
    }
  }
}

const between = (one, other) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });
