package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"supernats/consumer/web/site"
)

const (
	// pingEvery is how often a stream shows that it lives: proxies close what is silent for
	// a minute, and a page calls it dead after 45 s.
	pingEvery = 20 * time.Second
	// writeTimeout is how long one write may take.
	writeTimeout = 10 * time.Second
)

// stream is one connection of a viewer.
type stream struct {
	views []*View
	// addresses are those of the views, after the ids of what they show so far.
	addresses, after []string

	waiting chan batch
	// slow is closed when more has come than may wait.
	slow     chan struct{}
	slowOnce sync.Once
}

// batch is what one snapshot has changed. id is sent with the last of its events: who has
// it has them all.
type batch struct {
	id   string
	text []byte
}

// events returns the text with the id in its last event: a ping if there is no other.
func (b batch) events() []byte {
	text := b.text
	if len(text) == 0 {
		text = ping()
	}
	return append(text[:len(text)-1:len(text)-1], "id: "+b.id+"\n\n"...)
}

// ping shows that the stream lives, and what time it is.
func ping() []byte {
	var b bytes.Buffer
	writeEvent(&b, eventPing, message{Now: time.Now().UnixMilli()})
	return b.Bytes()
}

// send hands a batch to the one who writes it. It never waits.
func (s *stream) send(b batch) {
	select {
	case s.waiting <- b:
	default:
		s.slowOnce.Do(func() { close(s.slow) })
	}
}

// ServeHTTP answers GET ?view=ADDRESS&after=ID, both any number of times: the views of the
// tabs of one browser, and what they show.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, err := h.parse(r)
	if err != nil {
		site.NewProblem(http.StatusBadRequest, err.Error()).Write(w)
		return
	}
	if !h.enter() {
		w.Header().Set("Retry-After", "30")
		site.NewProblem(http.StatusServiceUnavailable, fmt.Sprintf("%d live streams are being served, which is "+
			"the limit: get the page again every 30 s, or raise web.max_streams", h.Max)).Write(w)
		return
	}
	defer h.leave(s)

	select {
	case h.joining <- s:
	case <-r.Context().Done():
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would keep the events back
	_ = s.write(r.Context(), writer{w, http.NewResponseController(w)}, h)
}

// parse reads what a request asks for.
func (h *Hub) parse(r *http.Request) (*stream, error) {
	q := r.URL.Query()
	s := &stream{addresses: q["view"], waiting: make(chan batch, waitingBatches), slow: make(chan struct{})}
	if len(s.addresses) == 0 || len(s.addresses) > MaxViews {
		return nil, fmt.Errorf("view: %d of them: want 1 to %d addresses of pages, such as ?view=/alerts",
			len(s.addresses), MaxViews)
	}

	last := r.Header.Get("Last-Event-ID")
	for i, address := range s.addresses {
		if slices.Contains(s.addresses[:i], address) {
			return nil, fmt.Errorf("view: duplicate %.100q", address)
		}
		view, err := h.Open(r, address)
		if err != nil {
			return nil, fmt.Errorf("view: %w", err)
		}
		s.views = append(s.views, view)

		after := last
		if after == "" && i < len(q["after"]) {
			after = q["after"][i]
		}
		s.after = append(s.after, after)
	}
	return s, nil
}

func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams >= h.Max {
		return false
	}
	h.streams++
	return true
}

func (h *Hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams--
	h.ended = append(h.ended, s)
}

// errSlow says that a viewer does not take what is sent.
var errSlow = errors.New("viewer is too slow")

// writer writes events, each within writeTimeout, whatever the server allows for a whole
// answer.
type writer struct {
	http.ResponseWriter
	*http.ResponseController
}

func (w writer) writeNow(text []byte) error {
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.Flush()
}

// write writes events until the viewer leaves or is too slow.
func (s *stream) write(ctx context.Context, w writer, h *Hub) error {
	// The body was read: nothing else of the request may time out.
	_ = w.SetReadDeadline(time.Time{})
	if err := w.writeNow([]byte("retry: 2000\n\n")); err != nil {
		return err
	}

	pings := time.NewTicker(pingEvery)
	defer pings.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.slow:
			_ = w.writeNow([]byte("event: " + eventReset + "\ndata: {}\n\n"))
			return errSlow
		case b := <-s.waiting:
			err = w.writeNow(b.events())
		case <-pings.C:
			err = w.writeNow(ping())
		}
		if err != nil {
			return err
		}
	}
}
