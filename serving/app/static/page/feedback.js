// "Wrong? Tell us": the right digit by one tap. A correction of any kind that could not be sent stays on the page and can
// be sent again.

import { byId, make } from "./dom.js";

/** Ten buttons in an element. `pad.about(build)` says what a tap sends: build(label) → body, or null to bar them. */
export class Pad {
  #build = null;

  constructor(element, outbox) {
    this.said = make("p", { className: "said small", role: "status" });
    const question = make("p", { className: "small", textContent: "Wrong? Tell us which digit it is:" });
    this.buttons = Array.from({ length: 10 }, (_, digit) =>
      make("button", { type: "button", textContent: digit, disabled: true, "aria-label": `It is a ${digit}` }));
    element.append(question, make("div", { className: "pad", role: "group" }, ...this.buttons), this.said);
    this.buttons.forEach((button, label) => button.addEventListener("click", async () => {
      const body = this.#build(label);
      this.about(null);
      this.said.textContent = "Sending …";
      this.said.textContent = await outbox.send(body);
    }));
  }

  about(build) {
    this.#build = build;
    this.said.textContent = "";
    for (const button of this.buttons) button.disabled = build === null;
  }
}

const meant = ({ label, text }) =>
  (text === undefined ? `it is a ${label}` : text === "" ? "there are no digits" : `it says ${text}`);

export class Outbox {
  #waiting = [];

  constructor(server) {
    this.server = server;
    byId("outbox-act").addEventListener("click", () => this.again());
  }

  /** What became of a correction, in words. */
  async send(body) {
    try {
      await this.server.feedback(body);
      return `Thanks: ${meant(body)}. Someone will look at it before the model learns from it.`;
    } catch (error) {
      if (!error.passing) return `Not taken: ${error.message}`;
      this.#waiting.push(body);
      this.#show();
      return `Not sent: ${error.message}. It is kept on this page.`;
    }
  }

  /** Send what waits, oldest first, until the server can't take more. */
  async again() {
    const act = byId("outbox-act");
    let problem = "";
    act.disabled = true;
    while (this.#waiting.length) {
      try {
        await this.server.feedback(this.#waiting[0]);
      } catch (error) {
        problem = error.message;
        if (error.passing) break;
      }
      this.#waiting.shift(); // taken, or refused for good
    }
    act.disabled = false;
    this.#show(problem);
  }

  #show(why = "") {
    const count = this.#waiting.length;
    const many = count === 1 ? "One correction waits" : `${count} corrections wait`;
    byId("outbox").hidden = count === 0 && !why;
    byId("outbox-act").hidden = count === 0;
    byId("outbox-text").textContent = count === 0
      ? `A correction was not taken: ${why}.`
      : `${many} on this page to be sent; closing it forgets them.${why ? ` Last try: ${why}.` : ""}`;
  }
}
