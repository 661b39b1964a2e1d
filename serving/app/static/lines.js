// The exported reader of whole lines in a browser: no server is asked.
//
//   const reader = await load("/edge/3/");     a folder as for predict.js, with lines-tfjs/ in it
//   await reader.read(file)                    a PNG or JPEG of one line of digits, any size
//   → {text, written, confidence, accepted, characters: [{character, probability, alternatives, left, right}],
//      width, height}                          of the upright picture; left and right in its pixels
//
// The picture is read as the `lines_encoded` signature reads it: as a whole, scaled to 32 pixels of height. A picture of
// several lines is read badly, with a low confidence: finding lines is what `digits_client.reading` does.

import { halfToEven } from "./canonicalize.js";
import { CLASSES, decode, SEPARATOR, STEP } from "./decoding.js";
import { resized } from "./normalize.js";
import { grey } from "./picture.js";
import { described, started, Unusable } from "./predict.js";
import * as tf from "./vendor/tfjs.js";

const HEIGHT = 32; // pixels of a line
const REACH = 14; // pixels of a line: half the width of a digit at most

/** The picture is longer than a line may be. */
export class TooLong extends Error {}

/** Load the reader of a folder; options and errors as of `load` in predict.js. */
export async function load(url, { backend, headers = {} } = {}) {
  const folder = new URL(url.endsWith("/") ? url : `${url}/`, globalThis.location?.href);
  const { lines } = await described(new URL("answer.json", folder), headers);
  if (!lines) throw new Unusable("this version has no reader of lines for browsers");
  await started(backend);
  const address = new URL("lines-tfjs/model.json", folder).href;
  return new LineReader(await tf.loadGraphModel(address, { requestInit: { headers } }), lines);
}

/** A network that is loaded, and how its columns become an answer. */
export class LineReader {
  constructor(graph, fit) {
    Object.assign(this, { graph, fit });
  }

  /** The answer to a PNG or JPEG (a Blob) or to ImageData of one line. Throws TooLong or Unreadable. */
  async read(picture) {
    const { levels, width, height } = await grey(picture);
    const across = Math.max(halfToEven((width * HEIGHT) / height), 1);
    if (across > this.fit.width) {
      const most = this.fit.width / HEIGHT;
      throw new TooLong(`the picture is ${width} pixels wide and ${height} high; this browser reads lines up to ${most} times ` +
        "as wide as high");
    }
    const columns = this.columns(resized(levels, width, height, across, HEIGHT), across);
    const answer = decode(columns, this.fit);
    return { ...answer, characters: places(answer.characters, columns, across, width), width, height };
  }

  /** Grey levels 0–255 of a line, 32 rows of so many pixels → the probabilities of its columns, 12 each. */
  columns(levels, width) {
    const line = new Float32Array(HEIGHT * this.fit.width);
    for (let row = 0; row < HEIGHT; row++) {
      for (let x = 0; x < width; x++) line[row * this.fit.width + x] = whole(levels[row * width + x]);
    }
    const found = tf.tidy(() => this.graph.execute({
      lines: tf.tensor(line, [1, HEIGHT, this.fit.width], "float32"),
      width: tf.tensor([width], [1], "int32"),
    }, this.graph.outputs[0].name).dataSync());
    return found.slice(0, CLASSES * Math.ceil(width / STEP));
  }

  /** Give the memory back; the reader can't be asked any more. */
  dispose() {
    this.graph.dispose();
  }
}

const whole = (level) => Math.floor(Math.fround(Math.min(Math.max(level, 0), 255) + 0.5));

/** Characters with their places in a picture of so many pixels, and what other digits they might be. */
function places(characters, columns, across, width) {
  const scale = width / across;
  return characters.map(({ character, probability, position }, i) => {
    const ends = [characters[i - 1], characters[i + 1]].map((next) => (next ? (position + next.position) / 2 : null));
    const left = Math.max(position - REACH, ends[0] ?? 0), right = Math.min(position + REACH, ends[1] ?? across);
    const at = CLASSES * Math.floor(position / STEP);
    const alternatives = Array.from(columns.slice(at, at + SEPARATOR), (share, digit) => [digit, share])
      .filter(([digit]) => digit !== character).sort((a, b) => b[1] - a[1]);
    return { character, probability, alternatives, left: left * scale, right: right * scale };
  });
}
