package app

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// health holds what keeps the daemon from its work, by cause: /readyz is 503 with
// all of it; and what does not, but needs somebody: /readyz says it with a 200. Every part may raise and clear a cause as often as it likes; only the
// first and the last time are logged. It is safe for concurrent use.
type health struct {
	log zerolog.Logger

	mu       sync.Mutex
	troubles map[string]trouble
}

// trouble is something that the daemon cannot do.
type trouble struct {
	// Cause is a word or two that stay the same, such as nats or stream-missing.
	Cause string
	// Text says what is wrong, Fix what to do about it, for people.
	Text, Fix string
	Since     time.Time
	// Mere says that it keeps the daemon from nothing that anybody waits for.
	Mere bool
}

func newHealth(log zerolog.Logger) *health {
	return &health{log: log, troubles: map[string]trouble{}}
}

// raise says that something is wrong, or still is. A new text replaces the old one.
func (h *health) raise(cause, text, fix string) {
	h.put(trouble{Cause: cause, Text: text, Fix: fix})
}

// warn is raise for what keeps the daemon from nothing that anybody waits for.
func (h *health) warn(cause, text, fix string) {
	h.put(trouble{Cause: cause, Text: text, Fix: fix, Mere: true})
}

func (h *health) put(t trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()

	was, lasts := h.troubles[t.Cause]
	if t.Since = was.Since; !lasts {
		t.Since = time.Now()
		level := zerolog.ErrorLevel
		if t.Mere {
			level = zerolog.WarnLevel
		}
		h.log.WithLevel(level).Str("cause", t.Cause).Str("fix", t.Fix).Msg(t.Text)
	}
	h.troubles[t.Cause] = t
}

// clear says that nothing is wrong any more with what the cause is about.
func (h *health) clear(cause string) {
	h.mu.Lock()
	defer h.mu.Unlock()

	was, lasted := h.troubles[cause]
	if !lasted {
		return
	}
	delete(h.troubles, cause)
	h.log.Info().Str("cause", cause).Dur("lasted_ms", time.Since(was.Since)).Msg("no longer: " + was.Text)
}

// list returns what keeps the daemon from its work, the oldest first; warnings what does
// not.
func (h *health) list() []trouble { return h.those(false) }

func (h *health) warnings() []trouble { return h.those(true) }

func (h *health) those(mere bool) []trouble {
	h.mu.Lock()
	defer h.mu.Unlock()

	list := make([]trouble, 0, len(h.troubles))
	for _, t := range h.troubles {
		if t.Mere == mere {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b trouble) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Cause, b.Cause))
	})
	return list
}
