package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/schema"

	"github.com/google/go-cmp/cmp"
)

func TestDifference(t *testing.T) {
	row := func(id, html string) Row { return Row{List: "hosts", ID: id, HTML: html} }
	before := &Frame{Head: "h", Summary: "s", Status: "live", Rows: []Row{row("a", "1"), row("b", "1"), row("c", "1")}}
	for _, c := range []struct {
		name string
		to   Frame
		want []string
	}{
		{name: "nothing", to: *before},
		{
			name: "a row", to: Frame{Head: "h", Summary: "s", Status: "live", Rows: []Row{row("a", "1"), row("b", "2"), row("c", "1")}},
			want: []string{`row {"view":"/","list":"hosts","id":"b","html":"2"}`},
		},
		{
			name: "rows come and go", to: Frame{Head: "h", Summary: "s", Status: "live", Rows: []Row{row("n", "1"), row("a", "1"), row("c", "1"), row("m", "<b>")}},
			want: []string{
				`gone {"view":"/","list":"hosts","id":"b"}`, `new {"view":"/","list":"hosts","id":"n","html":"1"}`,
				`new {"view":"/","list":"hosts","id":"m","after":"c","html":"\u003cb\u003e"}`,
			},
		},
		{
			name: "another list has the same row", to: Frame{Head: "h", Summary: "s", Status: "live", Rows: append([]Row{{List: "open", ID: "a", HTML: "1"}}, before.Rows...)},
			want: []string{`new {"view":"/","list":"open","id":"a","html":"1"}`},
		},
		{
			name: "an order", to: Frame{Head: "h", Summary: "s", Status: "live", Rows: []Row{row("c", "1"), row("b", "2"), row("a", "1")}},
			want: []string{
				`row {"view":"/","list":"hosts","id":"b","html":"2"}`,
				`order {"view":"/","list":"hosts","order":["c","b","a"]}`,
			},
		},
		{
			name: "the order stays while rows come and go", to: Frame{Head: "h", Summary: "s", Status: "live", Rows: []Row{row("a", "1"), row("n", "1"), row("c", "1")}},
			want: []string{`gone {"view":"/","list":"hosts","id":"b"}`, `new {"view":"/","list":"hosts","id":"n","after":"a","html":"1"}`},
		},
		{
			name: "a number", to: Frame{Head: "h2", Summary: "s2", Status: "live", Rows: before.Rows},
			want: []string{`counts {"view":"/","head":"h2","summary":"s2","status":"live"}`},
		},
		{name: "something else", to: Frame{Mark: "x"}, want: []string{"reset"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			text, needsReset := difference("/", before, &c.to)
			for _, event := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
				if event != "" {
					got = append(got, strings.ReplaceAll(strings.TrimPrefix(event, "event: "), "\ndata: ", " "))
				}
			}
			if needsReset {
				got = append(got, "reset")
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// fakeFleet has the snapshots that a test makes.
type fakeFleet struct {
	mu      sync.Mutex
	now     *fleet.Snapshot
	changed chan struct{}
}

func (f *fakeFleet) Snapshot() *fleet.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeFleet) Subscribe() (<-chan struct{}, func()) { return f.changed, func() {} }

// shows makes a snapshot with some hosts.
func (f *fakeFleet) shows(hosts ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &fleet.Snapshot{Version: f.now.Version + 1}
	for _, name := range hosts {
		s.Hosts = append(s.Hosts, &fleet.Host{Host: inspect.Host{HostRecord: schema.HostRecord{Host: name}}})
	}
	f.now = s
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// rendered counts what listHosts has rendered.
var rendered atomic.Int64

// listHosts is the view "/".
func listHosts(_ *http.Request, view string) (*View, error) {
	if view == "/bad" {
		return nil, errors.New("there is no such page")
	}
	return &View{Key: view, Render: func(s *fleet.Snapshot) (*Frame, error) {
		rendered.Add(1)
		frame := &Frame{}
		for _, h := range s.Hosts {
			frame.Rows = append(frame.Rows, Row{List: view, ID: h.Name(), HTML: strings.Repeat("x", 64<<10)})
		}
		return frame, nil
	}}, nil
}

func newHub(t *testing.T, max int) (*fakeFleet, *Hub, string) {
	return newHubOf(t, func(f *fakeFleet) Options { return Options{Source: f, Max: max, Open: listHosts} })
}

func newHubOf(t *testing.T, options func(*fakeFleet) Options) (*fakeFleet, *Hub, string) {
	f := &fakeFleet{now: &fleet.Snapshot{Version: 1}, changed: make(chan struct{}, 1)}
	h := New(options(f))
	h.every = 0
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		_ = h.Run(ctx)
		close(done)
	}()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		<-done
	})
	return f, h, server.URL
}

// viewer reads a stream.
type viewer struct {
	*testing.T
	events chan string
	id     string
}

func watch(t *testing.T, address string, query url.Values, header ...string) *viewer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range header {
		r.Header.Set("Last-Event-ID", id)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", answer.StatusCode, answer.Header.Get("Content-Type"))
	}

	v := &viewer{T: t, events: make(chan string, 100)}
	go func() {
		defer answer.Body.Close()
		defer close(v.events)
		name := ""
		for lines := bufio.NewReader(answer.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimSuffix(line, "\n")
			if after, ok := strings.CutPrefix(line, "event: "); ok {
				name = after
			} else if after, ok := strings.CutPrefix(line, "data: "); ok {
				name += " " + after
			} else if after, ok := strings.CutPrefix(line, "id: "); ok {
				name += " id=" + after
			} else if line == "" && name != "" {
				v.events <- name
				name = ""
			}
		}
	}()
	return v
}

