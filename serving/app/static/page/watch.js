// /api/about, asked gently: often enough to notice a new version and a server that is back, never while hidden.

const CALM = 15_000, SOON = 2_000, LONGEST = 30_000; // ms

export class Watch {
  #timer = null;
  #wait = SOON;
  #asking = null;

  /** heard: called with what /api/about says; lost: called with the Refusal. */
  constructor(server, heard, lost) {
    Object.assign(this, { server, heard, lost });
    for (const name of ["online", "focus"]) globalThis.addEventListener(name, () => this.now());
    document.addEventListener("visibilitychange", () => document.hidden || this.now());
  }

  /** Ask at once; two who want it at a time share the answer. first: a person waits for it. */
  now(first = false) {
    this.#asking ??= this.#ask(first).finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #ask(first) {
    clearTimeout(this.#timer);
    try {
      const about = await this.server.about(!first);
      this.#wait = about.model.ready ? CALM : this.#longer();
      this.heard(about);
    } catch (error) {
      this.#wait = this.#longer();
      this.lost(error);
    }
    this.#later();
  }

  /** Ask in a moment rather than when it would be time. */
  soon() {
    this.#wait = SOON;
    this.#later();
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (document.hidden ? null : this.now()), this.#wait);
  }

  #longer() {
    return this.#wait === CALM ? SOON : Math.min(this.#wait * 1.5, LONGEST);
  }
}
