"use strict";

// Everything shown is put in as text, never as HTML: the document is ours, and the answers are not.
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key in element && key !== "for") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};
// Words between backticks are code.
const prose = (text = "") =>
  make("span", {}, ...text.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part)));
const byId = (id) => document.getElementById(id);
const pretty = (value) => JSON.stringify(value, null, 2);

const VERBS = ["get", "post", "put", "delete"];

let api;

const resolve = (thing) => {
  let found = thing;
  while (found && found.$ref) {
    found = found.$ref.slice(2).split("/").reduce((at, part) => at[part], api);
  }
  return found ?? {};
};

// How a schema is called in a table.
const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return make("a", { href: `#schema-${name}` }, name);
  }
  for (const [word, joint] of [["oneOf", " | "], ["anyOf", " | "], ["allOf", " & "]]) {
    if (schema[word]) return span(schema[word].map(typeOf), joint);
  }
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  const types = [schema.type ?? "any"].flat();
  if (types.includes("array")) return span(["array of ", typeOf(schema.items)], "");
  const rules = [
    ["format", ""], ["minLength", "≥ ", " characters"], ["maxLength", "≤ ", " characters"], ["minimum", "≥ "],
    ["maximum", "≤ "], ["pattern", ""], ["default", "default "],
  ].filter(([key]) => key in schema).map(([key, before, after = ""]) => {
    const value = typeof schema[key] === "string" ? schema[key] : JSON.stringify(schema[key]);
    return `${before}${value}${after}`;
  });
  return [types.join(" | "), ...rules].join(", ");
};
const span = (parts, joint) => {
  const all = make("span");
  parts.forEach((part, at) => all.append(...(at && joint ? [joint, part] : [part])));
  return all;
};

// A value as the schema wants it, to begin with.
const exampleOf = (reference, depth = 0) => {
  const schema = resolve(reference);
  if (schema.examples?.length) return schema.examples[0];
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => exampleOf(part, depth + 1)));
  if (schema.enum) return schema.enum[0];
  const type = [schema.type].flat()[0];
  if (type === "object" && depth < 6) {
    return Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, exampleOf(inner, depth + 1)]),
    );
  }
  if (type === "array") return depth < 6 && schema.items ? [exampleOf(schema.items, depth + 1)] : [];
  return { string: "", integer: 0, number: 0, boolean: false }[type] ?? null;
};

const row = (cells, head = false) => make("tr", {}, ...cells.map((cell) => make(head ? "th" : "td", {}, cell)));
const table = (head, rows) => make("table", {}, make("thead", {}, row(head, true)), make("tbody", {}, ...rows));

const needed = (name, is) => {
  const cell = make("span", {}, make("code", {}, name));
  if (is) cell.append(make("span", { class: "needed", title: "required" }, " *"));
  return cell;
};

const showSchema = (name, schema) => {
  const inside = make("div", { class: "inside" });
  if (schema.description) inside.append(make("p", {}, prose(schema.description)));
  if (schema.properties) {
    const wanted = new Set(schema.required ?? []);
    inside.append(table(["Member", "Type", ""], Object.entries(schema.properties).map(([member, inner]) =>
      row([needed(member, wanted.has(member)), typeOf(inner), prose(inner.description)]))));
  } else {
    inside.append(make("p", {}, typeOf(schema)));
  }
  if (schema.examples?.length) {
    inside.append(make("h4", {}, "Example"), make("pre", {}, pretty(schema.examples[0])));
  }
  const summary = make("summary", {}, make("code", {}, name));
  return make("details", { class: "schema", id: `schema-${name}` }, summary, inside);
};

const bodySchema = (thing) => thing?.content?.["application/json"]?.schema;

const inputFor = ({ name, required, schema }) => {
  if (schema?.enum) {
    const words = required ? schema.enum : ["", ...schema.enum];
    return make("select", { "aria-label": name }, ...words.map((word) => make("option", { value: word }, word)));
  }
  const hint = schema?.default;
  return make("input", { "aria-label": name, autocomplete: "off", placeholder: hint === undefined ? "" : String(hint) });
};

const headersOf = (response) => Object.keys(response.headers ?? {});
const linked = (names) =>
  span(names.map((name) => make("a", { href: "#headers" }, make("code", {}, name))), ", ");

const showAnswers = (responses) => {
  // A reference may say more than what it refers to.
  const answers = Object.entries(responses).map(([status, reference]) => [status, { ...resolve(reference), ...reference }]);
  // Those that all have are said once.
  const common = headersOf(answers[0][1]).filter((name) =>
    answers.every(([, response]) => headersOf(response).includes(name)));
  const rows = answers.map(([status, response]) => row([
    make("code", {}, status), typeOf(bodySchema(response)), prose(response.description),
    linked(headersOf(response).filter((name) => !common.includes(name)))]));
  const all = make("div", {}, make("h4", {}, "Answers"), table(["Status", "Body", "", "Headers"], rows));
  if (common.length) all.append(make("p", { class: "soft" }, "Headers of each answer: ", linked(common)));
  return all;
};

