// The version in service, always in sight; it leads to where it comes from.

import { byId, closable, percent } from "./dom.js";
import { provenance } from "./provenance.js";

export class Badge {
  #about = null;

  /** server: of api.js, asked for the whole record when the dialog opens. */
  constructor(server) {
    this.server = server;
    closable(byId("provenance"));
    byId("badge").addEventListener("click", () => this.#open());
  }

  /** about: what /api/about said, now or (away) before; null when it never did. */
  show(about, away) {
    this.#about = about?.model.version ? about : null;
    const badge = byId("badge");
    badge.disabled = this.#about === null;
    badge.classList.toggle("away", away);
    if (this.#about === null) {
      byId("badge-text").textContent = about ? "no version in service" : away ? "no server" : "looking for the server …";
      return;
    }
    const { model, facts } = this.#about;
    const right = facts ? ` · ${percent(facts.accuracy, 2)} right` : "";
    byId("badge-text").textContent = `version ${model.version}${right}${away ? " · server away" : ""}`;
    badge.title = "Where this version comes from";
  }

  async #open() {
    const { model, facts, card } = this.#about, body = byId("provenance-body");
    byId("provenance-title").textContent = `Version ${model.version}`;
    body.textContent = "Asking the server …";
    byId("provenance").showModal();
    let record = null, text = null, problem = "";
    try {
      record = await this.server.version(model.version);
      if (card) text = await this.server.card(card);
    } catch (error) {
      problem = error.message;
    }
    body.replaceChildren(...provenance(model.version, facts, record, problem, text));
  }
}