// next returns the next event, without its HTML.
func (v *viewer) next() string {
	v.Helper()
	select {
	case event, ok := <-v.events:
		if !ok {
			return "end"
		}
		if _, id, ok := strings.Cut(event, " id="); ok {
			v.id = id
			event, _, _ = strings.Cut(event, " id=")
		}
		event, _, _ = strings.Cut(event, `,"html"`)
		return event
	case <-time.After(10 * time.Second):
		v.Fatal("no event comes")
		return ""
	}
}

// A viewer gets what has changed since its page was made, then what changes.
func TestResuming(t *testing.T) {
	f, h, address := newHub(t, 10)
	f.shows("a")
	id := h.ID(h.Snapshot(), 0)
	f.shows("a", "b")
	h.Snapshot()

	v := watch(t, address, url.Values{"view": {"/"}, "after": {id}})
	if got := v.next(); got != `new {"view":"/","list":"/","id":"b","after":"a"` {
		t.Errorf("first comes %s", got)
	}
	f.shows("b")
	if got := v.next(); got != `gone {"view":"/","list":"/","id":"a"}` {
		t.Errorf("then comes %s", got)
	}

	f.shows("b", "c")
	again := watch(t, address, url.Values{"view": {"/"}, "after": {id}}, v.id)
	if got := again.next(); got != `new {"view":"/","list":"/","id":"c","after":"b"` {
		t.Errorf("after %s comes %s", v.id, got)
	}
	for _, unknown := range []string{"x", "other.2", strings.Replace(id, ".", ".99", 1)} {
		if got := watch(t, address, url.Values{"view": {"/"}, "after": {unknown}}).next(); got != `reset {"view":"/"}` {
			t.Errorf("after %q comes %s", unknown, got)
		}
	}
}

// A program that has no page begins with the counts, and gets what comes.
func TestWithoutAPage(t *testing.T) {
	f, h, address := newHub(t, 10)
	f.shows("a")
	h.Snapshot()
	v := watch(t, address, url.Values{"view": {"/"}})
	if got := v.next(); !strings.HasPrefix(got, `counts {"view":"/"`) {
		t.Errorf("first comes %s", got)
	}
	f.shows("a", "b")
	if got := v.next(); got != `new {"view":"/","list":"/","id":"b","after":"a"` {
		t.Errorf("then comes %s", got)
	}
}

// One stream has the views of several tabs, each from where its page was.
func TestSeveralViews(t *testing.T) {
	f, h, address := newHub(t, 10)
	first := h.ID(h.Snapshot(), 0)
	f.shows("a")
	second := h.ID(h.Snapshot(), 0)
	v := watch(t, address, url.Values{"view": {"/1", "/2"}, "after": {first, second}})
	if got := v.next(); got != `new {"view":"/1","list":"/1","id":"a"` {
		t.Errorf("first comes %s", got)
	}
	f.shows()
	if got := v.next() + v.next(); got != `gone {"view":"/1","list":"/1","id":"a"}gone {"view":"/2","list":"/2","id":"a"}` {
		t.Errorf("then comes %s", got)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	_, _, address := newHub(t, 2)
	get := func(query string) (int, http.Header) {
		answer, err := http.Get(address + query)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode, answer.Header
	}
	for _, query := range []string{"", "?view=/bad", "?view=/&view=/", "?view=/" + strings.Repeat("&view=/x", MaxViews)} {
		if status, _ := get(query); status != http.StatusBadRequest {
			t.Errorf("%.30s: status %d", query, status)
		}
	}

	watch(t, address, url.Values{"view": {"/"}}).next()
	watch(t, address, url.Values{"view": {"/"}}).next()
	if status, header := get("?view=/"); status != http.StatusServiceUnavailable || header.Get("Retry-After") != "30" {
		t.Errorf("status %d, retry after %q", status, header.Get("Retry-After"))
	}
}

// A viewer who takes nothing is asked to get the page again and loses the stream; nobody
// waits for it.
func TestASlowViewer(t *testing.T) {
	f, h, address := newHub(t, 10)
	id := h.ID(h.Snapshot(), 0)
	slow := watch(t, address, url.Values{"view": {"/"}, "after": {id}})
	slow.next()
	other := watch(t, address, url.Values{"view": {"/"}, "after": {id}})
	other.next()

	// More than the buffers of the connection hold, one batch after the other.
	for i := range 300 {
		f.shows(fmt.Sprint("host", i))
		for other.next() != fmt.Sprintf(`new {"view":"/","list":"/","id":"host%d"`, i) {
		}
	}
	events := []string{}
	for event := slow.next(); event != "end"; event = slow.next() {
		events = append(events, event)
	}
	if last := events[len(events)-1]; last != "reset {}" {
		t.Errorf("after %d events its last is %s", len(events), last)
	}
	if len(events) == 2*300 {
		t.Error("it has got everything")
	}
}

// A view is rendered once for all who look at it.
func TestRenderedOnceForAll(t *testing.T) {
	f, h, address := newHub(t, 10)
	id := h.ID(h.Snapshot(), 0)
	var viewers []*viewer
	for range 5 {
		v := watch(t, address, url.Values{"view": {"/"}, "after": {id}})
		v.next() // a ping: nothing has changed
		viewers = append(viewers, v)
	}

	before := rendered.Load()
	f.shows("a")
	for _, v := range viewers {
		if got := v.next(); got != `new {"view":"/","list":"/","id":"a"` {
			t.Errorf("a viewer gets %s", got)
		}
	}
	if n := rendered.Load() - before; n != 1 {
		t.Errorf("rendered %d times", n)
	}
}
