// Package live sends what changes on a page to those who look at it, as server-sent events.
//
// A view is what one page shows of the fleet. It is rendered once for all of its viewers,
// whenever there is a new snapshot, at most four times a second; viewers get the difference
// as rows of HTML. A viewer who was away resumes with the last id that it has seen, if the
// snapshot of that id is still known, else it is asked to get the page again.
//
// Under pressure: at most Max streams of MaxViews views each are served, the next one gets
// 503. What waits for a viewer is bounded by waitingBatches, and each write by
// writeTimeout: who is slower is asked to get the page again, and its stream ends. Nobody
// waits for a viewer.
package live

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"supernats/consumer/fleet"
)

const (
	// MaxViews is how many views one stream may have: a browser has one stream for all of
	// its tabs.
	MaxViews = 32
	// waitingBatches is how many updates may wait for a viewer: two seconds of them.
	waitingBatches = 8
	// keptSnapshots is how many snapshots are kept for viewers who resume: a minute of
	// them. They share what has not changed.
	keptSnapshots = 256
)

// Render turns a snapshot into what a view shows.
type Render func(s *fleet.Snapshot) (*Frame, error)

// Source has the snapshots: a *fleet.Fleet.
type Source interface {
	Snapshot() *fleet.Snapshot
	// Subscribe returns a channel that holds a value when there is a newer snapshot than at
	// the last receive.
	Subscribe() (changed <-chan struct{}, stop func())
}

// Hub serves the streams of all viewers. Run fills them.
type Hub struct {
	source Source
	open   func(view string) (Render, error)
	max    int
	// epoch distinguishes the ids of this process from those of another one.
	epoch string
	// joining hands streams over to Run.
	joining chan *stream

	mu sync.Mutex
	// ended are streams that Run has to forget, streams counts those that are served.
	ended   []*stream
	streams int
	// kept are the last snapshots, oldest first.
	kept []*fleet.Snapshot
}

// New returns a hub that serves up to max streams. open returns what shows the view of an
// address ("/hosts/web1?sort=name"), or an error if there is none.
func New(source Source, max int, open func(view string) (Render, error)) *Hub {
	return &Hub{
		source: source, open: open, max: max, joining: make(chan *stream),
		epoch: strconv.FormatInt(time.Now().UnixNano(), 36),
	}
}

// Snapshot returns the newest snapshot, from which viewers can resume, with its id.
func (h *Hub) Snapshot() (s *fleet.Snapshot, id string) {
	s = h.source.Snapshot()
	h.keep(s)
	return s, h.idOf(s)
}

func (h *Hub) idOf(s *fleet.Snapshot) string {
	return h.epoch + "." + strconv.FormatUint(s.Version, 10)
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

// find returns the snapshot of an id, nil if it is no longer known.
func (h *Hub) find(id string) *fleet.Snapshot {
	epoch, number, _ := strings.Cut(id, ".")
	version, err := strconv.ParseUint(number, 10, 64)
	if epoch != h.epoch || err != nil {
		return nil
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.kept {
		if s.Version == version {
			return s
		}
	}
	return nil
}

// view is what at least one stream shows. It belongs to Run.
type view struct {
	render Render
	// frame is what its viewers have, as of the snapshot of Run.
	frame *Frame
	used  int
}

// room is what Run works on.
type room struct {
	hub     *Hub
	now     *fleet.Snapshot
	views   map[string]*view
	streams map[*stream]bool
}

// Run sends changes to viewers until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	changed, stop := h.source.Subscribe()
	defer stop()

	r := &room{hub: h, now: h.source.Snapshot(), views: map[string]*view{}, streams: map[*stream]bool{}}
	h.keep(r.now)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-h.joining:
			r.forgetEnded()
			r.join(s)
		case <-changed:
			r.forgetEnded()
			r.update(h.source.Snapshot())
		}
	}
}

// join adds a stream, which gets what has changed since its viewers got their pages.
func (r *room) join(s *stream) {
	var first []byte
	for i, name := range s.views {
		v := r.views[name]
		if v == nil {
			frame, err := s.renders[i](r.now)
			if err != nil {
				frame = &Frame{Mark: err.Error()}
			}
			v = &view{render: s.renders[i], frame: frame}
			r.views[name] = v
		}
		v.used++

		first = append(first, r.resume(name, v, s.after[i])...)
	}
	r.streams[s] = true
	s.send(batch{id: r.hub.idOf(r.now), text: first})
}

// resume writes what has changed in a view since the snapshot of an id.
func (r *room) resume(name string, v *view, id string) []byte {
	frame := &Frame{Mark: "unknown"}
	if s := r.hub.find(id); s != nil {
		if known, err := v.render(s); err == nil {
			frame = known
		}
	}
	return difference(name, frame, v.frame)
}

// update sends what is different in a newer snapshot.
func (r *room) update(s *fleet.Snapshot) {
	if s == r.now {
		return
	}
	r.now = s
	r.hub.keep(s)

	texts := make(map[string][]byte, len(r.views))
	for name, v := range r.views {
		frame, err := v.render(s)
		if err != nil {
			frame = &Frame{Mark: err.Error()}
		}
		texts[name] = difference(name, v.frame, frame)
		v.frame = frame
	}

	for st := range r.streams {
		b := batch{id: r.hub.idOf(s)}
		for _, name := range st.views {
			b.text = append(b.text, texts[name]...)
		}
		if len(b.text) > 0 {
			st.send(b)
		}
	}
}

// forgetEnded drops the streams that have ended, and the views that nobody looks at.
func (r *room) forgetEnded() {
	r.hub.mu.Lock()
	ended := r.hub.ended
	r.hub.ended = nil
	r.hub.mu.Unlock()

	for _, s := range ended {
		if !r.streams[s] {
			continue
		}
		delete(r.streams, s)
		for _, name := range s.views {
			if r.views[name].used--; r.views[name].used == 0 {
				delete(r.views, name)
			}
		}
	}
}
