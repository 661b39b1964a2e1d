// The model in this browser: fetched when the page has nothing else to do, exchanged when a new version serves. Its
// reader of lines is some times as large, and fetched with the first picture that is read here.

const SEPARATOR = 10; // as a character
const SURE = 0.98; // probability of a digit that counts as accepted in a line that is not

const idle = () => new Promise((resolve) =>
  (globalThis.requestIdleCallback ? requestIdleCallback(resolve, { timeout: 3000 }) : setTimeout(resolve, 300)));

export class LocalModel {
  state = "none"; // none, loading, ready, failed
  message = "";
  version = null;
  #model = null;
  #folder = null; // of the model
  #reader = null; // a promise
  #wanted = null;

  /**
   * changed: called whenever the state does; kept: called with a folder, those of its networks that are in use, and the
   * headers it wants. keys: see keys.js.
   */
  constructor(changed, kept, keys) {
    Object.assign(this, { changed, kept, keys });
  }

  /** Load the model of a folder as "/edge/3/". The one in use answers until the new one can. */
  async want(folder) {
    if (folder === this.#wanted) return;
    this.#wanted = folder;
    if (this.#model === null) this.#become("loading");
    await idle();
    try {
      const { load } = await import("../predict.js");
      const { headers } = this.keys;
      const model = await load(folder, { headers });
      if (folder !== this.#wanted) return model.dispose();
      this.#model?.dispose();
      this.#reader?.then((reader) => reader.dispose(), () => {});
      this.#reader = null;
      [this.#model, this.#folder] = [model, folder];
      this.version = Number(folder.match(/(\d+)\/?$/)?.[1] ?? 0);
      this.kept(folder, ["tfjs"], headers);
      this.#become("ready");
    } catch (error) {
      if (folder !== this.#wanted) return;
      this.#wanted = null; // so that it is tried again when the server is heard of again
      this.message = `The model for this browser could not be loaded: ${error.message}`;
      this.#become(this.#model === null ? "failed" : "ready");
    }
  }

  /** 784 bytes → {digit, confidence, accepted, probabilities, version}. */
  predict(pixels) {
    const answer = this.#model.predict(pixels);
    return { ...answer, probabilities: Array.from(answer.probabilities), version: this.version };
  }

  /** A PNG or JPEG of ONE line → the tree that the server's reading gives, with one field. */
  async read(file) {
    this.#reader ??= this.#readerOf(this.#folder);
    const version = this.version, reader = await this.#reader;
    const { written, confidence, accepted, characters, width, height } = await reader.read(file);
    const whole = { width, height, unread: [], version };
    const isDigit = ({ character }) => character < SEPARATOR;
    const text = written.replace(/^\.+|\.+$/g, "");
    if (!text) return { ...whole, text, lines: [], unread: [{ box: [0, 0, width, height], reason: "no digits" }] };
    const boxOf = ({ left, right }) => [Math.round(left), 0, Math.max(Math.round(right - left), 1), height];
    const digits = characters.filter(isDigit).map(({ character, probability, alternatives, ...place }) => ({
      box: boxOf(place), digit: character, confidence: probability, accepted: accepted || probability >= SURE, alternatives,
    }));
    const box = boxOf({ left: digits[0].box[0], right: digits.at(-1).box[0] + digits.at(-1).box[2] });
    const field = { kind: "line", text, confidence, accepted, box, digits, separators: [] };
    return { ...whole, text, lines: [{ box, text, fields: [field] }] };
  }

  async #readerOf(folder) {
    const { headers } = this.keys;
    try {
      const { load } = await import("../lines.js");
      const reader = await load(folder, { headers });
      if (folder === this.#folder) this.kept(folder, ["tfjs", "lines-tfjs"], headers);
      return reader;
    } catch (error) {
      if (folder === this.#folder) this.#reader = null; // so that the next picture tries again
      throw new Error(`the reader of lines for this browser could not be loaded (${error.message})`);
    }
  }

  #become(state) {
    this.state = state;
    this.changed();
  }
}
