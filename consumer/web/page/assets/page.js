// Keeps an open page up to date, and serves its keys. The page is whole without it.
"use strict";

const { view, stream, worker, now } = document.body.dataset;
const byId = id => document.getElementById(id);
const silence = 45e3;

// ---- times ----

// ahead is by how much the server's clock is ahead of the browser's: ages are by the server's.
let ahead = Number(now) - Date.now();
const clock = at => new Date(at + ahead).toLocaleTimeString();
const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function ago(at) {
  const s = Math.max(0, Math.round((Date.now() + ahead - at) / 1000));
  const [size, unit] = units.find(([size]) => s >= size) ?? [1, "s"];
  return `${Math.floor(s / size)} ${unit} ago`;
}

// writeTimes writes how long ago things were, and moments in the zone of the visitor.
function writeTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-fixed])")) {
    const at = new Date(time.dateTime), text = time.hasAttribute("data-clock") ? at.toLocaleString([], { timeZoneName: "short" }) : ago(at);
    if (time.textContent !== text) time.textContent = text;
    time.title = at.toLocaleString();
  }
}

// ---- what changes ----

const parse = html => Object.assign(document.createElement("template"), { innerHTML: html }).content.firstElementChild;

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

// replace puts an element in the place of the one with its id, if it is different. What the
// visitor has opened stays open, and the focus stays where it is.
function replace(old, next, className) {
  if (keyOf(old) === keyOf(next)) return;
  const was = [...old.querySelectorAll("details")].map(d => d.open), active = document.activeElement;
  const i = old.contains(active) ? [...old.querySelectorAll(focusable)].indexOf(active) : -1;
  next.querySelectorAll("details").forEach((d, i) => { d.open = was[i] ?? d.open; });
  if (className) next.classList.add(className);
  writeTimes(next);
  old.replaceWith(next);
  if (i >= 0) next.querySelectorAll(focusable)[i]?.focus({ preventScroll: true });
}

const isUsed = element => element.matches(":hover") || element.contains(document.activeElement);

// isBusy reports whether a new row would move what is under the pointer or has the focus. What
// is only a note moves nothing of weight.
function isBusy(list) {
  return !list.hasAttribute("data-note") && [...document.querySelectorAll("[data-list]")].some(other =>
    isUsed(other) && (other === list || list.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING));
}

// waiting is what has come for a list, and waits while that is busy: rows by id, and the order
// of all rows if that has changed.
const waiting = new Map(); // list -> {rows: id -> {row, after}, order}

// arrange takes in a new row, or an order.
function arrange(list, { row, after, order }) {
  const wait = waiting.get(list) ?? { rows: new Map(), order: null };
  waiting.set(list, wait);
  if (row) {
    wait.order?.splice(wait.order.indexOf(after) + 1, 0, row.id);
    wait.rows.set(row.id, { row, after });
    if (wait.rows.size > list.dataset.longest) wait.rows.delete(wait.rows.keys().next().value);
  } else wait.order = isOrdered(list, order) ? null : order;
  settle(list, !isBusy(list));
}

// settle puts what waits into a list if it may, or else says what there is.
function settle(list, mayMove) {
  const { rows, order } = waiting.get(list);
  let news = list.previousElementSibling?.matches(".news") ? list.previousElementSibling : null;
  if (mayMove || !rows.size && !order) {
    waiting.delete(list);
    for (const { row, after } of rows.values()) insertRow(list, row, after);
    if (order) setOrder(list, order);
    return news?.remove();
  }
  if (!news) list.before(news = document.createElement("button"));
  news.className = "news";
  news.onclick = () => settle(list, true);
  news.textContent = `${[rows.size && `${rows.size} new`, order && "order changed"].filter(Boolean).join(", ")} – show`;
}

// insertRow puts a row into its place. A list that grows at its top loses its oldest rows.
function insertRow(list, row, after) {
  const before = after && byId(after);
  row.classList.add("fresh");
  writeTimes(row);
  list.insertBefore(row, before?.parentNode === list ? before.nextSibling : list.firstChild);
  while (list.children.length > list.dataset.longest) list.lastElementChild.remove();
}

const rowsOf = (list, order) => order.map(byId).filter(row => row?.parentNode === list);
const isOrdered = (list, order) => rowsOf(list, order).every((row, i, rows) => !i || rows[i - 1].compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING);

function setOrder(list, order) {
  let next = list.firstElementChild;
  for (const row of rowsOf(list, order)) {
    if (row === next) next = next.nextElementSibling; else list.insertBefore(row, next);
  }
}

setInterval(() => {
  for (const list of waiting.keys()) settle(list, !isBusy(list));
  for (const row of document.querySelectorAll(".gone-row")) if (!isUsed(row)) row.remove();
}, 1000);

// handlers take in what comes from the stream.
const handlers = {
  counts({ head, status, summary }) {
    if (head && byId("head")) replace(byId("head"), parse(`<div id="head">${head}</div>`));
    if (status) replace(byId("status"), parse(`<div id="status">${status}</div>`));
    if (summary && byId("said").textContent !== summary) byId("said").textContent = summary;
  },
  row({ id, html }) {
    const old = byId(id), row = parse(html);
    if (old) replace(old, row, "fresh");
    for (const { rows } of waiting.values()) if (rows.has(id)) rows.get(id).row = row;
  },
  new({ list, id, html, after }) {
    if (byId(id)) handlers.row({ id, html });
    else if (byId(list)) arrange(byId(list), { row: parse(html), after });
  },
  gone({ id }) {
    for (const [list, { rows }] of waiting) if (rows.delete(id)) settle(list, false);
    const old = byId(id);
    if (old && isUsed(old)) old.classList.add("gone-row");
    else old?.remove();
  },
  order({ list, order }) { if (byId(list)) arrange(byId(list), { order }); },
  reset({ within = 0 }) { setTimeout(refresh, Math.random() * within); },
  ping({ now }) { if (now) ahead = now - Date.now(); },
};

