// Where a version comes from: data, commit, how well it does, which rules it passed. Record → elements.

import { make, percent } from "./dom.js";

const title = (text) => make("h3", { textContent: text });
const code = (text) => make("code", { textContent: text });
const known = (value) => (value === undefined || value === null ? "not recorded" : String(value));
const count = (number) => (number === undefined ? known(number) : Number(number).toLocaleString("en"));

/** facts: of /api/about, or null; record: the version's provenance.json, or null and why; card: its text, or null. */
export function provenance(version, facts, record, problem, card) {
  if (record === null) {
    const why = make("p", { className: "said no", textContent: `The whole record is not at hand: ${problem}.` });
    return facts ? [why, list(short(facts))] : [why];
  }
  const { metrics = {}, data = {}, verdict, recipe, libraries, published } = record;
  return [
    list(summary(record, metrics, published)),
    ...(data.splits ? [title("Data"), splits(data)] : []),
    ...(verdict ? [title(verdict.passed ? "Verdict: passed" : "Verdict: not passed"), rules(verdict)] : []),
    ...(metrics.ece === undefined ? [] : [title("Sure, and right"), list(calibration(metrics))]),
    ...(metrics.corruptions ? [title("Right on spoiled pictures"), shares(metrics.corruptions)] : []),
    ...(recipe ? [folded("Recipe", recipe)] : []),
    ...(libraries ? [folded("Libraries", libraries)] : []),
    make("p", { className: "small" }, ...files(version, record, card)),
  ];
}

/** dirty: null where the project was not in a repository when it published. */
function tree(dirty) {
  if (dirty === undefined || dirty === null) return known();
  return dirty ? "with changes that were not committed" : "clean";
}

function summary(record, metrics, published) {
  const [low, high] = metrics.accuracy_interval ?? [];
  const right = metrics.accuracy === undefined ? known() : percent(metrics.accuracy, 2);
  const between = low === undefined ? "" : ` (${percent(low, 2)} to ${percent(high, 2)} with 95% confidence)`;
  const set = known(record.dataset ?? metrics.dataset) + (record.sample ? ", a sample" : "");
  return [
    ["Accuracy", `${right} of ${count(metrics.n_test)} test images${between}`],
    ["Data set", set],
    ["Commit", published?.commit ? code(published.commit) : known()],
    ["Working tree", tree(published?.dirty)],
    ["Published", known(published?.at)],
    ["Profile", `${known(record.recipe?.profile)}, ${count(metrics.training?.parameters)} parameters`],
    ["Sure from", record.threshold === undefined ? known() : percent(record.threshold, 2)],
  ];
}

function short(facts) {
  return [
    ["Accuracy", `${percent(facts.accuracy, 2)} of ${count(facts.n_test)} test images`],
    ["Data set", facts.dataset + (facts.sample ? ", a sample" : "")],
    ["Commit", facts.commit ? code(facts.commit) : known()],
    ["Published", known(facts.published)],
  ];
}

function calibration(metrics) {
  const answered = metrics.abstention;
  const rows = [["Confidence off by", `${percent(metrics.ece, 2)} on average`]];
  if (answered) {
    rows.push(["Sure of", `${percent(answered.coverage, 2)} of the test images`]);
    rows.push(["Right then", `${percent(answered.precision, 2)}`]);
  }
  return rows;
}

function list(rows) {
  const cells = rows.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", {}, value)]);
  return make("dl", { className: "facts" }, ...cells);
}

function table(heads, rows) {
  const cell = (tag, value, i) => make(tag, { className: i === 1 ? "number" : "" }, value);
  const head = make("tr", {}, ...heads.map((name, i) => cell("th", name, i)));
  return make("table", {}, make("thead", {}, head),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, i) => cell("td", value, i))))));
}

function splits(data) {
  const used = Object.entries(data.splits).filter(([, split]) => split.n > 0);
  return table(["split", "images", "digest of the images"], used.map(([name, split]) => {
    const digest = code(`${known(split.images_sha256).slice(0, 16)}…`);
    digest.title = known(split.images_sha256);
    return [name, count(split.n), digest];
  }));
}

function rules(verdict) {
  return make("ul", { className: "rules" }, ...(verdict.rules ?? []).map(({ rule, passed, reason }) => make("li", {},
    make("span", { className: passed ? "yes" : "bad", textContent: passed ? "✓" : "✗", role: "img",
      "aria-label": passed ? "passed" : "failed" }),
    make("span", {}, `${rule.replaceAll("_", " ")}: ${reason}`))));
}

function shares(corruptions) {
  const worst = Object.entries(corruptions).sort((a, b) => a[1] - b[1]);
  return table(["picture", "right"], worst.map(([name, share]) => [name.replaceAll("_", " "), percent(share, 2)]));
}

function folded(name, tree) {
  const rows = Object.entries(tree).map(([key, value]) =>
    [key.replaceAll("_", " "), typeof value === "object" && value !== null ? code(JSON.stringify(value)) : known(value)]);
  return make("details", {}, make("summary", { textContent: name }), list(rows));
}

/** Links to the card and the record. They hold what was fetched: a link to the server could not bring an API key along. */
function files(version, record, card) {
  const link = (type, text, properties) =>
    make("a", { href: URL.createObjectURL(new Blob([text], { type })), ...properties });
  const json = link("application/json", JSON.stringify(record, null, 2),
    { textContent: "The whole record (JSON)", download: `digits-version-${version}.json` });
  if (card === null) return [json];
  return [link("text/plain;charset=utf-8", card, { textContent: "Model card", target: "_blank" }), " · ", json];
}
