// The page, wired: who answers, what is drawn, which picture is read.

import { agreement } from "./agreement.js";
import { AnswerView } from "./answer.js";
import { Server } from "./api.js";
import { Badge } from "./badge.js";
import { toBase64 } from "./bytes.js";
import { Camera } from "./camera.js";
import { byId } from "./dom.js";
import { Drawing } from "./drawing.js";
import { Outbox, Pad } from "./feedback.js";
import { listen } from "./intake.js";
import { Keys } from "./keys.js";
import { Latest } from "./latest.js";
import { LineView } from "./line.js";
import { LocalModel } from "./local.js";
import { remember, remembered } from "./memory.js";
import { banner, headline, readsAlone, settled } from "./modes.js";
import { keep, register } from "./offline.js";
import { Photo } from "./photo.js";
import { listenToTabs, openTab } from "./tabs.js";
import { Watch } from "./watch.js";

const GAP = 50; // ms between two questions while someone draws
const PATIENCE = 1500; // ms for the first word of the server, then the page starts without
const LIMITS = { bytes: 16 << 20, pixels: 16_000_000 }; // until the server tells its own

const ONE_LINE = "In this browser a picture is read as one line; where that is doubtful the server reads it, if it answers.";

const server = new Server(new Keys());
const badge = new Badge(server), view = new AnswerView(), outbox = new Outbox(server);
const local = new LocalModel(() =>
  heard({ local: local.state, localWhy: local.message, version: local.version }), keep, server.keys);
let about = remembered(), folder = about?.edge ?? null; // of the newest model for this browser that was heard of
let state = {
  chosen: "server", switched: false, server: "unknown", why: "", local: "none", localWhy: "", version: null,
};

// ---- who answers

function heard(news) {
  const before = state;
  state = settled({ ...state, ...news });
  badge.show(about, state.server === "down");
  for (const input of document.querySelectorAll("[name=mode]")) {
    input.checked = input.value === state.chosen;
    if (input.value === "browser") input.disabled = state.local !== "ready";
  }
  byId("photo-alone").textContent = readsAlone(state);
  byId("photo-alone").hidden = state.chosen !== "browser";
  const said = banner(state), act = byId("banner-act");
  byId("banner").hidden = said === null;
  byId("banner").classList.toggle("calm", said?.calm ?? false);
  if (said && byId("banner-text").textContent !== said.text) byId("banner-text").textContent = said.text;
  act.hidden = said === null;
  act.textContent = said?.act === "back" ? "Use the server again" : "Try again";
  byId("photo-note").textContent = state.chosen === "browser" ? ONE_LINE : "";
  const back = before.server === "down" && state.server === "up";
  const exchanged = state.chosen === "browser" && before.version !== state.version;
  if (before.chosen !== state.chosen || back || exchanged) changed();
}

function lost(why) {
  byId("banner").title = why;
  heard({ server: "down", why: headline(why) });
  startAlone();
}

/** A question came to nothing: say so, and look soon whether that has passed. */
function away(error) {
  lost(error.message);
  watch.soon();
}

/** With the model that was in use last, which the service worker keeps. */
function startAlone() {
  if (folder && local.state === "none") local.want(folder);
}

const watch = new Watch(server, (told) => {
  const newer = about?.model.version && told.model.version && told.model.version !== about.model.version;
  about = told;
  folder = told.edge ?? folder;
  if (told.edge) local.want(told.edge);
  if (told.model.ready) {
    remember({ ...told, edge: folder });
    heard({ server: "up", why: "" });
  } else lost(told.model.message || "no version is in service");
  for (const part of document.querySelectorAll(".feedback")) part.hidden = !told.feedback;
  if (newer && told.model.ready) {
    byId("news").textContent = `Version ${told.model.version} is in service now.`;
    changed();
  }
}, (error) => lost(error.message));

// ---- drawings

const draw = new Pad(byId("draw-feedback"), outbox);
const questions = new Latest(answered, GAP);
const drawing = new Drawing(changed);
let turn = 0;

function changed() {
  turn++;
  if (drawing.empty) {
    questions.drop();
    nothing();
  } else questions.push(turn);
}

function nothing() {
  draw.about(null);
  view.clear();
}

/** Asks about the drawing as it is when its turn comes. */
async function answered(asked) {
  const pixels = drawing.pixels();
  if (pixels === null) return nothing();
  if (state.chosen === "browser") return show(local.predict(pixels), pixels, "browser");
  try {
    const answer = await server.predict(pixels);
    if (state.server === "down") heard({ server: "up", why: "" });
    if (drawing.empty || state.chosen !== "server") return;
    show(answer, pixels, "server");
    if (state.local === "ready") view.agree(agreement(answer, local.predict(pixels)));
    if (answer.version !== about?.model.version) watch.now();
  } catch (error) {
    await refused(error, asked);
  }
}

async function refused(error, asked) {
  draw.about(null);
  if (!drawing.empty) view.clear(`No answer: ${error.away ? headline(error.message) : error.message}`);
  if (error.away) away(error);
  else if (error.status === 429) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * (error.after ?? 1)));
    if (asked === turn) changed(); // nothing new was drawn, so nobody else asks again
  }
}

function show(answer, pixels, mode) {
  view.show(answer, `version ${answer.version}, ${mode === "server" ? "on the server" : "in this browser"}`);
  view.agree(null);
  draw.about(correction({ ...answer, image: pixels }, mode, answer.version, "drawing"));
}

/** label → the body of /api/feedback: the very pixels that the model was asked. */
function correction({ image, digit, confidence }, mode, version, source) {
  return (label) => ({ image: toBase64(image), label, digit, confidence, version, source, mode });
}

// ---- photos

const wrong = new Pad(byId("photo-feedback"), outbox);
const reader = () => ({
  alone: state.chosen === "browser" && state.server !== "up",
  limits: about?.limits ?? LIMITS,
  read: state.chosen === "browser" ? readHere : readThere,
  second: state.local === "ready" ? local : null,
});
const line = new LineView(outbox);
const photo = new Photo(reader, (digit, mode, version) =>
  wrong.about(digit.image === null ? null : correction(digit, mode, version, "photo")),
(image, version) => line.show(image, version));

async function readThere(file) {
  try {
    return { reading: await server.read(file), mode: "server", said: "" };
  } catch (error) {
    if (error.away) away(error);
    throw error;
  }
}

/** As one line; what this browser is not sure of is read by the server, which finds lines, while it answers. */
async function readHere(file) {
  let reading = null, problem = null;
  try {
    reading = await local.read(file);
  } catch (error) {
    problem = error;
  }
  const sure = reading?.lines[0]?.fields[0].accepted ?? false;
  if (!sure && state.server === "up") {
    const why = problem ? "This browser can't read it" : "This browser is not sure that it is one line";
    return { ...(await readThere(file)), said: `${why}, so the server was asked. ` };
  }
  if (problem) throw problem;
  const said = `Read as one line by version ${reading.version} in this browser`;
  return { reading, mode: "browser", said: sure ? `${said}.` : `${said}; finding several lines needs the server.` };
}

function take(file) {
  openTab("photo");
  photo.take(file);
}

// ---- everything else

listenToTabs();
listen(take);
new Camera(take);
byId("modes").addEventListener("change", (event) => heard({ chosen: event.target.value, switched: false }));
byId("banner-act").addEventListener("click", () => {
  if (state.server === "up") heard({ chosen: "server", switched: false });
  else watch.now(true);
});
register();
watch.now(true);
setTimeout(() => state.server === "unknown" && startAlone(), PATIENCE);
