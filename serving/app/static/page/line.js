// One line of a photo: what the model saw of it, and a form by which a person says what is written there.

import { byId } from "./dom.js";

export class LineView {
  #body = null; // of /api/feedback, but for the text

  constructor(outbox) {
    byId("line-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const said = byId("line-said"), send = byId("line-send");
      const body = { ...this.#body, text: byId("line-text").value.trim() };
      send.disabled = true;
      said.textContent = "Sending …";
      const became = await outbox.send(body);
      send.disabled = false;
      if (body.line === this.#body.line) said.textContent = became; // no other line was chosen meanwhile
    });
  }

  /** image: {png, text, confidence} of a reading; version: of the model that read it. */
  show({ png, text, confidence }, version) {
    this.#body = { line: png, said: text, confidence, version, source: "photo", mode: "server" };
    byId("detail").hidden = true;
    byId("line").hidden = false;
    byId("line-image").src = `data:image/png;base64,${png}`;
    byId("line-text").value = text;
    byId("line-said").textContent = "";
    byId("line-text").focus();
    byId("line-text").select();
    byId("line").scrollIntoView({ block: "nearest" });
  }
}
