// /openapi.json, readable: each call with its parameters, body, answers, errors and a curl.

import { byId, make } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

const { description, paths, components = {}, info } = await loaded();
byId("title").textContent = info.title;
byId("about").textContent = info.description ?? description ?? "";
byId("calls").replaceChildren(...Object.entries(paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => call(method, path, item[method], item.parameters ?? []))));

async function loaded() {
  try {
    const reply = await fetch("/openapi.json");
    if (!reply.ok) throw new Error(`the server answered ${reply.status}`);
    return await reply.json();
  } catch (error) {
    const problem = `The description could not be read (${error.message}). Is the server running?`;
    return { info: { title: "API", description: problem }, paths: {} };
  }
}

/** The thing that a "$ref" means. */
function meant(thing) {
  const steps = thing?.$ref?.split("/").slice(2);
  return steps ? steps.reduce((part, step) => part?.[step], components) : thing;
}

function call(method, path, operation, shared) {
  const parameters = [...shared, ...(operation.parameters ?? [])].map(meant);
  const body = meant(operation.requestBody);
  return make("section", {},
    make("h2", {}, make("span", { className: "method", textContent: method.toUpperCase() }), path),
    ...told(operation.description ?? operation.summary ?? ""),
    ...(parameters.length ? [make("h3", { textContent: "Parameters" }), table(parameters.map((each) =>
      [each.name, `${each.in}${each.required ? ", required" : ""}`, each.description ?? words(each.schema)]))] : []),
    ...(body ? [make("h3", { textContent: "Body" }), table(Object.entries(body.content).map(([type, { schema }]) =>
      [type, body.description ?? words(schema)]))] : []),
    make("h3", { textContent: "Answers" }),
    table(Object.entries(operation.responses ?? {}).map(([status, reply]) => [status, meant(reply).description ?? ""])),
    make("pre", {}, make("code", { textContent: curl(method, path, body) })));
}

/** Paragraphs, with what stands between backticks as code. */
function told(text) {
  return text.split(/\n\s*\n/).map((part) => make("p", {}, ...part.split("`").map((piece, i) =>
    (i % 2 ? make("code", { textContent: piece }) : piece))));
}

function table(rows) {
  return make("table", {}, make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {},
    make("td", {}, make("code", { textContent: first })), ...rest.map((text) => make("td", { textContent: text }))))));
}

/** A schema in a few words. */
function words(schema) {
  const { type, title, description: own, properties, items, format, minimum, maximum, anyOf } = meant(schema) ?? {};
  if (own) return own;
  if (anyOf) return anyOf.map(words).join(" Or: ");
  if (properties) return `{${Object.keys(properties).join(", ")}}`;
  if (items) return `list of ${words(items) || "values"}`;
  const range = minimum === undefined ? "" : ` from ${minimum} to ${maximum ?? "…"}`;
  return `${format ?? type ?? title ?? ""}${range}`;
}

/** A value of the schema, small. */
function sample(schema) {
  const { example, properties, items, type, enum: choices, anyOf, minimum } = meant(schema) ?? {};
  if (example !== undefined) return example;
  if (properties) return Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, sample(part)]));
  if (items) return [sample(items)];
  if (anyOf) return sample(anyOf[0]);
  return choices?.[0] ?? (type === "string" ? "…" : minimum ?? 0);
}

function curl(method, path, body) {
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
  const [type, content] = Object.entries(body?.content ?? {})[0] ?? [];
  if (type) {
    lines.push(`-H "Content-Type: ${type.replace("image/*", "image/png")}"`);
    const value = content.example ?? sample(content.schema);
    lines.push(type.includes("json") ? `-d '${JSON.stringify(value)}'` : "--data-binary @file");
  }
  return lines.join(" \\\n  ");
}
