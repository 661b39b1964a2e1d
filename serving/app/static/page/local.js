// The model in this browser: fetched when the page has nothing else to do, exchanged when a new version serves.

import { Blank, normalize } from "../normalize.js";
import { grey, Unreadable } from "../picture.js";

const idle = () => new Promise((resolve) =>
  (globalThis.requestIdleCallback ? requestIdleCallback(resolve, { timeout: 3000 }) : setTimeout(resolve, 300)));

export class LocalModel {
  state = "none"; // none, loading, ready, failed
  message = "";
  version = null;
  #model = null;
  #wanted = null;

  /**
   * changed: called whenever the state does; kept: called with a folder, and the headers it wants, once its model is
   * in use. keys: see keys.js.
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
      this.#model = model;
      this.version = Number(folder.match(/(\d+)\/?$/)?.[1] ?? 0);
      this.kept(folder, headers);
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

  /** A PNG or JPEG of ONE digit → the tree that the server's reading gives, with one box around it all. */
  async read(file) {
    const { levels, width, height } = await grey(file);
    const pixels = normalize(levels, width, height);
    const { digit, confidence, accepted, probabilities } = this.predict(pixels);
    const others = probabilities.map((share, i) => [i, share]).filter(([i]) => i !== digit).sort((a, b) => b[1] - a[1]);
    const box = [0, 0, width, height];
    const found = { box, digit, confidence, accepted, alternatives: others, image: pixels };
    const field = { kind: "digit", text: String(digit), confidence, accepted, box, digits: [found], separators: [] };
    const lines = [{ box, text: field.text, fields: [field] }];
    return { width, height, text: field.text, lines, unread: [], version: this.version };
  }

  #become(state) {
    this.state = state;
    this.changed();
  }
}

export { Blank, Unreadable };
