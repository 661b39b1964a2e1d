// Columns of the line network → text, characters and confidence: digits.line_model.decoding in a browser.
//
//   decode(columns, fit)   Float32Array(12 · t) of probabilities, 12 a column; {slope, offset, threshold}
//   → {text, written, confidence, accepted, characters: [{character, probability, position}]}
//
// A module without dependencies. The steps and their numbers are those of the Python module, which explains them; a
// test holds the results equal.

export const CLASSES = 12; // of a column: 0–9, a separator, nothing
export const STEP = 4; // pixels of a line that a column stands for
export const SEPARATOR = 10;
const BLANK = 11;
const LONGEST = 24; // characters of an answer; of a longer line the first are given, and it is not accepted

/** What a line says, and how sure that is. */
export function decode(columns, { slope, offset, threshold }) {
  const every = runs(columns).filter(({ character }) => character !== BLANK);
  const characters = every.slice(0, LONGEST), complete = every.length <= LONGEST;
  const likely = complete ? logLikelihood(columns, characters.map(({ character }) => character)) : -1e9;
  const confidence = 1 / (1 + Math.exp(-(slope * likely + offset)));
  const written = characters.map(({ character }) => (character === SEPARATOR ? "." : character)).join("");
  const text = written.replaceAll(".", "");
  const accepted = Math.fround(confidence) >= Math.fround(threshold) && text !== "" && complete;
  return { text, written, confidence, accepted, characters };
}

/** Columns beside each other whose likeliest class is the same: its highest probability, its middle in pixels. */
function runs(columns) {
  const found = [];
  for (let at = 0; at < columns.length; at += CLASSES) {
    const column = columns.subarray(at, at + CLASSES);
    const probability = Math.max(...column), character = column.indexOf(probability);
    if (found.at(-1)?.character !== character) found.push({ character, probability: 0, weight: 0, moment: 0 });
    const run = found.at(-1), place = (at / CLASSES) * STEP + STEP / 2;
    run.probability = Math.max(run.probability, probability);
    run.weight += probability;
    run.moment += probability * place;
  }
  return found.map(({ character, probability, weight, moment }) => ({ character, probability, position: moment / weight }));
}

/** The logarithm of the probability that columns say these characters: CTC's forward algorithm. */
export function logLikelihood(columns, characters) {
  const states = [BLANK, ...characters.flatMap((character) => [character, BLANK])];
  let reached = states.map((_, i) => (i === 0 ? 1 : 0)), log = 0;
  for (let at = 0; at < columns.length; at += CLASSES) {
    const next = states.map((state, i) => {
      const skips = i > 1 && state !== BLANK && state !== states[i - 2];
      const ways = reached[i] + (reached[i - 1] ?? 0) + (skips ? reached[i - 2] : 0);
      return ways * columns[at + state];
    });
    const sum = next.reduce((a, b) => a + b, 0);
    reached = next.map((share) => share / sum); // so that a long line's product does not vanish
    log += Math.log(sum);
  }
  return log + Math.log(reached.at(-1) + (reached.at(-2) ?? 0));
}
