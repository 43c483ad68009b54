// Package live sends what changes on a page to those who look at it, as server-sent events.
//
// A view is what one page shows of the fleet. It is rendered once for all of its viewers,
// whenever there is a new snapshot, at most four times a second; viewers get the difference
// as rows of HTML. What happens too often to be in a snapshot comes as News, which grow at
// their top. A viewer who was away resumes with the last id that it has seen, if the snapshot
// and the news of that id are still known, else it is asked to get the page again.
//
// Under pressure: at most Max streams of MaxViews views each are served, the next one gets
// 503. What waits for a viewer is bounded by waitingBatches, and each write by
// writeTimeout: who is slower is asked to get the page again, and its stream ends. Nobody
// waits for a viewer. A view with more than crowd news at once gets them once a second.
// Viewers who are asked for the page again come one after the other, resetSpread apart, and
// are not asked again before the last of them has come.
package live

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"supernats/consumer/fleet"
)

const (
	// MaxViews is how many views one stream may have: a browser has one stream for all of
	// its tabs.
	MaxViews = 32
	// updateEvery is the shortest time between two updates.
	updateEvery = 250 * time.Millisecond
	// waitingBatches is how many updates may wait for a viewer: two seconds of them.
	waitingBatches = 8
	// keptSnapshots is how many snapshots are kept for viewers who resume: a minute of
	// them. They share what has not changed.
	keptSnapshots = 256
	// crowd is how many news may come four times a second: a person reads fewer.
	crowd = 25
	// crowdEvery is how often more of them come.
	crowdEvery = time.Second
	// resetSpread is the time for one request of a page: 200 viewers ask within 0.8 s.
	resetSpread = 4 * time.Millisecond
)

// View is what a page shows.
type View struct {
	// Key tells it apart: all who look at views of one key get the same.
	Key    string
	Render func(s *fleet.Snapshot) (*Frame, error)
	// News is what comes at the top of a list; nil: nothing does.
	News News
}

// News are what happens, in the order of their places.
type News interface {
	// Follow asks for what comes after a place, until stop is called.
	Follow(after uint64) (stop func())
	// Last is the place of the newest one.
	Last() uint64
	// Rows returns the rows after one place and up to another, oldest first; false if they
	// are no longer known.
	Rows(after, through uint64) (rows []Row, whole bool)
}

// Source has the snapshots: a *fleet.Fleet.
type Source interface {
	Snapshot() *fleet.Snapshot
	// Subscribe returns a channel that holds a value when there is a newer snapshot than at
	// the last receive.
	Subscribe() (changed <-chan struct{}, stop func())
}

// Options are what a hub needs.
type Options struct {
	Source Source
	// NewsChanged holds a value when there are newer News; nil: there never are.
	NewsChanged <-chan struct{}
	// Max is how many streams are served.
	Max int
	// Open returns what an address shows ("/hosts/web1?sort=name") to who sends a request, or
	// an error if there is no such page.
	Open func(r *http.Request, address string) (*View, error)
}

// Hub serves the streams of all viewers. Run fills them.
type Hub struct {
	Options
	// every is updateEvery, but in tests.
	every time.Duration
	// epoch distinguishes the ids of pages of this process from those of another one.
	epoch string
	// joining hands streams over to Run.
	joining chan *stream

	mu sync.Mutex
	// ended are streams that Run has to forget, streams counts those that are served.
	ended   []*stream
	streams int
	// kept are the last snapshots, oldest first.
	kept []*fleet.Snapshot
	// marks are the last ids, by number.
	marks []mark
}

// New returns a hub.
func New(o Options) *Hub {
	return &Hub{
		Options: o, every: updateEvery, joining: make(chan *stream),
		epoch: strconv.FormatInt(time.Now().UnixNano(), 36),
	}
}

// Snapshot returns the newest snapshot, from which viewers can resume.
func (h *Hub) Snapshot() *fleet.Snapshot {
	s := h.Source.Snapshot()
	h.keep(s)
	return s
}

// ID is the id of a page, whose viewers have a snapshot and all news up to a place.
func (h *Hub) ID(s *fleet.Snapshot, place uint64) string {
	return h.epoch + "." + h.eventID(s, place)
}

// eventID is the id of an event after which they have that.
func (h *Hub) eventID(s *fleet.Snapshot, place uint64) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strconv.FormatUint(h.number(s.Seq, s.Version, place), 10)
}

// keep remembers a snapshot for a while.
func (h *Hub) keep(s *fleet.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.kept) - 1; i >= 0 && h.kept[i].Version >= s.Version; i-- {
		if h.kept[i].Version == s.Version {
			return
		}
	}

	h.kept = append(h.kept, s)
	if len(h.kept) > keptSnapshots {
		h.kept = append(h.kept[:0:0], h.kept[1:]...)
	}
}

// find returns what an id says, nil if its snapshot is no longer known.
func (h *Hub) find(id string) (s *fleet.Snapshot, place uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, known := h.markOf(id)
	if !known {
		return nil, 0
	}
	for _, s := range h.kept {
		if s.Version == m.version {
			return s, m.place
		}
	}
	return nil, 0
}

// Run sends changes to viewers until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	changed, stop := h.Source.Subscribe()
	defer stop()
	r := &room{hub: h, now: h.Snapshot(), views: map[string]*view{}, streams: map[*stream]bool{}}
	defer r.close()

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-h.joining:
			r.join(s)
			r.forgetEnded() // after it: it may have ended already
		case <-changed:
			r.updateSoon()
		case <-h.NewsChanged:
			r.updateSoon()
		case <-r.due:
			r.update()
		}
	}
}
