// Keeps an open page up to date, and serves its keys. The page is whole without it.
"use strict";

const { view, stream, worker } = document.body.dataset;
const byId = id => document.getElementById(id);
const silence = 45e3;
let port = null, heard = Date.now(), isLost = false, isRefused = false, fetching = false, again = false;

// ---- times ----

const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function ago(at) {
  const s = Math.max(0, Math.round((Date.now() - at) / 1000));
  const [size, unit] = units.find(([size]) => s >= size) ?? [1, "s"];
  return `${Math.floor(s / size)} ${unit} ago`;
}

// writeTimes writes how long ago things were, and moments in the zone of the visitor.
function writeTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (isNaN(at) || time.hasAttribute("data-fixed")) continue;
    const text = time.hasAttribute("data-clock") ? at.toLocaleString() : ago(at);
    if (time.textContent !== text) time.textContent = text;
    time.title = at.toLocaleString();
  }
}

// ---- what changes ----

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// keyOf is what an element shows, but for the time that has passed and what the visitor has
// opened.
function keyOf(element) {
  const copy = element.cloneNode(true);
  copy.classList.remove("fresh", "gone-row");
  for (const time of copy.querySelectorAll("time:not([data-fixed])")) { time.textContent = ""; time.removeAttribute("title"); }
  for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
  return copy.outerHTML.replace(/ class=""/, "");
}

const focusable = "a[href], summary, button, input, select, pre";

// keepFocus changes something, and puts the focus back where it was.
function keepFocus(find, change) {
  const element = find(), active = document.activeElement;
  const i = element?.contains(active) ? [...element.querySelectorAll(focusable)].indexOf(active) : -1;
  change();
  if (i >= 0) find()?.querySelectorAll(focusable)[i]?.focus({ preventScroll: true });
}

function replaceRow(old, row) {
  const was = [...old.querySelectorAll("details")].map(d => d.open);
  if (old.querySelector("details")) row.querySelectorAll("details").forEach((d, i) => { d.open = was[i] ?? d.open; });
  row.classList.add("fresh");
  writeTimes(row);
  keepFocus(() => byId(row.id), () => old.replaceWith(row));
}

const isUsed = element => element.matches(":hover") || element.contains(document.activeElement);

// isBusy reports whether a new row would move what is under the pointer or has the focus.
function isBusy(list) {
  return [...document.querySelectorAll("[data-list]")].some(other =>
    isUsed(other) && (other === list || list.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING));
}

const waiting = new Map(); // list -> [{row, after}]

function addRow(list, row, after) {
  const old = byId(row.id);
  if (old) return replaceRow(old, row);
  if (isBusy(list)) {
    waiting.set(list, [...(waiting.get(list) ?? []).filter(w => w.row.id !== row.id), { row, after }]);
    return showWaiting(list);
  }
  insertRow(list, row, after);
}

function insertRow(list, row, after) {
  const before = after && byId(after);
  row.classList.add("fresh");
  writeTimes(row);
  if (before?.parentNode === list) before.after(row);
  else list.prepend(row);
}

function removeRow(row) {
  for (const [list, rows] of waiting) {
    const left = rows.filter(w => w.row.id !== row);
    if (left.length !== rows.length) { waiting.set(list, left); showWaiting(list); }
  }
  const old = byId(row);
  if (!old) return;
  if (isUsed(old)) old.classList.add("gone-row");
  else old.remove();
}

// showWaiting says how many rows wait for the pointer to leave.
function showWaiting(list) {
  const n = waiting.get(list)?.length ?? 0;
  let button = list.previousElementSibling;
  if (!button?.classList.contains("news")) {
    if (!n) return;
    button = document.createElement("button");
    button.className = "news";
    button.onclick = () => showNew(list);
    list.before(button);
  }
  button.textContent = `${n} new – show`;
  if (!n) button.remove();
}

function showNew(list) {
  for (const { row, after } of waiting.get(list) ?? []) insertRow(list, row, after);
  waiting.delete(list);
  showWaiting(list);
}

setInterval(() => {
  for (const list of waiting.keys()) if (!isBusy(list)) showNew(list);
  for (const row of document.querySelectorAll(".gone-row")) if (!isUsed(row)) row.remove();
}, 1000);

function replaceContent(element, content) {
  const copy = element.cloneNode(false);
  copy.replaceChildren(...content.cloneNode(true).childNodes);
  if (keyOf(copy) === keyOf(element)) return;
  writeTimes(copy);
  keepFocus(() => element, () => element.replaceChildren(...copy.childNodes));
}

