// Keeps an open page up to date, and serves its keys. The page is whole without it.
"use strict";

const { view, stream, worker, now } = document.body.dataset;
const byId = id => document.getElementById(id);
const silence = 45e3;

// ---- times ----

// ahead is by how much the server's clock is ahead of the browser's: ages are by the server's.
let ahead = Number(now) - Date.now() || 0;
const clock = at => new Date(at + ahead).toLocaleTimeString();

const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function ago(at) {
  const s = Math.max(0, Math.round((Date.now() + ahead - at) / 1000));
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

// isBusy reports whether a new row would move what is under the pointer or has the focus. What
// is only a note moves nothing of weight.
function isBusy(list) {
  return !list.hasAttribute("data-note") && [...document.querySelectorAll("[data-list]")].some(other =>
    isUsed(other) && (other === list || list.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING));
}

// waiting is what waits for the pointer and the focus to leave: list -> {rows: [{row, after}],
// order: ids of all rows}.
const waiting = new Map();
const waitingOf = list => waiting.get(list) ?? waiting.set(list, { rows: [], order: null }).get(list);

function addRow(list, row, after) {
  const old = byId(row.id);
  if (old) return keyOf(old) === keyOf(row) || replaceRow(old, row);
  const { order } = waiting.get(list) ?? {};
  order?.splice(order.indexOf(after) + 1, 0, row.id);
  if (!isBusy(list)) return insertRow(list, row, after);
  const wait = waitingOf(list), longest = Number(list.dataset.longest || Infinity);
  wait.rows = [...wait.rows.filter(w => w.row.id !== row.id), { row, after }].slice(-longest);
  showWaiting(list);
}

// insertRow puts a row into its place. A list that grows at its top loses its oldest rows.
function insertRow(list, row, after) {
  const before = after && byId(after);
  row.classList.add("fresh");
  writeTimes(row);
  if (before?.parentNode === list) before.after(row);
  else list.prepend(row);
  while (list.children.length > (list.dataset.longest ?? Infinity)) list.lastElementChild.remove();
}

function removeRow(row) {
  for (const [list, wait] of waiting) {
    wait.rows = wait.rows.filter(w => w.row.id !== row);
    wait.order = wait.order?.filter(id => id !== row);
    showWaiting(list);
  }
  const old = byId(row);
  if (!old) return;
  if (isUsed(old)) old.classList.add("gone-row");
  else old.remove();
}

// setOrder puts the rows of a list into another order, unless somebody looks at one of them.
function setOrder(list, order) {
  if (isUsed(list)) {
    waitingOf(list).order = order;
    return showWaiting(list);
  }
  let next = list.firstElementChild;
  for (const row of order.map(byId)) {
    if (row?.parentNode !== list) continue;
    if (row === next) next = next.nextElementSibling;
    else list.insertBefore(row, next);
  }
}

// isOrdered reports whether a list has an order already.
function isOrdered(list, order) {
  const places = [...list.children].map(row => order.indexOf(row.id)).filter(i => i >= 0);
  return places.every((place, i) => !i || places[i - 1] < place);
}

// showWaiting says what waits.
function showWaiting(list) {
  const { rows, order } = waiting.get(list) ?? { rows: [] };
  const what = [];
  if (rows.length) what.push(`${rows.length}${rows.length === Number(list.dataset.longest) ? " or more" : ""} new`);
  if (order && !isOrdered(list, order)) what.push("order changed");
  let button = list.previousElementSibling;
  if (!button?.classList.contains("news")) {
    if (!what.length) return;
    button = document.createElement("button");
    button.className = "news";
    button.onclick = () => showNew(list);
    list.before(button);
  }
  button.textContent = `${what.join(", ")} – show`;
  if (!what.length) button.remove();
}

function showNew(list) {
  const { rows, order } = waiting.get(list) ?? { rows: [] };
  waiting.delete(list);
  for (const { row, after } of rows) insertRow(list, row, after);
  showWaiting(list);
  if (order) setOrder(list, order);
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

// fetching is true while the page is being fetched, and a moment longer; again says that it
// has to be fetched once more. trouble says why it could not be, since behind.
let fetching = false, again = false, trouble = "", behind = 0;

// refresh gets the page again, and replaces what is different on it.
async function refresh() {
  if (fetching || document.hidden) { again = true; return; }
  fetching = true;
  again = false;
  trouble = await fetchPage().catch(() => "The server does not answer.");
  behind = trouble ? behind || Date.now() : 0;
  if (!trouble && isRefused) heard = Date.now();
  showStatus();
  setTimeout(() => { fetching = false; if (again) refresh(); }, 500 + 500 * Math.random());
}

// fetchPage shows what the server has, and returns why it cannot; "" if it can.
async function fetchPage() {
  const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(15e3) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (answer.status === 401 || answer.status === 403) return "The login has ended: load the page again.";
  if (!page.querySelector("meta[name=generator][content=supernats]")) {
    return `Something else answers here with status ${answer.status}, such as a proxy or a login: load the page again.`;
  }
  if (answer.status >= 500) return page.getElementById("main").innerText;
  show(page);
  return "";
}

let isProblem = false; // the page shows an error instead of its view

function show(page) {
  ahead = Number(page.body.dataset.now) - Date.now() || ahead;
  const main = page.getElementById("main"), hasView = Boolean(page.body.dataset.view);
  if (isProblem || !hasView) {
    isProblem = !hasView;
    writeTimes(main);
    byId("main").replaceWith(main);
  }
  for (const part of document.querySelectorAll("[data-part], #head, #status")) {
    const next = page.getElementById(part.id);
    if (next) replaceContent(part, next);
  }
  for (const list of document.querySelectorAll("[data-list], [data-note]")) {
    const next = page.getElementById(list.id);
    if (next) showList(list, next);
  }
  if (!hasView) return;
  document.body.dataset.id = page.body.dataset.id;
  port?.postMessage({ id: page.body.dataset.id });
}

// showList makes a list what it is on another page. Of a list that grows at its top it keeps
// what has come since that page was made.
function showList(list, next) {
  const newest = Number(next.firstElementChild?.dataset.place ?? 0);
  for (const row of [...list.children]) {
    if (!next.querySelector(`:scope > #${row.id}`) && !(newest && row.dataset.place > newest)) removeRow(row.id);
  }
  let after = [...list.children].findLast(row => newest && row.dataset.place > newest)?.id ?? "";
  for (const row of [...next.children]) {
    addRow(list, document.importNode(row, true), after);
    after = row.id;
  }
  if (!list.dataset.longest) setOrder(list, [...next.children].map(row => row.id));
}

// ---- the status line ----

// heard is when the page was last up to date, isLost says that there is no stream, isRefused
// that the server refuses one.
let port = null, heard = Date.now(), isLost = false, isRefused = false;

function showStatus() {
  const status = byId("status").firstElementChild, word = status?.querySelector(".state-word");
  if (!word || !port) return;
  const quiet = Date.now() - heard > silence, isStale = quiet || behind > 0;
  status.classList.toggle("wait", isLost && !isStale);
  status.classList.toggle("stale", isStale || status.dataset.live === "no");
  document.body.classList.toggle("stale", status.classList.contains("stale"));
  if (isStale) word.textContent = `stale since ${clock(quiet ? heard : behind)}`;
  else if (isRefused) word.textContent = `refreshed every 30 s, last ${clock(heard)}`;
  else if (isLost) word.textContent = `reconnecting since ${clock(heard)}`;
  else if (status.dataset.live === "yes") word.textContent = "live";
  showTrouble(status, isStale ? trouble : "");
}

function showTrouble(status, text) {
  let why = status.querySelector(".trouble-now");
  if (!why && !text) return;
  if (!why) {
    why = document.createElement("span");
    why.className = "why trouble-now";
    status.append(why);
  }
  if (why.textContent !== text) why.textContent = text;
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
    for (const { rows } of waiting.values()) for (const w of rows) if (w.row.id === data.id) w.row = row;
  },
  new(data) { const list = byId(data.list); if (list) addRow(list, parse(data.html), data.after); },
  gone(data) { removeRow(data.id); },
  order(data) { const list = byId(data.list); if (list) setOrder(list, data.order); },
  reset(data) { setTimeout(refresh, Math.random() * (data.within ?? 0)); },
  ping(data) { if (data.now) ahead = data.now - Date.now(); },
};

// silentFor counts seconds in which the worker has said nothing: it tries again every 30 s.
let silentFor = 0;

function receive({ data }) {
  silentFor = 0;
  if (data.rejoin) return join();
  if (data.lost) {
    isRefused = isRefused || data.refused || Date.now() - heard > silence;
    isLost = true;
  } else {
    [isLost, isRefused, heard] = [false, false, Date.now()];
    handlers[data.event]?.(data.data);
  }
  showStatus();
}

const join = () => port.postMessage({ view, id: document.body.dataset.id, stream });

// connectPort connects to the worker that all tabs share, or serves this one alone. A worker
// that has died is replaced by the next one for all.
let generation = 0;

function connectPort() {
  port?.close();
  const alone = () => { const channel = new MessageChannel(); connectTab(channel.port1); use(channel.port2); };
  const use = end => { port = end; port.onmessage = receive; join(); };
  try {
    const shared = new SharedWorker(worker, { name: `${stream} ${generation}` });
    shared.onerror = alone;
    use(shared.port);
  } catch {
    alone();
  }
  silentFor = 0;
}

function everySecond() {
  if (++silentFor > 120) { generation++; connectPort(); }
  showStatus();
}

function follow() {
  connectPort();
  const wake = () => {
    if (document.hidden) return;
    port.postMessage({ now: true });
    if (again) refresh();
    showStatus();
  };
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  addEventListener("pagehide", () => port.postMessage({ bye: true }));
  addEventListener("pageshow", event => { if (event.persisted) { join(); refresh(); } });
  setInterval(() => port.postMessage({ here: true }), 20e3);
  setInterval(() => { if (isRefused || behind) refresh(); }, 30e3);
  setInterval(everySecond, 1e3);
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
