/* Makes pages live. Everything works without it; with it, an open page follows what happens, dialogs open in place,
   Markdown is previewed as it is written, and long tables are searched as one types. */

const stream = document.body.dataset.stream;
const connection = document.getElementById("connection");
const SILENCE_MS = 40_000;
const PATIENCE_MS = 20_000;
const PAUSES_MS = [500, 1000, 2000, 5000, 10_000];

/* --- Parts ------------------------------------------------------------------------------------------------------- */

/* What a reader has done to a page (opened, ticked, typed, focused) stays; what the server says of it changes. */
const THEIRS = new Set(["open", "checked", "selected", "value", "hidden"]);

function morph(from, to) {
  const known = new Map();
  for (const child of from.children) if (child.id) known.set(child.id, child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const match = wanted.id ? known.get(wanted.id) : alike(at, wanted) ? at : null;
    if (!match) {
      from.insertBefore(wanted, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else from.insertBefore(match, at);
    become(match, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    if (!written(at)) at.remove();
    at = next;
  }
}

/* Somebody is writing in it, or has ticked it: it stays, even where the server would have it gone. */
function written(node) {
  const theirs = "[data-written], tbody input:checked";
  return node.nodeType === Node.ELEMENT_NODE && (node.matches(theirs) || node.querySelector(theirs));
}

function alike(node, wanted) {
  return node && node.nodeType === wanted.nodeType && node.nodeName === wanted.nodeName && !node.id && !wanted.id;
}

function become(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== wanted.nodeValue) node.nodeValue = wanted.nodeValue;
    return;
  }
  if (node.isEqualNode(wanted) || node.hasAttribute("data-written")) return;
  const field = node.matches("input, textarea, select, details, dialog, tbody tr");
  for (const { name, value } of [...wanted.attributes])
    if (!(field && THEIRS.has(name)) && node.getAttribute(name) !== value) node.setAttribute(name, value);
  for (const { name } of [...node.attributes])
    if (!(field && THEIRS.has(name)) && !wanted.hasAttribute(name)) node.removeAttribute(name);
  if (node.nodeName !== "TEXTAREA") morph(node, wanted);
}

const shown = new Map();

/* A part comes whole, or as those of its lines that are others now. */
function swap({ name, html, lines }) {
  const text = html === undefined ? shown.get(name) : html.split("\n");
  for (const [at, line] of lines ?? []) text[at] = line;
  shown.set(name, text);
  const part = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
  if (!part) return;
  const fresh = document.createElement("div");
  fresh.innerHTML = text.join("\n");
  tick(fresh);
  keepInPlace(document.activeElement, () => morph(part, fresh));
}

/* What is being written in does not move on the screen, whatever comes above it. */
function keepInPlace(field, change) {
  if (!field?.matches("input, textarea, select")) return change();
  const before = field.getBoundingClientRect().top;
  document.documentElement.style.overflowAnchor = "none";
  change();
  scrollBy(0, field.getBoundingClientRect().top - before);
  document.documentElement.style.overflowAnchor = "";
}

/* --- The connection ---------------------------------------------------------------------------------------------- */

let source = null;
let watchdog = 0;
let failures = 0;

function show(words) {
  if (!connection) return;
  connection.hidden = false;
  connection.classList.toggle("lost", words !== "Live");
  if (connection.textContent !== words) connection.textContent = words;
}

function alive() {
  failures = 0;
  show("Live");
  clearTimeout(watchdog);
  watchdog = setTimeout(lose, SILENCE_MS);
}

async function lose() {
  hangUp();
  show("Connection lost. Trying again…");
  if (failures && (await signedOut())) return show("Signed out. Load the page again to sign in.");
  watchdog = setTimeout(listen, PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)]);
}

/* The server answers, and would send a visitor to the sign-in. */
async function signedOut() {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const page = await fetch(stream, { headers: { Accept: "text/html" }, redirect: "manual", signal }).catch(() => null);
  return page?.type === "opaqueredirect";
}

function hangUp() {
  clearTimeout(watchdog);
  source?.close();
  source = null;
}

function listen() {
  hangUp();
  watchdog = setTimeout(lose, PATIENCE_MS);
  source = new EventSource(stream);
  source.addEventListener("part", (message) => {
    swap(JSON.parse(message.data));
    alive();
  });
  source.addEventListener("beat", (message) => {
    alive();
    if (JSON.parse(message.data) !== document.body.dataset.version && !document.querySelector("[data-written]"))
      location.reload();
  });
  source.addEventListener("again", listen);
  source.addEventListener("error", lose);
}

if (stream) {
  document.addEventListener("visibilitychange", () => (document.hidden ? hangUp() : listen()));
  addEventListener("pagehide", hangUp);
  addEventListener("pageshow", (event) => event.persisted && listen());
  addEventListener("online", listen);
  addEventListener("offline", lose);
  if (!document.hidden) listen();
}

