// One connection for all tabs of a browser: over HTTP/1.1 it has six for one host, and a
// stream holds one for good. It runs as a shared worker, or within the page where there are
// none.
"use strict";
(() => {
const names = ["counts", "row", "gone", "new", "order", "reset", "ping"];
const silence = 45e3; // a ping comes every 20 s
const maxViews = 32, maxQuery = 6000; // what the server, and proxies, take
const tabs = new Map(); // port -> {view, id, seen, served}
let source = null, timer = 0, tries = 0, heard = 0, address = "";

// connectTab serves the tab at the other end of a port.
function connectTab(port) {
  port.onmessage = ({ data }) => {
    port.postMessage({ here: true });
    if (data.bye) tabs.delete(port);
    else if (data.view) {
      address = data.stream;
      tabs.set(port, { view: data.view, id: data.id, seen: Date.now() });
      tries = 0;
      later(50); // several tabs may be opened at once
    } else if (tabs.has(port)) {
      const tab = tabs.get(port);
      tab.seen = Date.now();
      if (data.id) tab.id = data.id;
      // Somebody looks, or the network is back: the machine may have slept.
      if (data.now && !(source && Date.now() - heard < silence / 2)) { tries = 0; later(100); }
    } else port.postMessage({ rejoin: true }); // it was asleep, and was forgotten
  };
  port.start?.();
}
self.onconnect = event => connectTab(event.ports[0]);

const later = ms => { clearTimeout(timer); timer = setTimeout(connect, ms); };

// older returns an id ("START.NUMBER") from which on there is all that either lacks.
function older(a, b) {
  const [[start, one], [other, two]] = [a.split("."), b.split(".")];
  return start === other ? `${start}.${Math.min(one, two)}` : "unknown";
}

// query asks for the views of all tabs for which there is room. Of several tabs with one
// view, the one that knows least decides from when on.
function query() {
  const views = new Map(), query = new URLSearchParams();
  for (const { view, id } of tabs.values()) views.set(view, views.has(view) ? older(views.get(view), id) : id);
  for (const [view, id] of views) {
    if (query.size >= 2 * maxViews || `${query}`.length > maxQuery) { views.delete(view); continue; }
    query.append("view", view);
    query.append("after", id);
  }
  for (const [port, tab] of tabs) {
    tab.served = views.has(tab.view);
    if (!tab.served) port.postMessage({ lost: true, refused: true });
  }
  return query;
}

function connect() {
  source?.close();
  source = null;
  if (!tabs.size) return;
  const opened = new EventSource(address + "?" + query());
  source = opened;
  heard = Date.now();
  opened.onopen = () => { heard = Date.now(); };
  opened.onerror = () => { if (source === opened) fail(opened.readyState === EventSource.CLOSED); };
  for (const name of names) opened.addEventListener(name, event => { if (source === opened) receive(name, event); });
}

// send sends to the tabs of a view that are served, or to all of these. A tab that has come since
// the connection was made is not: it would miss what came before.
function send(message, view) {
  for (const [port, tab] of tabs) if (tab.served && (!view || tab.view === view)) port.postMessage(message);
}

function receive(name, event) {
  heard = Date.now();
  tries = 0;
  const data = JSON.parse(event.data);
  if (event.lastEventId) for (const tab of tabs.values()) if (tab.served) tab.id = tab.id.split(".")[0] + "." + event.lastEventId;
  send({ event: name, data }, data.view);
  if (name !== "ping") send({ event: "ping", data: {} });
}

// fail tries again, later each time. A server that refuses has no room for another stream, or
// is another one.
function fail(refused) {
  source?.close();
  source = null;
  send({ lost: true, refused });
  tries++;
  later(Math.max(1e3, Math.min(30e3, 1e3 * 2 ** tries) * (0.5 + Math.random() / 2)));
}

setInterval(() => {
  // A tab that was closed may not have said so; one in the background is slow.
  for (const [port, tab] of tabs) if (Date.now() - tab.seen > 180e3) tabs.delete(port);
  if (source && Date.now() - heard > silence) fail(false);
  if (source && !tabs.size) { source.close(); source = null; }
}, 5e3);

self.connectTab = connectTab;
})();
