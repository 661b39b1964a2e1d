// The exported model in a browser: no server is asked.
//
//   const model = await load("/edge/3/");                 a folder as `digits publish` lays it beside a version
//   model.predict(pixels)                                 28×28 integers 0–255, white ink on black
//   await model.read(file)                                a PNG or JPEG of one digit, any size
//   → {digit, confidence, probabilities, accepted}
//
// The folder holds answer.json (temperature, threshold, normalization) and tfjs/model.json with its weights. Whole lines
// of digits are read by lines.js.

import { canonicalize, hasInk, scale } from "./canonicalize.js";
import { normalize, SIDE } from "./normalize.js";
import { grey } from "./picture.js";
import * as tf from "./vendor/tfjs.js";

const NORMALIZATIONS = { canonical: canonicalize, scaled: scale };
const AREA = SIDE * SIDE;

/** The folder holds no model that this page can use. */
export class Unusable extends Error {}

/**
 * Load a model. `backend`: "wasm" (WebAssembly; a strict policy must allow 'wasm-unsafe-eval') or "cpu" (plain
 * JavaScript, some ten times slower); by default the first that works; `model.backend` says which it is.
 * `headers` go with each request for the folder's files, as an API key does. Throws Unusable, or what fetching throws.
 */
export async function load(url, { backend, headers = {} } = {}) {
  const folder = new URL(url.endsWith("/") ? url : `${url}/`, globalThis.location?.href);
  const answer = await described(new URL("answer.json", folder), headers);
  const used = await started(backend);
  const graph = await tf.loadGraphModel(new URL("tfjs/model.json", folder).href, { requestInit: { headers } });
  return new Model(graph, answer, used);
}

/** A network that is loaded, and how its logits become an answer. */
export class Model {
  constructor(graph, answer, backend) {
    Object.assign(this, { graph, answer, backend, normal: NORMALIZATIONS[answer.normalization] });
    this.predict(new Uint8Array(AREA)); // the first call compiles, the next ones answer in their usual time
  }

  /** The answer to 28×28 integers 0–255, white ink on black. Throws RangeError for anything else. */
  predict(pixels) {
    if (pixels.length !== AREA) throw new RangeError(`expected 28 × 28 pixels, not ${pixels.length}`);
    const bytes = Uint8Array.from(pixels);
    if (bytes.some((level, i) => level !== pixels[i])) {
      throw new RangeError("expected integers from 0 to 255, white ink on black: multiply shares of 1 by 255");
    }
    const logits = tf.tidy(() => {
      const images = tf.tensor(this.normal(bytes), [1, SIDE, SIDE], "float32");
      return this.graph.execute({ images }, this.graph.outputs[0].name).dataSync();
    });
    const probabilities = softmax(logits, this.answer.temperature);
    const confidence = Math.max(...probabilities);
    const digit = probabilities.indexOf(confidence);
    const accepted = confidence >= Math.fround(this.answer.threshold) && hasInk(bytes);
    return { digit, confidence, probabilities, accepted };
  }

  /** The answer to a PNG or JPEG (a Blob) or to ImageData of one digit. Throws Blank or Unreadable. */
  async read(picture) {
    const { levels, width, height } = await grey(picture);
    return this.predict(normalize(levels, width, height));
  }

  /** Give the memory back; the model can't be asked any more. */
  dispose() {
    this.graph.dispose();
  }
}

/** What answer.json says of a folder's models. Throws Unusable. */
export async function described(address, headers) {
  const reply = await fetch(address, { headers });
  if (!reply.ok) throw new Unusable(`${address} is not there (${reply.status}): publish a version with its edge models`);
  const answer = await reply.json();
  const positive = answer.temperature > 0 && answer.threshold >= 0;
  if (!positive || !(answer.normalization in NORMALIZATIONS)) {
    throw new Unusable(`${address} does not say how the model answers: make models/edge anew`);
  }
  return answer;
}

/** The name of the backend that computes here. Throws Unusable. */
export async function started(backend) {
  tf.setWasmPaths(new URL("vendor/", import.meta.url).href);
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // one digit is too small to share among threads
  for (const name of backend ? [backend] : ["wasm", "cpu"]) {
    if (await tf.setBackend(name).catch(() => false)) return name;
  }
  throw new Unusable(`TensorFlow.js can't compute in ${backend ?? "WebAssembly or JavaScript"} here`);
}

function softmax(logits, temperature) {
  const scaled = Array.from(logits, (logit) => logit / temperature);
  const highest = Math.max(...scaled);
  const powers = scaled.map((logit) => Math.exp(logit - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return Float32Array.from(powers, (power) => power / sum);
}
