"use strict";

// The page of the GraphQL explorer: sends a query, shows its answer, and lists what the schema has.

const byId = (id) => document.getElementById(id);
const EXAMPLE = `{
  allReleases(first: 5) {
    edges {
      node {
        kfId
        name
        version
        state
        studies { edges { node { kfId name } } }
      }
    }
  }
}
`;
const SCHEMA = `{
  __schema {
    types {
      name kind description
      fields { name description type { ...T } args { name description type { ...T } } }
      inputFields { name description type { ...T } }
      enumValues { name }
    }
  }
}
fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }`;

async function ask(query, variables) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const token = byId("token").value.trim();
  const proof = document.querySelector("meta[name=proof]").content;
  if (token) headers.authorization = `Bearer ${token}`;
  if (proof) headers["x-csrftoken"] = proof;
  const answer = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return answer.json();
}

async function run(event) {
  if (event) event.preventDefault();
  let variables = {};
  const typed = byId("variables").value.trim();
  try {
    if (typed) variables = JSON.parse(typed);
  } catch (error) {
    byId("answer").textContent = `The variables are not JSON: ${error.message}`;
    return;
  }
  const began = performance.now();
  byId("took").textContent = "Asking …";
  try {
    byId("answer").textContent = JSON.stringify(await ask(byId("query").value, variables), null, 2);
    byId("took").textContent = `${Math.round(performance.now() - began)} ms`;
  } catch (error) {
    byId("answer").textContent = `No answer: ${error.message}`;
    byId("took").textContent = "";
  }
}

function typeName(type) {
  if (type.kind === "NON_NULL") return `${typeName(type.ofType)}!`;
  if (type.kind === "LIST") return `[${typeName(type.ofType)}]`;
  return type.name;
}

function signature(field) {
  const args = (field.args || []).map((arg) => `${arg.name}: ${typeName(arg.type)}`).join(", ");
  return `${field.name}${args ? `(${args})` : ""}: ${typeName(field.type)}`;
}

function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function shown(type) {
  const list = make("dl");
  for (const field of type.fields || type.inputFields || []) {
    list.append(make("dt", signature(field)));
    if (field.description) list.append(make("dd", field.description));
  }
  for (const value of type.enumValues || []) list.append(make("dt", value.name));
  const about = type.description ? [make("p", type.description)] : [];
  return make("details", "", make("summary", type.name), ...about, list);
}

function rank(type) {
  return ["Query", "Mutation"].indexOf(type.name) + 1 || 3;
}

async function describe() {
  const answer = await ask(SCHEMA, {});
  const kinds = ["OBJECT", "INPUT_OBJECT", "ENUM"];
  const types = answer.data.__schema.types.filter((type) => kinds.includes(type.kind) && !type.name.startsWith("__"));
  types.sort((left, right) => rank(left) - rank(right) || left.name.localeCompare(right.name));
  const details = types.map(shown);
  byId("schema").replaceChildren(...details);
  if (details.length) details[0].open = true;
  byId("search").addEventListener("input", (event) => {
    const word = event.target.value.trim().toLowerCase();
    for (const each of details) each.hidden = !each.textContent.toLowerCase().includes(word);
  });
}

const asked = new URLSearchParams(location.search);
byId("query").value = asked.get("query") || EXAMPLE;
byId("variables").value = asked.get("variables") || "";
byId("question").addEventListener("submit", run);
byId("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(event);
});
describe().catch((error) => { byId("schema").textContent = `The schema could not be read: ${error.message}`; });
