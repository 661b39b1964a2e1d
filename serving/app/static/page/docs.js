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
    make("p", { textContent: operation.summary ?? "" }),
    make("p", { className: "small", textContent: operation.description ?? "" }),
    ...(parameters.length ? [make("h3", { textContent: "Parameters" }), table(parameters.map((each) =>
      [each.name, `${each.in}${each.required ? ", required" : ""}`, each.description ?? words(each.schema)]))] : []),
    ...(body ? [make("h3", { textContent: "Body" }), table(Object.entries(body.content).map(([type, { schema }]) =>
      [type, body.description ?? words(schema)]))] : []),
    make("h3", { textContent: "Answers" }),
    table(Object.entries(operation.responses ?? {}).map(([status, reply]) => [status, meant(reply).description ?? ""])),
    make("pre", {}, make("code", { textContent: curl(method, path, body, operation) })));
}

function table(rows) {
  return make("table", {}, make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {},
    make("td", {}, make("code", { textContent: first })), ...rest.map((text) => make("td", { textContent: text }))))));
}

/** A schema in a few words. */
function words(schema) {
  const { type, title, description: told, properties, items, format, minimum, maximum } = meant(schema) ?? {};
  if (told) return told;
  if (properties) return `{${Object.keys(properties).join(", ")}}`;
  if (items) return `list of ${words(items) || "values"}`;
  const range = minimum === undefined ? "" : ` from ${minimum} to ${maximum ?? "…"}`;
  return `${format ?? type ?? title ?? ""}${range}`;
}

function curl(method, path, body, operation) {
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
  const secured = operation.security?.length;
  if (secured) lines.push('-H "Authorization: Bearer $KEY"');
  const [type, content] = Object.entries(body?.content ?? {})[0] ?? [];
  if (type) {
    const example = content.example ?? meant(content.schema)?.example;
    lines.push(`-H "Content-Type: ${type}"`);
    lines.push(type.includes("json") ? `-d '${JSON.stringify(example ?? {})}'` : "--data-binary @file");
  }
  return lines.join(" \\\n  ");
}
