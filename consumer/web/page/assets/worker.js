// One connection for all tabs of a browser: over HTTP/1.1 it has six for one host, and a
// stream holds one for good. It runs as a shared worker, or within the page where there are
// none.
"use strict";
(() => {
const names = ["counts", "row", "gone", "new", "reset", "ping"];
const silence = 45e3; // a ping comes every 20 s
const tabs = new Map(); // port -> {view, id, seen}
let source = null, timer = 0, tries = 0, heard = 0, address = "";

// connectTab serves the tab at the other end of a port.
function connectTab(port) {
  port.onmessage = ({ data }) => {
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
      if (data.now && !source) { tries = 0; later(100); }
    } else port.postMessage({ rejoin: true }); // it was asleep, and was forgotten
  };
  port.start?.();
}
self.onconnect = event => connectTab(event.ports[0]);

// send tells the tabs of a view, or all.
function send(message, view) {
  for (const [port, tab] of tabs) if (!view || tab.view === view) port.postMessage(message);
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(connect, ms);
}

// isOlder compares ids: "START.VERSION". Those of another start are older than any.
function isOlder(a, b) {
  const [startA, versionA] = a.split("."), [startB, versionB] = b.split(".");
  return startA !== startB || Number(versionA) < Number(versionB);
}

function connect() {
  source?.close();
  source = null;
  if (!tabs.size) return;

  // Of several tabs with one view, the one that knows least decides from when on.
  const views = new Map();
  for (const { view, id } of tabs.values()) {
    if (!views.has(view) || isOlder(id, views.get(view))) views.set(view, id);
  }
  const query = new URLSearchParams();
  for (const [view, id] of [...views].slice(0, 32)) {
    query.append("view", view);
    query.append("after", id);
  }

  const opened = new EventSource(address + "?" + query);
  source = opened;
  heard = Date.now();
  opened.onopen = () => { heard = Date.now(); };
  opened.onerror = () => { if (source === opened) fail(opened.readyState === EventSource.CLOSED); };
  for (const name of names) opened.addEventListener(name, event => { if (source === opened) receive(name, event); });
}

function receive(name, event) {
  heard = Date.now();
  tries = 0;
  const data = JSON.parse(event.data);
  if (event.lastEventId) for (const tab of tabs.values()) tab.id = event.lastEventId;
  send({ event: name, data }, data.view);
  if (name !== "ping") send({ event: "ping", data: {} });
}

// fail tries again, later each time. A server that refuses has no room for another stream.
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
