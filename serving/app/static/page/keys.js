// The API key of this tab: asked for in a dialog, kept in sessionStorage alone.

import { byId, closable } from "./dom.js";

const PLACE = "digits.key";

export class Keys {
  #asking = null;
  #declined = false;

  constructor() {
    this.dialog = byId("key");
    closable(this.dialog);
  }

  get value() {
    return sessionStorage.getItem(PLACE);
  }

  /** What a request has to carry. */
  get headers() {
    return this.value === null ? {} : { Authorization: `Bearer ${this.value}` };
  }

  /** Whether a person gave a key. wrong: the last one was refused; patient: don't ask who said "not now". */
  ask(wrong, patient = false) {
    if (patient && this.#declined) return Promise.resolve(false);
    this.#asking ??= this.#answered(wrong).finally(() => (this.#asking = null));
    return this.#asking;
  }

  #answered(wrong) {
    const { dialog } = this, input = byId("key-value");
    byId("key-said").textContent = wrong ? "That key was refused. Is it whole?" : "";
    input.value = "";
    return new Promise((resolve) => {
      const submitted = () => sessionStorage.setItem(PLACE, input.value.trim());
      const form = byId("key-form");
      let given = false;
      const onSubmit = () => {
        given = true;
        submitted();
      };
      form.addEventListener("submit", onSubmit, { once: true });
      dialog.addEventListener("close", () => {
        form.removeEventListener("submit", onSubmit);
        this.#declined = !given;
        resolve(given);
      }, { once: true });
      dialog.showModal();
    });
  }
}
