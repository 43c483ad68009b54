package live

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"supernats/consumer/fleet"
)

// fakeNews has the news that a test makes, from a place on.
type fakeNews struct {
	mu       sync.Mutex
	from     uint64
	last     uint64
	followed int
	changed  chan struct{}
}

func (n *fakeNews) Follow(uint64) func() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.followed++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.followed--
	}
}

func (n *fakeNews) Last() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

func (n *fakeNews) Rows(after, through uint64) (rows []Row, whole bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for place := after + 1; place <= through; place++ {
		rows = append(rows, Row{List: "news", ID: fmt.Sprint(place), HTML: "x"})
	}
	return rows, after >= n.from
}

// comes makes news up to a place; what is up to from is no longer known.
func (n *fakeNews) comes(from, last uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.from, n.last = from, last
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

func newsHub(t *testing.T) (*fakeNews, *fakeFleet, *Hub, string) {
	n := &fakeNews{changed: make(chan struct{}, 1)}
	f, h, address := newHubOf(t, func(f *fakeFleet) Options {
		return Options{
			Source: f, NewsChanged: n.changed, Max: 10,
			Open: func(_ *http.Request, address string) (*View, error) {
				v := &View{Key: address, Render: func(s *fleet.Snapshot) (*Frame, error) {
					return &Frame{Head: fmt.Sprint(len(s.Hosts))}, nil
				}}
				if address == "/news" {
					v.News = n
				}
				return v, nil
			},
		}
	})
	return n, f, h, address
}

// News come in their order, each once, and who resumes gets what it lacks.
func TestNews(t *testing.T) {
	n, f, h, address := newsHub(t)
	n.comes(0, 7)
	id := h.ID(h.Snapshot(), 5)
	v := watch(t, address, url.Values{"view": {"/news"}, "after": {id}})
	for _, want := range []string{"6", "7"} {
		if got := v.next(); got != `new {"view":"/news","list":"news","id":"`+want+`"` {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	n.comes(0, 8)
	if got := v.next(); got != `new {"view":"/news","list":"news","id":"8"` {
		t.Error(got)
	}
	f.shows("a")
	if got := v.next(); !strings.HasPrefix(got, "counts") {
		t.Error(got)
	}
	if _, place := h.find(v.id); place != 8 {
		t.Errorf("the place of %s is %d", v.id, place)
	}

	n.comes(0, 9)
	again := watch(t, address, url.Values{"view": {"/news"}, "after": {id}}, v.id)
	if got := again.next(); got != `new {"view":"/news","list":"news","id":"9"` {
		t.Error(got)
	}
	for name, after := range map[string]string{
		"of an older server": "old.1.5", "without a place": strings.TrimSuffix(id, ".5"), "garbage": id + "x",
	} {
		if got := watch(t, address, url.Values{"view": {"/news"}, "after": {after}}).next(); got != `reset {"view":"/news"}` {
			t.Errorf("%s: %s", name, got)
		}
	}
	n.comes(7, 9)
	late := watch(t, address, url.Values{"view": {"/news"}, "after": {id}})
	for late.next() != `reset {"view":"/news"}` { // after what is known
	}
}

// What is no longer known, and the news of another stream, are fetched with the page.
func TestNewsThatAreNotKnown(t *testing.T) {
	n, _, h, address := newsHub(t)
	n.comes(0, 100)
	v := watch(t, address, url.Values{"view": {"/news"}, "after": {h.ID(h.Snapshot(), 100)}})
	v.next() // a ping
	n.comes(200, 200)
	for v.next() != `reset {"view":"/news","within":4}` {
	}
	time.Sleep(2 * resetSpread)
	n.comes(0, 5)
	if got := v.next(); got != `reset {"view":"/news","within":4}` {
		t.Errorf("of another stream: %s", got)
	}
	time.Sleep(2 * resetSpread)
	n.comes(0, 6)
	if got := v.next(); got != `new {"view":"/news","list":"news","id":"6"` {
		t.Error(got)
	}
}

// More than a person reads comes once a second.
func TestACrowdOfNews(t *testing.T) {
	n, _, h, address := newsHub(t)
	v := watch(t, address, url.Values{"view": {"/news"}, "after": {h.ID(h.Snapshot(), 0)}})
	v.next()
	n.comes(0, crowd+1)
	for range crowd + 1 {
		v.next()
	}
	begun := time.Now()
	n.comes(0, crowd+2)
	if got := v.next(); got != fmt.Sprintf(`new {"view":"/news","list":"news","id":"%d"`, crowd+2) {
		t.Error(got)
	}
	if took := time.Since(begun); took < crowdEvery/2 {
		t.Errorf("the next came after %s", took)
	}
}

// A thousand who come and go leave nothing behind: no goroutine, no stream, no view, nobody
// who follows the news.
func TestNothingIsLeftOfThoseWhoLeave(t *testing.T) {
	n, f, h, address := newsHub(t)
	id := h.ID(h.Snapshot(), 0)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	before := runtime.NumGoroutine()
	for i := range 1000 {
		query := url.Values{"view": {"/news", fmt.Sprint("/", i)}, "after": {id, id}}
		answer, err := client.Get(address + "?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK && i < 10 {
			t.Fatalf("%d: status %d", i, answer.StatusCode)
		}
		answer.Body.Close()
	}

	isClean := func() bool {
		f.shows("a") // what has ended is forgotten with the next change
		h.mu.Lock()
		defer h.mu.Unlock()
		n.mu.Lock()
		defer n.mu.Unlock()
		return h.streams == 0 && len(h.ended) == 0 && n.followed == 0 && runtime.NumGoroutine() <= before+2
	}
	for end := time.Now().Add(10 * time.Second); !isClean(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d streams, %d followers, %d goroutines, before %d", h.streams, n.followed, runtime.NumGoroutine(), before)
		}
	}
}