/* --- Times ------------------------------------------------------------------------------------------------------- */

const UNITS = [[86_400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];

function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [unit, name, part, partName] of UNITS)
    if (whole >= unit) {
      const rest = Math.floor((whole % unit) / part);
      return `${Math.floor(whole / unit)} ${name}` + (rest ? ` ${rest} ${partName}` : "");
    }
  return `${whole} s`;
}

function ago(seconds) {
  if (seconds < 10) return "just now";
  for (const [unit, name] of UNITS) if (seconds >= unit) return `${Math.floor(seconds / unit)} ${name} ago`;
  return `${Math.floor(seconds)} s ago`;
}

function tick(within = document) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (seconds > 60 * 86_400) continue;
    const words = "elapsed" in time.dataset ? span(seconds) : ago(seconds);
    if (time.textContent !== words) time.textContent = words;
  }
}
setInterval(() => tick(), 5000);

/* --- What was said after a form stays for this visit only -------------------------------------------------------- */

const here = new URL(location.href);
if (here.searchParams.has("done")) {
  here.searchParams.delete("done");
  history.replaceState(null, "", here);
}

/* --- Dialogs: a page of its own, opened in place ----------------------------------------------------------------- */

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const decision = page.querySelector(".decision");
    if (!answer.ok || !decision) throw new Error("no decision there");
    open(document.adoptNode(decision), link);
  } catch {
    location.assign(link.href);
  }
});

function open(decision, opener) {
  const dialog = document.createElement("dialog");
  const heading = decision.querySelector("h1");
  heading.id ||= "decision-heading";
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.append(decision);
  decision.querySelector("[data-back]")?.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    (opener.isConnected ? opener : document.getElementById("main")).focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/* --- The theme: chosen at once, and kept by the server for the next page ------------------------------------------ */

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches(".themes") || !event.submitter) return;
  event.preventDefault();
  const chosen = event.submitter.value;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" }, redirect: "manual" }).catch(() => null);
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === event.submitter));
});

/* --- Forms ------------------------------------------------------------------------------------------------------- */

/* A form that is on its way is not sent twice. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

document.addEventListener("input", (event) => {
  if (event.target.type !== "search") event.target.closest("form[method=post]")?.setAttribute("data-written", "");
  const writing = event.target.closest("[data-writing]");
  if (writing) preview(writing, event.target);
  if (event.target.matches("[data-search]")) search(event.target);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) tickAll(event.target);
  if (event.target.closest("[data-tally]")) tally(event.target.closest("[data-tally]"));
});

/* Whoever searches has not decided yet. */
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[data-search]")) event.preventDefault();
});

const waiting = new WeakMap();
function preview(writing, area) {
  const shown = writing.querySelector("[data-preview]");
  clearTimeout(waiting.get(writing));
  waiting.set(writing, setTimeout(async () => {
    const form = new URLSearchParams({ text: area.value, token: area.form.elements.token.value });
    const answer = await fetch("/preview", { method: "POST", body: form, headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer?.ok) return;
    shown.innerHTML = await answer.text();
    shown.hidden = !area.value.trim();
  }, 250));
}

function rows(container) {
  return container.querySelectorAll("tbody tr");
}

function search(field) {
  const table = document.getElementById(field.dataset.search);
  filter(field, table);
  if (!("more" in table.dataset)) return;
  table.toggleAttribute("data-written", field.value !== "");
  clearTimeout(waiting.get(table));
  waiting.set(table, setTimeout(() => find(field, table), 250));
}

function filter(field, table) {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows(table)) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
}

/* Not every row is here: the server finds the others, and what was ticked stays. */
async function find(field, table) {
  const body = new URLSearchParams(new FormData(field.form));
  body.set("step", "search");
  const answer = await fetch(field.form.action, { method: "POST", body, headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById(table.id);
  if (!found || body.get("find") !== field.value) return;
  morph(table.tBodies[0], found.tBodies[0]);
  filter(field, table);
}

function tickAll(box) {
  for (const row of rows(box.closest("table")))
    if (!row.hidden) for (const each of row.querySelectorAll("input[type=checkbox]")) each.checked = box.checked;
}

function tally(container) {
  const shown = document.getElementById(container.dataset.tally);
  const number = container.querySelectorAll("tbody input:checked").length;
  if (shown) shown.textContent = String(number);
}
for (const container of document.querySelectorAll("[data-tally]")) tally(container);

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-print]");
  if (!button) return;
  if ("print" in button.dataset) return print();
  const text = document.getElementById(button.dataset.copy).value;
  navigator.clipboard?.writeText(text).then(() => (button.textContent = "Copied"), () => (button.textContent = "Select and copy it below"));
});
for (const each of document.querySelectorAll("[data-copy], [data-print]")) each.hidden = false;
