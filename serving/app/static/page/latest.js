// Questions while someone draws: one on its way, and of those that come meanwhile only the newest is kept.

export class Latest {
  #running = false;
  #waiting = null;

  /** ask: async (question) → anything; it handles its own errors. gap: ms from one question to the next. */
  constructor(ask, gap = 0) {
    Object.assign(this, { ask, gap });
  }

  push(question) {
    this.#waiting = { question };
    if (!this.#running) this.#work();
  }

  /** What has not been asked yet is forgotten. */
  drop() {
    this.#waiting = null;
  }

  async #work() {
    this.#running = true;
    while (this.#waiting) {
      const { question } = this.#waiting, began = performance.now();
      this.#waiting = null;
      await this.ask(question);
      const rest = this.gap - (performance.now() - began);
      if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    }
    this.#running = false;
  }
}
