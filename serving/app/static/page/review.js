// What waits for a reviewer, one picture at a time: 0–9 name a digit, N says that there is none, S leaves it, A agrees.

import { Server } from "./api.js";
import { byId, make, percent } from "./dom.js";
import { Keys } from "./keys.js";

const FROM = { drawing: "drawn", photo: "from a photo", monitor: "chosen by the monitor" };
const server = new Server(new Keys());
let shown = null; // what is asked about
let busy = false;

const pad = byId("digits");
for (let digit = 0; digit <= 9; digit++) {
  const button = make("button", { type: "button", textContent: String(digit) });
  button.addEventListener("click", () => decide("accepted", String(digit)));
  pad.append(button);
}
byId("agree").addEventListener("click", () => decide("accepted", null));
byId("none").addEventListener("click", () => decide("rejected", null));
byId("skip").addEventListener("click", () => next(shown?.id, "Skipped: it goes on waiting."));
byId("line").addEventListener("submit", (event) => {
  event.preventDefault();
  decide("accepted", byId("text").value.trim());
});
document.addEventListener("keydown", (event) => {
  const typing = event.target === byId("text") || byId("key").open;
  if (!shown || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (shown.kind === "digit" && /^[0-9]$/.test(key)) decide("accepted", key);
  else if (key === "a" && !byId("agree").hidden) decide("accepted", null);
  else if (key === "n") decide("rejected", null);
  else if (key === "s") next(shown.id, "Skipped: it goes on waiting.");
  else return;
  event.preventDefault();
});
next(null, "");

/** Ask for the one after `after`; when there is none, for the first again. */
async function next(after, said) {
  if (busy) return;
  busy = true;
  try {
    let found = await server.waiting(after);
    if (found.next === null && after) found = await server.waiting(null);
    show(found, said);
  } catch (error) {
    show(null, `Nothing can be reviewed now: ${error.message}`);
  } finally {
    busy = false;
  }
}

function show(found, said) {
  shown = found?.next ?? null;
  byId("left").textContent = found ? `${found.waiting} waiting` : "";
  byId("said").textContent = [said, found && !shown ? "Nothing waits for a review." : ""].filter(Boolean).join(" ");
  byId("item").hidden = !shown;
  if (!shown) return;
  const { kind, label, said: model, confidence, version, source } = shown, line = kind === "line";
  byId("ask").textContent = line ? "What does this line say?" : "Which digit is this?";
  const picture = byId("picture");
  picture.src = `data:image/png;base64,${shown.image}`;
  picture.classList.toggle("line", line);
  const name = (text) => text || "no digits";
  const parts = [
    label === null ? "" : `The person: ${name(label)}.`,
    model === null ? "" : `The model: ${name(model)}${confidence === null ? "" : ` (${percent(confidence)})`}.`,
    `${version === null ? "" : `Version ${version}, `}${FROM[source]}.`,
  ];
  byId("about").textContent = parts.filter(Boolean).join(" ");
  pad.hidden = line;
  byId("line").hidden = !line;
  byId("text").value = label ?? "";
  if (!line) byId("text").blur(); // hidden alone, it would still take the next key until the page is drawn anew
  byId("agree").hidden = line || label === null;
  byId("none").textContent = line ? "Not to be learnt (N)" : "No digit (N)";
}

async function decide(state, label) {
  if (busy || !shown) return;
  busy = true;
  const { id, label: theirs } = shown;
  let said;
  try {
    await server.decide({ id, state, label });
    said = state === "accepted" ? `Accepted as ${(label ?? theirs) || "no digits"}.` : "Rejected.";
  } catch (error) {
    if (error.code !== "decided") {
      byId("said").textContent = `Not taken: ${error.message}`;
      busy = false;
      return;
    }
    said = `Not taken: ${error.message}`;
  }
  busy = false;
  await next(id, said);
}
