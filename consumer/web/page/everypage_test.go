package page_test

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"supernats/consumer/web/site"
	"supernats/schema"
)

// shownPage is a page as a visitor sees it.
type shownPage struct {
	name, path string
	// do is what is done on it: send() sends its form without what the browser asks for.
	do string
	// fails says that the browser reports the status of the answer.
	fails bool
}

// pages furnishes a house, and returns all pages of it, those with an error too.
func (h *house) pages() []shownPage {
	h.Helper()
	incident := h.furnish(4)
	longHost := h.hasLongNames()
	return []shownPage{
		{name: "fleet", path: "/"},
		{name: "fleet-filter", path: "/?state=running"},
		{name: "fleet-search", path: "/?q=web"},
		{name: "fleet-search-nothing", path: "/?q=nothing"},
		{name: "fleet-help", path: "/", do: `document.getElementById("help").showModal()`},
		{name: "host", path: "/hosts/web3"},
		{name: "host-long-names", path: site.HostPath(longHost)},
		{name: "process", path: "/processes/db1/sync/sync"},
		{name: "alerts", path: "/alerts"},
		{name: "alerts-past", path: "/alerts?show=past"},
		{name: "alerts-nothing", path: "/alerts?q=nothing"},
		{name: "incident", path: incident},
		{name: "incident-acknowledge", path: incident + "#ack"},
		{name: "incident-acknowledged", path: acknowledgedIncident},
		{name: "incident-resolved", path: pastIncident},
		{name: "events", path: "/events"},
		{name: "events-nothing", path: "/events?host=none"},
		{name: "mutes", path: "/mutes"},
		{name: "mutes-new", path: "/mutes/new?host=web3&group=api"},
		{name: "mutes-new-refused", path: "/mutes/new?host=web3&rule=x%5B", do: `send()`, fails: true},
		{name: "ack", path: incident + "/ack"},
		{name: "ack-again", path: acknowledgedIncident + "/ack"},
		{name: "ack-refused", path: incident + "/ack", do: `send()`, fails: true},
		{name: "no-host", path: "/hosts/none", fails: true},
		{name: "no-page", path: "/nowhere", fails: true},
		{name: "bad-address", path: "/?sort=best", fails: true},
	}
}

// hasLongNames adds a host, a process and an alert with names that have no place to break, and
// returns the name of the host.
func (h *house) hasLongNames() (host string) {
	h.Helper()
	host = strings.Repeat("payments-reconciliation-", 3) + "x2x9q.internal.example.com"
	group, process := "reconciliation_of_all_payments", strings.Repeat("reconcile_", 8)
	h.hasHost(host, func(r *schema.HostRecord) {
		r.Running, r.Down = 0, 1
		fix := "sudo install -o supernats -m 0700 -d /var/lib/supernats/" + strings.Repeat("spool", 12)
		r.Troubles = []schema.HostTrouble{{Cause: "x", Text: "the spool cannot be written: " + fix, Fix: "`" + fix + "`", Since: minutesAgo(3)}}
	})
	h.hasProcess(host, group, process, schema.StateFatal)
	h.hasAlert("a-rule-"+process, "critical", host, group, process, func(a *schema.Alert) {
		a.Annotations = map[string]string{"owner-of-" + process: "team-" + process}
	})
	h.sees("/hosts/"+host, process)
	return host
}

// screen is how somebody looks at a page.
type screen struct {
	theme string
	width int64
}

var screens = []screen{{"light", 1280}, {"dark", 1280}, {"light", 375}, {"dark", 375}}

func (s screen) actions() []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{inTheme(s.theme), chromedp.EmulateViewport(s.width, 900)}
}

// visit opens a page, and does on it what is to be done.
func (h *house) visit(t *testing.T, p shownPage) *tab {
	t.Helper()
	tab := h.openIn(t, p.path)
	if p.do != "" {
		tab.until("the page is there", `document.readyState === "complete"`)
		tab.run(chromedp.Evaluate[chromedp.Void](`function send() { const f = document.querySelector("main form"); f.noValidate = true; f.requestSubmit(); } ` +
			p.do + "; void 0"))
	}
	if p.do == "send()" {
		tab.until("it is refused", `!!document.getElementById("wrong") && document.readyState === "complete"`)
	} else if !p.fails && evaluate[bool](tab, `"view" in document.body.dataset`) {
		tab.isLive()
	}
	return tab
}

// axe-core has nothing to say against any page, in both themes, wide and narrow. No page is
// wider than its window, and on a phone everything that is touched is 44 pixels high.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("testdata/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, allowingAll)
	looking := make(chan struct{}, 2) // axe takes a processor: more at once would starve other tabs
	for _, p := range h.pages() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			looking <- struct{}{}
			defer func() { <-looking }()
			tab := h.visit(t, p)
			tab.run(chromedp.Evaluate[chromedp.Void](string(axe) + "; void 0"))
			for _, s := range screens {
				tab.run(s.actions()...)
				findings := evaluate[[]string](tab, `axe.run().then(r => r.passes.length < 10 ? ["axe has looked at nothing"] :
					r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.failureSummary + " " + n.html)))`)
				for _, finding := range findings {
					t.Errorf("%s, %d: %s", s.theme, s.width, finding)
				}
				if wide := evaluate[int](tab, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
					t.Errorf("%s, %d: %d pixels stand out at the side", s.theme, s.width, wide)
				}
			}
			for _, small := range evaluate[[]string](tab, smallTargets) {
				t.Errorf("hard to touch: %s", small)
			}
			if !p.fails {
				tab.isQuiet()
			}
		})
	}
}

// smallTargets lists what a finger misses: what is less than 44 pixels high at its middle.
// Links within a sentence are exempt, as in WCAG 2.5.8.
const smallTargets = `(() => {
	const found = [], dialog = document.querySelector("dialog[open]");
	for (const target of document.querySelectorAll("a[href], button, input, select, summary")) {
		if (!target.checkVisibility() || target.matches(".skip, p:not(.do, .pages) a") || dialog && !dialog.contains(target)) continue;
		if (target.getBoundingClientRect().height >= 44) continue;
		target.scrollIntoView({ block: "center" });
		const box = target.getBoundingClientRect(), x = box.left + Math.min(box.width / 2, 20), y = box.top + box.height / 2;
		const isHit = at => { const hit = document.elementFromPoint(x, at); return !!hit && target.contains(hit); };
		let [top, bottom] = [y, y];
		while (isHit(top - 1) && y - top < 44) top--;
		while (isHit(bottom + 1) && bottom - y < 44) bottom++;
		if (bottom - top < 43) found.push(Math.round(bottom - top + 1) + " px: " + target.outerHTML.slice(0, 150));
	}
	return found;
})()`
