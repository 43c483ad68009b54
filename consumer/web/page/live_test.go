package page_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"supernats/consumer/web/page"
	"supernats/schema"
	"supernats/schema/stream"
)

// What is recorded is on the open page within a second. The machine may be busy, so one of
// several changes has to be.
func TestAChangeIsSeenWithinASecond(t *testing.T) {
	h := newHouse(t)
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	tab := h.open("/")
	tab.isLive()

	var took []time.Duration
	for i := range 5 {
		name := fmt.Sprintf("api_%02d", 10+i)
		begun := time.Now()
		h.hasProcess("web1", "api", name, schema.StateFatal)
		h.hasAlert("fatal", "critical", "web1", "api", name)
		tab.untilText("web1 · api:" + name)
		took = append(took, time.Since(begun))
	}
	t.Logf("took %v", took)
	if fastest := slices.Min(took); fastest > time.Second {
		t.Errorf("the fastest of %v took more than a second", took)
	}
	tab.untilText("5 things need attention")
	tab.until("a screen reader hears of it", `document.querySelector("[aria-live=polite]").textContent === "5 things need attention"`)
	tab.isQuiet()
}

// A row that changes keeps the focus and what is open in it; one that is over goes.
func TestRowsAreReplacedInPlace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateFatal)
	h.hasProcess("web1", "api", "api_01", schema.StateRunning)
	h.sees("/", "1 FATAL")
	tab := h.open("/")
	tab.isLive()

	tab.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("summary.row").click(); document.querySelector("summary.row").focus(); void 0`))
	h.hasProcess("web1", "api", "api_01", schema.StateFatal)
	tab.untilText("2 FATAL")
	if !evaluate[bool](tab, `document.activeElement.matches("summary.row") && !document.activeElement.parentNode.open`) {
		t.Errorf("the focus is on %s", evaluate[string](tab, "document.activeElement.outerHTML"))
	}

	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	h.hasProcess("web1", "api", "api_01", schema.StateRunning)
	tab.untilText("Nothing needs attention")
	tab.until("nothing is open", `document.querySelector("#open").children.length === 0`)
	tab.isQuiet()
}

// What is new does not move what is under the pointer: it waits until that has left.
func TestNewRowsWaitForThePointer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasAlert("exit", "warning", "web1", "api", "api_00")
	h.sees("/", "api_00")
	tab := h.open("/")
	tab.isLive()
	at := evaluate[[]float64](tab, `(r => [r.x + 20, r.y + 10])(document.querySelector("#open a").getBoundingClientRect())`)
	tab.run(movePointer(at[0], at[1]))
	tab.until("the pointer is there", `document.querySelector("#open").matches(":hover")`)

	for i := range 2 {
		h.hasAlert("exit", "critical", "web1", "api", fmt.Sprintf("api_%02d", 1+i))
	}
	tab.untilText("2 new – show")
	const top = `document.querySelector("#open a").getBoundingClientRect().y`
	if y := evaluate[float64](tab, top); y != at[1]-10 {
		t.Errorf("the row has moved from %g to %g", at[1]-10, y)
	}
	time.Sleep(2500 * time.Millisecond) // rows that wait are shown within a second when nothing holds them
	if n := evaluate[int](tab, `document.querySelector("#open").children.length`); n != 1 {
		t.Errorf("%d rows under the pointer", n)
	}
	tab.run(movePointer(2, 2))
	tab.until("they are there", `document.querySelector("#open").children.length === 3 && !document.querySelector(".news")`)
	first := evaluate[string](tab, `document.querySelector("#open").textContent`)
	if strings.Index(first, "api_01") > strings.Index(first, "api_00") {
		t.Errorf("the worst is not first: %s", first)
	}
	tab.isQuiet()
}

// Eight tabs of one browser stay live, with a connection of HTTP/1.1 left for others.
func TestEightTabs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	h.sees("/processes/web1/api/api_00", "RUNNING")
	var tabs []*tab
	for _, path := range []string{
		"/", "/?sort=name", "/hosts/web1", "/processes/web1/api/api_00", "/alerts", "/events", "/mutes", "/?state=running",
	} {
		tabs = append(tabs, h.open(path))
	}
	for _, tab := range tabs {
		tab.isLive()
	}

	h.hasProcess("web1", "api", "api_00", schema.StateFatal)
	h.hasAlert("fatal", "critical", "web1", "api", "api_00")
	h.put(stream.MutesBucket, "0123456789", &schema.Mute{
		ID: "0123456789", Hosts: []string{"db*"}, Author: "anna", Comment: "moving", Created: minutesAgo(0), Expires: minutesAgo(-60),
	})
	for i, text := range []string{"FATAL", "FATAL", "FATAL", "FATAL", "api:api_00", "", "moving", ""} {
		tabs[i].untilText(text)
	}
	tabs[7].until("it is not among those that run", `document.querySelector("#processes").children.length === 0`)
	h.Publish(h.Crash(func(e *schema.Event) { e.PID = 1234 }))
	tabs[5].untilText("pid 1234")
	for _, tab := range tabs {
		tab.isLive()
		tab.isQuiet()
	}
}

// A page whose server is gone says so, and comes back by itself with what it has missed.
func TestTheServerIsGoneAndComesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.sees("/", "web1")
	tab := h.open("/")
	tab.isLive()

	h.vanish()
	tab.untilText("reconnecting since")
	h.hasAlert("exit", "critical", "web1", "api", "api_07")
	h.Until("it is seen", func() bool { return len(h.live.Snapshot().Alerts) == 1 })
	h.serve()
	tab.isLive()
	tab.untilText("web1 · api:api_07")
}

// Where no more streams are served, the page says that it is refreshed instead; and it is
// live as soon as there is room.
func TestNoRoomForAnotherStream(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *page.Options) { o.Site.Settings.MaxStreams = 1 })
	h.hasHost("web1")
	h.sees("/", "web1")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url("/api/v1/stream?view=/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Body.Close()

	tab := h.open("/")
	tab.untilText("refreshed every 30 s, last")
	leave()
	tab.isLive()
}

// When nobody records events any more, open pages say so.
func TestNobodyRecordsEvents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.sees("/hosts/web1", "supervisord")
	tab := h.open("/hosts/web1")
	tab.isLive()
	if err := h.Bucket(stream.LeasesBucket).Delete(t.Context(), stream.LeaseKey); err != nil {
		t.Fatal(err)
	}
	tab.untilText("stale since")
	tab.untilText("no supernats consume is recording events")
	tab.until("it is grey", `document.body.classList.contains("stale")`)
	h.isActive()
	tab.isLive()
	tab.isQuiet()
}

// hasOneOfEach records a host with a process and an alert about that, and waits until they are
// seen.
func (h *house) hasOneOfEach() *schema.Alert {
	h.Helper()
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	a := h.hasAlert("exit", "critical", "web1", "api", "api_00")
	h.sees("/processes/web1/api/api_00", "RUNNING")
	h.sees("/", "api_00")
	return a
}

// That nobody records events any more is sent to every page.
func TestNobodyRecordsEventsOnAnyPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.hasOneOfEach()
	pages := map[string]func(text string) string{}
	for _, path := range []string{
		"/", "/?q=web1", "/hosts/web1", "/processes/web1/api/api_00", "/alerts", "/alerts?show=past",
		"/alerts/" + a.Incident, "/events", "/events?until=1h", "/mutes",
	} {
		pages[path] = h.followAs(path, "127.0.0.1")
	}
	if err := h.Bucket(stream.LeasesBucket).Delete(t.Context(), stream.LeaseKey); err != nil {
		t.Fatal(err)
	}
	for path, event := range pages {
		if text := event("stale since"); text == "" {
			t.Errorf("%s does not learn it", path)
		}
	}
}

// A server that keeps its connections and says nothing, as after a network has gone, is
// noticed within a minute, on every page.
func TestASilentServer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.hasOneOfEach()
	behind := h.proxied(func(w http.ResponseWriter, r *http.Request) bool { return h.answersWithClock(w, r, 1) })
	w := newWire(t, behind.address)
	behind.address = w.address
	var tabs []*tab
	for _, path := range []string{
		"/", "/hosts/web1", "/processes/web1/api/api_00", "/alerts", "/alerts/" + a.Incident, "/events", "/mutes",
	} {
		tab := behind.open(path)
		tab.isLive()
		tabs = append(tabs, tab)
	}

	w.cut()
	const skipped = 40 * time.Second
	cutAt := time.Now().Add(-skipped)
	tabs[0].run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("skip(%d)", skipped.Milliseconds())))
	for _, tab := range tabs {
		for evaluate[bool](tab, `document.querySelector("#status .state-word").textContent === "live"`) {
			if time.Since(cutAt) > time.Minute {
				t.Fatalf("it claims to be live after a minute:\n%s", evaluate[string](tab, "document.body.innerText"))
			}
			time.Sleep(100 * time.Millisecond)
		}
		tab.untilText("stale since")
	}
	h.hasAlert("exit", "critical", "web1", "api", "api_07")
	w.mend()
	tabs[0].untilText("web1 · api:api_07")
	for _, tab := range tabs {
		tab.isLive()
	}
}

// wire is a connection that can be cut without either end noticing.
type wire struct {
	address string

	mu   sync.Mutex
	open chan struct{} // closed while bytes pass
}

func newWire(t *testing.T, to string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &wire{address: l.Addr().String(), open: make(chan struct{})}
	close(w.open)

	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			go w.pass(server, from)
			go w.pass(from, server)
		}
	}()
	return w
}

// pass copies what comes while the wire is not cut.
func (w *wire) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	for buffer := make([]byte, 32<<10); ; {
		n, err := from.Read(buffer)
		w.mu.Lock()
		open := w.open
		w.mu.Unlock()
		<-open
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = make(chan struct{})
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.open)
}