let said = "";
function say(text) {
  if (!text || text === said) return;
  said = text;
  byId("said").textContent = text;
}

// ---- the page again ----

// refresh gets the page again, and replaces what is different on it.
async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.status < 500) show(page);
    if (answer.ok && isRefused) { heard = Date.now(); showStatus(); }
  } catch { /* the status line says it */ }
  setTimeout(() => { fetching = false; if (again) { again = false; refresh(); } }, 500 + 500 * Math.random());
}

function show(page) {
  const main = page.getElementById("main");
  if (!main) return; // somebody else has answered
  if (!page.body.dataset.view) return byId("main").replaceWith(main);
  for (const part of document.querySelectorAll("[data-part], #head, #status")) {
    const next = page.getElementById(part.id);
    if (next) replaceContent(part, next);
  }
  for (const list of document.querySelectorAll("[data-list]")) {
    const next = page.getElementById(list.id);
    if (!next) continue;
    for (const row of [...list.children]) if (!page.getElementById(row.id)) removeRow(row.id);
    let after = "";
    for (const row of [...next.children]) {
      const old = byId(row.id), copy = document.importNode(row, true);
      if (!old) addRow(list, copy, after);
      else if (keyOf(old) !== keyOf(copy)) replaceRow(old, copy);
      after = row.id;
    }
  }
  document.body.dataset.id = page.body.dataset.id;
  port?.postMessage({ id: page.body.dataset.id });
  showStatus();
}

// ---- the status line ----

function showStatus() {
  const status = byId("status").firstElementChild, word = status?.querySelector(".state-word");
  if (!word || !port) return;
  const quiet = Date.now() - heard > silence, clock = new Date(heard).toLocaleTimeString();
  status.classList.toggle("wait", isLost && !quiet);
  status.classList.toggle("stale", quiet || status.dataset.live === "no");
  document.body.classList.toggle("stale", status.classList.contains("stale"));
  if (quiet) word.textContent = `stale since ${clock}`;
  else if (isRefused) word.textContent = `refreshed every 30 s, last ${clock}`;
  else if (isLost) word.textContent = `reconnecting since ${clock}`;
  else if (status.dataset.live === "yes") word.textContent = "live";
}

const handlers = {
  counts(data) {
    if (data.head && byId("head")) replaceContent(byId("head"), parse(`<div>${data.head}</div>`));
    if (data.status) replaceContent(byId("status"), parse(`<div>${data.status}</div>`));
    say(data.summary);
  },
  row(data) {
    const old = byId(data.id), row = parse(data.html);
    if (old) replaceRow(old, row);
    for (const w of [...waiting.values()].flat()) if (w.row.id === data.id) w.row = row;
  },
  new(data) { const list = byId(data.list); if (list) addRow(list, parse(data.html), data.after); },
  gone(data) { removeRow(data.id); },
  reset() { refresh(); },
  ping() {},
};

const join = () => port.postMessage({ view, id: document.body.dataset.id, stream });

function receive({ data }) {
  if (data.rejoin) return join();
  if (data.lost) {
    [isLost, isRefused] = [true, data.refused];
  } else {
    [isLost, isRefused, heard] = [false, false, Date.now()];
    handlers[data.event]?.(data.data);
  }
  showStatus();
}

function follow() {
  if (self.SharedWorker) port = new SharedWorker(worker, { name: stream }).port;
  else { const channel = new MessageChannel(); connectTab(channel.port1); port = channel.port2; }
  port.onmessage = receive;
  join();

  const wake = () => { if (!document.hidden) port.postMessage({ now: true }); };
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  addEventListener("pagehide", () => port.postMessage({ bye: true }));
  addEventListener("pageshow", event => { if (event.persisted) { join(); refresh(); } });
  setInterval(() => port.postMessage({ here: true }), 20e3);
  setInterval(() => { if (isRefused && !document.hidden) refresh(); }, 30e3);
  setInterval(showStatus, 1e3);
}

// ---- keys ----

function move(step) {
  const rows = [...document.querySelectorAll("main .row[href], main summary.row, main .line a.who")].filter(r => r.checkVisibility());
  const i = rows.indexOf(document.activeElement);
  rows[i < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, i + step))]?.focus();
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea") || byId("help").open) return;
  const keys = { "/": () => { byId("search").focus(); byId("search").select(); }, j: () => move(1), k: () => move(-1), "?": () => byId("help").showModal() };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

writeTimes(document);
setInterval(() => writeTimes(document), 10e3);
if (view && self.EventSource) follow();
