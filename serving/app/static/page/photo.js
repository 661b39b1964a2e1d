// A picture from file to boxes, fields and details. The newest picture wins; one that failed says why.

import { cutOut } from "./cut.js";
import { showDetail } from "./detail.js";
import { byId } from "./dom.js";
import { showFields } from "./fields.js";
import { problemOf } from "./files.js";
import { digitsOf, showStage } from "./stage.js";

export class Photo {
  #turn = 0;

  /**
   * reader: () → {alone: whether there is only this browser, limits, read: async (file) → {reading: tree, mode:
   * "server" | "browser", said: what the page says of that}, second: who else can be asked about a digit, or null};
   * chosen: called with a digit that is touched, the mode and the version that read it; corrected: called with the
   * image of a line that is to be corrected, and the version.
   */
  constructor(reader, chosen, corrected) {
    Object.assign(this, { reader, chosen, corrected });
  }

  async take(file) {
    const turn = ++this.#turn, reader = this.reader();
    this.#empty(`Reading ${file.name || "the picture"} …`);
    let said = await problemOf(file, reader.limits, reader.alone);
    let read = null;
    if (!said) {
      try {
        read = await reader.read(file);
        await cutOut(file, digitsOf(read.reading));
      } catch (error) {
        said = `Not read: ${error.message}.`;
      }
    }
    if (turn !== this.#turn) return; // another picture came meanwhile
    byId("photo-said").textContent = said ?? this.#show(file, read, reader.second);
  }

  #show(file, { reading, mode, said: how }, second) {
    const corrected = (image) => this.corrected(image, reading.version);
    byId("result").hidden = false;
    showStage(byId("stage"), file, reading, (digit, byHand) => {
      showDetail(digit);
      if (byHand) byId("detail").scrollIntoView({ block: "nearest" });
      this.chosen(digit, mode, reading.version);
    }, corrected);
    byId("photo-name").textContent = file.name;
    byId("photo-by").textContent = mode === "browser" ? how : how + readBy(reading.version, digitsOf(reading), second);
    const said = showFields(byId("fields"), byId("unread"), reading, corrected);
    const [only, ...others] = byId("stage").querySelectorAll(".box");
    if (only && others.length === 0) only.click();
    return said;
  }

  #empty(said) {
    byId("photo-said").textContent = said;
    byId("result").hidden = byId("detail").hidden = byId("line").hidden = true;
    byId("stage").replaceChildren();
  }
}

function readBy(version, digits, second) {
  if (digits.length === 0) return "";
  const by = `Read by version ${version} on the server`;
  if (second?.version !== version) return `${by}.`;
  const seen = digits.filter(({ image }) => image !== null);
  const same = seen.filter(({ digit, image }) => second.predict(image).digit === digit).length;
  return `${by}; of its digits one by one, this browser agrees on ${same} of ${seen.length}.`;
}
