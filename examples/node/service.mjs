// A task service in JavaScript, without Lockstep's task kit and without a package: node:http, node:fs and fetch.
//
//     node service.mjs 8080 FOLDER
//
// Level 3: it repeats safely, survives its own restart and fences stale callers. What makes that easy here is that
// Node runs one piece of code at a time: `act` decides, changes and stores without waiting in between.

import { createServer } from "node:http";
import { existsSync, mkdirSync, openSync, writeSync, fsyncSync, closeSync, readFileSync, renameSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const ID = /^[A-Za-z0-9_-]{1,100}$/;
const ACTIONS = new Set(["initialize", "start", "publish", "get_status", "cancel"]);
const LINE = ["pending", "running", "staged", "publishing", "published"];
const BODY_LIMIT = 1_000_000;
const REQUEST_LIMIT_MS = 30_000;

class Refused extends Error {
  constructor(status, message, epoch) {
    super(message);
    Object.assign(this, { status, epoch });
  }
}

for (const name of ["staged", "public"]) mkdirSync(join(folder, name), { recursive: true });
const file = join(folder, "tasks.json");
const tasks = new Map(existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : []);

// On the disk before anybody is told: written beside the old file, and put in its place in one step.
function store() {
  const beside = openSync(`${file}.new`, "w");
  writeSync(beside, JSON.stringify([...tasks]));
  fsyncSync(beside);
  closeSync(beside);
  renameSync(`${file}.new`, file);
}

function change(task, what) {
  Object.assign(task, what);
  store();
}

// Begin the work that a state stands for; after a restart, begin it again.
function work(task) {
  const what = { running: stage, publishing: publish }[task.state];
  what?.(task).catch((error) => {
    if (task.state === "canceled") return;
    change(task, { state: "failed", error: String(error.message ?? error) });
    discard(task);
  });
}

async function stage(task) {
  mkdirSync(join(folder, "staged", task.id), { recursive: true });
  for (const [n, url] of task.urls.entries()) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
    if (!answer.ok) throw new Error(`study ${task.studies[n]} could not be fetched: HTTP ${answer.status}`);
    const record = await answer.text();
    if (task.state !== "running") return;
    await writeFile(join(folder, "staged", task.id, `${task.studies[n]}.json`), record);
    task.progress = Math.floor((100 * (n + 1)) / task.urls.length);
  }
  if (task.state === "running") change(task, { state: "staged", progress: 100 });
  else discard(task);
}

async function publish(task) {
  const staged = join(folder, "staged", task.id);
  if (existsSync(staged)) renameSync(staged, join(folder, "public", task.release));
  change(task, { state: "published", progress: 100 });
}

function discard(task) {
  rmSync(join(folder, "staged", task.id), { recursive: true, force: true });
}

// What is asked, checked; whatever is no request is refused.
function request(body) {
  const wrong = (why) => new Refused(400, why);
  let asked;
  try {
    asked = JSON.parse(body);
  } catch {
    throw wrong("the body is not JSON");
  }
  const { action, task_id: id = asked?.kf_id, release_id: release, studies = [], urls = [], epoch } = asked ?? {};
  if (!ACTIONS.has(action)) throw wrong(`the actions are ${[...ACTIONS].join(", ")}`);
  const lists = [studies, urls].every((list) => Array.isArray(list) && list.every((text) => typeof text === "string"));
  if (!lists) throw wrong("studies and urls are lists of texts");
  if (![id, release, ...studies].every((name) => typeof name === "string" && ID.test(name))) {
    throw wrong("task_id, release_id and studies are letters, digits, _ and -");
  }
  if (epoch !== undefined && epoch !== null && !(Number.isSafeInteger(epoch) && epoch >= 0)) {
    throw wrong("an epoch is a whole number from 0");
  }
  return { action, id, release, studies, urls, epoch: epoch ?? null };
}

// The one place that decides. It returns the task as it is afterwards, or refuses and changes nothing but the epoch.
function act({ action, id, release, studies, urls, epoch }) {
  let task = tasks.get(id);
  if (!task) {
    if (action !== "initialize") throw new Refused(404, `there is no task ${id} here`);
    task = { id, release, studies, urls, state: "pending", progress: 0, epoch };
    tasks.set(id, task);
    store();
    return task;
  }
  if (epoch !== null && task.epoch !== null && epoch < task.epoch) {
    throw new Refused(409, `epoch ${epoch} is over; it is ${task.epoch}`, task.epoch);
  }
  if (epoch !== null && epoch !== task.epoch) change(task, { epoch });
  if (release !== task.release) throw new Refused(400, `task ${id} belongs to another release`, task.epoch);
  if (action === "get_status") return task;
  const at = LINE.indexOf(task.state);
  if (action === "cancel") {
    if (["published", "failed", "canceled"].includes(task.state)) return task;
    change(task, { state: "canceled" });
    discard(task);
    return task;
  }
  if (at < 0) throw new Refused(400, `task ${id} is ${task.state}`, task.epoch);
  if (action === "start" && task.state === "pending") {
    change(task, { studies, urls, state: "running", progress: 0 });
    work(task);
  } else if (action === "publish" && at < LINE.indexOf("staged")) {
    throw new Refused(400, `task ${id} is ${task.state}; only what is staged can be published`, task.epoch);
  } else if (action === "publish" && task.state === "staged") {
    change(task, { state: "publishing", progress: 0 });
    work(task);
  }
  return task;
}

function shown({ id, release, state, progress, epoch, error }) {
  return { task_id: id, release_id: release, state, progress, ...(epoch !== null && { epoch }), ...(error && { error }) };
}

async function bodyOf(incoming) {
  const parts = [];
  let size = 0;
  for await (const part of incoming) {
    size += part.length;
    if (size <= BODY_LIMIT) parts.push(part);
  }
  if (size > BODY_LIMIT) throw new Refused(413, `a body has ${BODY_LIMIT} bytes at the most`);
  return Buffer.concat(parts).toString("utf8");
}

async function answer(incoming) {
  const asked = `${incoming.method} ${incoming.url}`;
  if (asked === "GET /status") return { name: "node", version: "1.0.0", message: "ready" };
  const body = await bodyOf(incoming);
  if (asked !== "POST /tasks") throw new Refused(404, "there is GET /status and POST /tasks");
  return shown(act(request(body)));
}

const server = createServer(async (incoming, outgoing) => {
  let [status, said] = [200, null];
  try {
    said = await answer(incoming);
  } catch (error) {
    status = error instanceof Refused ? error.status : 500;
    const epoch = error.epoch === undefined || error.epoch === null ? {} : { epoch: error.epoch };
    said = { message: error instanceof Refused ? error.message : "the service made a mistake", ...epoch };
    if (status === 500) console.error(error);
  }
  outgoing.writeHead(status, { "Content-Type": "application/json" });
  outgoing.end(JSON.stringify(said));
});
server.listen(port, "127.0.0.1");
for (const task of tasks.values()) work(task);
