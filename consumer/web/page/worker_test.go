package page_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeStreams makes the worker within a page use streams that a test feeds, and tabs whose
// messages it reads.
const fakeStreams = `
	window.streams = [];
	window.EventSource = class extends EventTarget {
		static CLOSED = 2;
		constructor(address) { super(); this.readyState = 1; this.query = new URL(address, location).searchParams; streams.push(this); }
		close() { this.readyState = 2; }
		send(name, data, lastEventId) { this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data), lastEventId })); }
		fail() { this.readyState = 2; this.onerror(); }
	};
	window.tab = (view, id) => {
		const channel = new MessageChannel(), heard = [];
		connectTab(channel.port1);
		channel.port2.onmessage = ({ data }) => { if (data.event !== "ping" && !data.here) heard.push(data.event ?? (data.refused ? "refused" : "lost")); };
		channel.port2.postMessage({ view, id, stream: "/api/v1/stream" });
		return { heard, say: data => channel.port2.postMessage(data) };
	};
	window.wait = ms => new Promise(done => setTimeout(done, ms));
`

// The worker asks for each view once, from where the tab begins that knows least, for as many
// as there is room; a tab that it cannot serve learns that, and one that has just come misses
// nothing.
func TestTheWorker(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tab := h.open("/mutes/new") // it has no stream of its own
	for _, c := range []struct{ name, script, want string }{
		{
			name:   "two tabs with one view",
			script: `tab("/", "s.60"); tab("/", "s.5"); tab("/x", "s.7"); await wait(300); return streams[0].query.getAll("after");`,
			want:   `["s.5", "s.7"]`,
		},
		{
			name:   "of two servers",
			script: `tab("/", "s.5"); tab("/", "t.6"); await wait(300); return streams[0].query.getAll("after");`,
			want:   `["unknown"]`,
		},
		{
			name: "a tab that has come since",
			script: `const a = tab("/a", "s.1"); await wait(300);
				const b = tab("/b", "s.1"); await wait(10);
				streams[0].send("row", { view: "/a" }, "2");
				await wait(300);
				return [a.heard, b.heard, streams[1].query.getAll("after")];`,
			want: `[["row"], [], ["s.2", "s.1"]]`,
		},
		{
			name: "more tabs than a stream has views",
			script: `const tabs = [...Array(33).keys()].map(i => tab("/" + i, "s.1")); await wait(300);
				streams[0].send("reset", {}, ""); await wait(50);
				return [streams[0].query.getAll("view").length, tabs[0].heard, tabs[32].heard];`,
			want: `[32, ["reset"], ["refused"]]`,
		},
		{
			name: "addresses longer than a proxy takes",
			script: `const tabs = [...Array(9).keys()].map(i => tab("/" + i + "x".repeat(1500), "s.1")); await wait(300);
				return [String(streams[0].query).length < 8000, tabs[0].heard, tabs[8].heard];`,
			want: `[true, [], ["refused"]]`,
		},
		{
			name: "a server that refuses, and has room as somebody looks",
			script: `const a = tab("/", "s.1"); await wait(300);
				streams[0].fail(); await wait(50);
				a.say({ now: true }); await wait(300);
				return [a.heard, streams.length];`,
			want: `[["refused"], 2]`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := evaluate[any](tab, `(async () => {
				`+fakeStreams+`
				const script = document.createElement("script");
				script.src = document.querySelector("script[src*=worker]").src;
				await new Promise(done => { script.onload = done; document.head.append(script); }); // a worker of its own
				`+c.script+`
			})()`)
			var want any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
