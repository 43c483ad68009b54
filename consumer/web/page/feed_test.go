package page_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"supernats/schema"
)

// hasCrashed publishes a crash of a host's process, with a pid to know it by.
func (h *house) hasCrashed(host string, pid int) {
	h.Helper()
	h.Publish(h.Crash(func(e *schema.Event) { e.Host, e.PID = host, pid }))
}

const (
	countEvents = `document.querySelector("#timeline").children.length`
	firstEvent  = `document.querySelector("#timeline").firstElementChild.innerText`
	fetches     = `performance.getEntriesByType("resource").filter(e => e.initiatorType === "fetch").length`
)

// Events are put on top as they come, those that a filter in the address lets pass, without
// the page being fetched again.
func TestEventsComeAsTheyHappen(t *testing.T) {
	h := newHouse(t)
	h.hasCrashed("web1", 100)
	h.sees("/events", "pid 100")
	all, filtered := h.open("/events"), h.open("/events?host=db*&since=1h")
	all.isLive()
	filtered.isLive()
	filtered.untilText("The stream holds no such event")

	var took []time.Duration
	for i := range 5 {
		begun := time.Now()
		h.hasCrashed("web2", 200+i)
		all.untilText(fmt.Sprintf("pid %d", 200+i))
		took = append(took, time.Since(begun))
	}
	t.Logf("took %v", took)
	if fastest := slices.Min(took); fastest > time.Second {
		t.Errorf("the fastest of %v took more than a second", took)
	}
	h.hasCrashed("db1", 300)
	filtered.untilText("pid 300")
	all.until("the newest is first", firstEvent+`.includes("pid 300")`)
	if n := evaluate[int](filtered, countEvents); n != 1 {
		t.Errorf("%d events pass the filter, want 1", n)
	}
	for _, tab := range []*tab{all, filtered} {
		if n := evaluate[int](tab, fetches); n > 0 {
			t.Errorf("the page was fetched %d times", n)
		}
		tab.isQuiet()
	}
	filtered.until("it is no longer empty", `!document.body.innerText.includes("holds no such event")`)
}

// Events wait while the pointer is among them, and the page keeps the newest hundred.
func TestEventsWaitForThePointer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasCrashed("web1", 100)
	h.sees("/events", "pid 100")
	tab := h.open("/events")
	tab.isLive()
	at := evaluate[[]float64](tab, `(r => [r.x + 20, r.y + 10])(document.querySelector("#timeline li").getBoundingClientRect())`)
	tab.run(movePointer(at[0], at[1]))
	h.hasCrashed("web1", 101)
	h.hasCrashed("web1", 102)
	tab.untilText("2 new – show")
	if n := evaluate[int](tab, countEvents); n != 1 {
		t.Errorf("%d events under the pointer", n)
	}

	var many []*schema.Event
	for i := range 130 {
		many = append(many, h.Crash(func(e *schema.Event) { e.PID = 1000 + i }))
	}
	h.Publish(many...)
	tab.untilText("100 new – show")
	tab.run(chromedp.Click(chromedp.CSS(".news")))
	tab.until("the newest is first", firstEvent+`.includes("pid 1129")`)
	if n := evaluate[int](tab, countEvents); n != 100 {
		t.Errorf("%d events on the page, want 100", n)
	}
	tab.until("it is what the server shows", `fetch(location.href).then(a => a.text()).then(text => {
		const page = new DOMParser().parseFromString(text, "text/html");
		const ids = root => [...root.querySelectorAll("#timeline > li")].map(row => row.id).join();
		return ids(page) === ids(document);
	})`)
	tab.isQuiet()
}

// What programs wrote comes live to those alone who may see it.
func TestEventsOfPrograms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	const path = "/events?event=PROCESS_LOG"
	h.sees(path, "The stream holds no such event")
	trusted := h.open(path)
	trusted.isLive()
	stranger := h.followAs(path, "203.0.113.7")
	h.Publish(h.Event("PROCESS_LOG_STDERR", func(e *schema.Event) { e.Data = new("password=hush") }))
	trusted.untilText("password=hush")
	if text := stranger("PROCESS_LOG"); text == "" || strings.Contains(text, "hush") {
		t.Errorf("a stranger gets %s", text)
	}
}

// A crash far down the list is seen at the top within a second, in the counts, among what
// needs attention, and in its place among the hosts.
func TestTheWorstIsSeenAtOnce(t *testing.T) {
	h := newHouse(t)
	h.many(250, func(i int) { // of which 30 are not well: more than the page lists
		h.hasHost(fmt.Sprintf("web%03d", i), func(r *schema.HostRecord) { r.Down = min(1, 30/(i+1)) })
	})
	h.hasProcess("web240", "api", "api_00", schema.StateRunning)
	page := h.sees("/", "30 things need attention", "5 more")
	first, third := h.open("/"), h.open(nextOf(h.sees(nextOf(page), "web150")))
	first.isLive()
	third.isLive()

	begun := time.Now()
	h.hasProcess("web240", "api", "api_00", schema.StateFatal)
	first.until("it is the first of what needs attention", `document.querySelector("#open li")?.innerText.includes("web240")`)
	third.untilText("31 things need attention")
	first.untilText("31 things need attention")
	if took := time.Since(begun); took > 2*time.Second { // two tabs are asked one after the other
		t.Errorf("took %s", took)
	}
	first.until("it is the first of the hosts", `document.querySelector("#hosts li").innerText.includes("web240")`)
	first.untilText("6 more")
	third.until("it is no longer here", `!document.querySelector("#hosts").innerText.includes("web240")`)
	first.isQuiet()
}

// A row that becomes worse moves up, but not under the pointer: there the page says so.
func TestAnOrderThatHasChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	const order = `[...document.querySelectorAll("#open li")].map(row => row.innerText.match(/api_../)[0]).join(" ")`
	for i := range 3 {
		h.hasAlert("exit", "warning", "web1", "api", fmt.Sprintf("api_%02d", i))
	}
	h.sees("/", "api_00", "api_01", "api_02")
	tab := h.open("/")
	tab.isLive()
	tab.until("the youngest is first", order+` === "api_02 api_01 api_00"`)

	h.hasAlert("exit", "critical", "web1", "api", "api_00")
	tab.until("the worst moves up by itself", order+` === "api_00 api_02 api_01"`)
	at := evaluate[[]float64](tab, `(r => [r.x + 20, r.y + 10])(document.querySelector("#open a").getBoundingClientRect())`)
	tab.run(movePointer(at[0], at[1]))
	tab.until("the pointer is there", `document.querySelector("#open").matches(":hover")`)
	h.hasAlert("exit", "critical", "web1", "api", "api_01")
	tab.untilText("order changed – show")
	if got := evaluate[string](tab, order); got != "api_00 api_02 api_01" {
		t.Errorf("under the pointer it has become %s", got)
	}
	h.hasAlert("exit", "warning", "web1", "api", "api_03")
	tab.untilText("1 new, order changed – show")
	tab.run(chromedp.Click(chromedp.CSS(".news")))
	tab.until("it is in order", order+` === "api_01 api_00 api_03 api_02"`)

	tab.run(movePointer(2, 2))
	h.hasAlert("exit", "info", "web1", "api", "api_01")
	tab.until("it moves down by itself", order+` === "api_00 api_03 api_02 api_01" && !document.querySelector(".news")`)
	tab.isQuiet()
}