// ---- the page again ----

// fetching is true while the page is being fetched, and a moment longer; again says that it
// has to be fetched once more. trouble says why it could not be, since behind.
let fetching = false, again = false, trouble = "", behind = 0;

// refresh gets the page again, when somebody looks at it.
async function refresh() {
  if (fetching || document.hidden) { again = true; return; }
  [fetching, again] = [true, false];
  trouble = await fetchPage().catch(() => "The server does not answer.");
  behind = trouble && (behind || Date.now());
  if (!trouble && isRefused) heard = Date.now();
  showStatus();
  setTimeout(() => { fetching = false; if (again) refresh(); }, 500 + 500 * Math.random());
}

// fetchPage shows what the server has, and returns why it cannot; "" if it can.
async function fetchPage() {
  const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(15e3) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.querySelector("meta[name=generator][content=supernats]")) {
    return `Something else answers here, such as a proxy or a login, with status ${answer.status}: load the page again.`;
  }
  if (answer.status >= 500) return page.getElementById("main").textContent;
  show(page.body, page.getElementById("main"));
  return "";
}

// show replaces what is different on another page: all of it if one of the two only says what
// is wrong with the address.
function show(body, main) {
  const same = element => body.querySelector(`#${element.id}`), isView = element => element.matches("[data-view]");
  if (!isView(main) || !isView(byId("main"))) replace(byId("main"), main);
  for (const part of document.querySelectorAll("[data-part], #head, #status")) if (same(part)) replace(part, same(part));
  for (const list of document.querySelectorAll("[data-list], [data-note]")) if (same(list)) showList(list, [...same(list).children]);
  if (!body.dataset.id) return;
  document.body.dataset.id = body.dataset.id;
  port.postMessage({ id: body.dataset.id });
}

// showList makes a list have some rows. One that grows at its top keeps what has come since.
function showList(list, rows) {
  const isNewer = row => row.dataset.place > Number(rows[0]?.dataset.place), ids = rows.map(row => row.id);
  for (const row of [...list.children]) if (!ids.includes(row.id) && !isNewer(row)) handlers.gone(row);
  let after = [...list.children].findLast(isNewer)?.id;
  for (const row of rows) {
    handlers.new({ list: list.id, id: row.id, html: row.outerHTML, after });
    after = row.id;
  }
  if (!isOrdered(list, ids)) arrange(list, { order: ids });
}

// ---- the status line ----

// heard is when the page was last up to date, isLost says that there is no stream, isRefused
// that the server refuses one. answer fires when the worker does not answer.
let port = null, answer = 0, heard = Date.now(), isLost = false, isRefused = false;

function showStatus() {
  const status = byId("status").firstElementChild, word = status.querySelector(".state-word");
  const isQuiet = Date.now() - heard > silence, isStale = isQuiet || behind > 0;
  status.classList.toggle("wait", isLost && !isStale);
  status.classList.toggle("stale", isStale || status.dataset.live === "no");
  document.body.classList.toggle("stale", status.classList.contains("stale"));
  byId("trouble").textContent = isStale && trouble || "";
  if (isStale) word.textContent = `stale since ${clock(isQuiet ? heard : behind)}`;
  else if (isRefused) word.textContent = `refreshed every 30 s, last ${clock(heard)}`;
  else if (isLost) word.textContent = `reconnecting since ${clock(heard)}`;
  else if (status.dataset.live === "yes") word.textContent = "live";
}

// ask sends something to the worker, which answers at once. One that never came, or has died, is
// replaced.
function ask(message) {
  port.postMessage(message);
  answer ||= setTimeout(() => connect(true), 10e3);
}

const join = () => ask({ view, id: document.body.dataset.id, stream });

function receive({ data }) {
  answer = clearTimeout(answer);
  if (data.here || data.rejoin) return data.rejoin && join();
  isLost = Boolean(data.lost);
  isRefused = isLost && (isRefused || data.refused || Date.now() - heard > silence);
  if (!isLost) heard = Date.now();
  handlers[data.event]?.(data.data);
  showStatus();
}

// connect uses the worker of all tabs, or one of its own.
function connect(isAlone) {
  port?.postMessage({ bye: true });
  answer = clearTimeout(answer);
  const channel = new MessageChannel();
  if (isAlone) connectTab(channel.port1);
  port = isAlone ? channel.port2 : Object.assign(new SharedWorker(worker, { name: stream }), { onerror: () => connect(true) }).port;
  port.onmessage = receive;
  join();
}

function wake() {
  if (document.hidden) return;
  ask({ now: true });
  if (again) refresh();
  showStatus();
}

function follow() {
  try { connect(!self.SharedWorker); } catch { connect(true); } // it may be forbidden
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);
  addEventListener("pagehide", () => port.postMessage({ bye: true }));
  addEventListener("pageshow", event => { if (event.persisted) { join(); refresh(); } });
  setInterval(() => ask({ here: true }), 20e3);
  setInterval(() => { if (isRefused || behind) refresh(); }, 30e3);
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