const showHeaders = (headers) => {
  const rows = Object.entries(headers).map(([name, { description, required }]) =>
    row([needed(name, required), prose(description)]));
  const inside = make("div", { class: "inside" }, table(["Header", ""], rows));
  const summary = make("summary", {}, "Headers of answers; those with * are always there where they are named");
  return make("details", { class: "schema", id: "headers" }, summary, inside);
};

const showOperation = (path, verb, operation) => {
  const inside = make("div", { class: "inside" });
  if (operation.description) inside.append(make("p", {}, prose(operation.description)));
  const inputs = (operation.parameters ?? []).map(resolve).map((parameter) => {
    return { parameter, input: inputFor(parameter) };
  });
  if (inputs.length) {
    inside.append(make("h4", {}, "Parameters"), table(["Name", "In", "Type", "", "Value"], inputs.map(
      ({ parameter, input }) => row([
        needed(parameter.name, parameter.required), parameter.in, typeOf(parameter.schema),
        prose(parameter.description), input,
      ]))));
  }
  const wants = bodySchema(resolve(operation.requestBody));
  const body = make("textarea", { "aria-label": "body", spellcheck: false });
  if (wants) {
    body.value = pretty(exampleOf(wants));
    inside.append(make("h4", {}, "Body"), make("p", {}, typeOf(wants)), body);
  }
  inside.append(showAnswers(operation.responses));
  inside.append(tryIt(path, verb, inputs, wants ? body : null));

  const summary = make("summary", {},
    make("span", { class: `verb ${verb}` }, verb.toUpperCase()), make("span", { class: "path" }, path),
    make("span", { class: "says" }, operation.summary ?? ""));
  if (operation.security?.length) {
    const optional = operation.security.some((way) => !Object.keys(way).length);
    summary.append(make("span", { class: "lock" }, optional ? "token optional" : "token"));
  }
  const details = make("details", { class: "operation", id: operation.operationId }, summary, inside);
  details.dataset.text = `${verb} ${path} ${operation.summary ?? ""}`.toLowerCase();
  return details;
};

const tryIt = (path, verb, inputs, body) => {
  const answer = make("div", { "aria-live": "polite" });
  const button = make("button", { type: "button" }, "Send");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      answer.replaceChildren(...(await send(path, verb, inputs, body)));
    } catch (error) {
      answer.replaceChildren(make("pre", {}, String(error)));
    } finally {
      button.disabled = false;
    }
  });
  return make("div", {}, make("h4", {}, "Try it"), button, answer);
};

const send = async (path, verb, inputs, body) => {
  let target = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (parameter.in === "query") query.set(parameter.name, input.value);
    else headers[parameter.name] = input.value;
  }
  const token = byId("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  if (query.size) target += `?${query}`;
  const response = await fetch(target, {
    method: verb.toUpperCase(), headers, body: body?.value, credentials: "omit", cache: "no-store",
  });
  const text = await response.text();
  let shown = text;
  try {
    shown = pretty(JSON.parse(text));
  } catch {
    // It is no JSON, and is shown as it is.
  }
  const said = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return [
    make("p", {}, make("strong", {}, `${response.status} ${response.statusText}`), " ", make("code", {}, target)),
    make("pre", {}, said), make("pre", {}, shown || "(no body)"),
  ];
};

// Opens what the address names.
const openNamed = () => {
  const named = byId(decodeURIComponent(location.hash.slice(1)));
  if (named?.tagName !== "DETAILS") return;
  named.open = true;
  named.scrollIntoView();
};

const find = () => {
  const words = byId("find").value.toLowerCase().split(/\s+/);
  for (const operation of document.querySelectorAll("details.operation")) {
    operation.hidden = !words.every((word) => operation.dataset.text.includes(word));
  }
  for (const section of document.querySelectorAll("section.tag")) {
    section.hidden = !section.querySelector("details.operation:not([hidden])");
  }
};

const show = () => {
  byId("title").textContent = `${api.info.title} ${api.info.version}`;
  byId("description").replaceChildren(prose(api.info.description));
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    VERBS.filter((verb) => verb in item).map((verb) => ({ path, verb, operation: item[verb] })));
  const sections = (api.tags ?? []).map(({ name, description }) => make("section", { class: "tag" },
    make("h2", {}, name), make("p", {}, description ?? ""),
    ...operations.filter(({ operation }) => operation.tags?.includes(name))
      .map(({ path, verb, operation }) => showOperation(path, verb, operation))));
  const schemas = make("section", {}, make("h2", {}, "Schemas"),
    ...Object.entries(api.components?.schemas ?? {}).map(([name, schema]) => showSchema(name, schema)));
  const headers = make("section", {}, make("h2", {}, "Headers"), showHeaders(api.components?.headers ?? {}));
  byId("main").replaceChildren(...sections, schemas, headers);
  byId("find").addEventListener("input", find);
  addEventListener("hashchange", openNamed);
  openNamed();
};

fetch("/openapi.json")
  .then((response) => {
    if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
    return response.json();
  })
  .then((document) => {
    api = document;
    show();
  })
  .catch((error) => byId("main").replaceChildren(make("p", { class: "needed" }, String(error))));
