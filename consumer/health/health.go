// Package health holds what keeps the daemon from its work, and the loops that try until
// it works again: Health is the list that /readyz and `supernats doctor` show, Retry
// spaces out tries and reports what lasts, Unbroken ends a question to NATS that no
// answer can reach any more.
//
// Under pressure nothing here grows: a cause has one entry, however often it is raised,
// and one log line when it begins and when it ends. An error that repeats is logged once
// an hour (see schema/repeat). A retry never gives up; its pause stays below 5 seconds.
package health

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// Grace is how long something may fail before it is a trouble of the daemon: a
	// server restarts, a leader is elected.
	Grace = 2 * time.Second

	// RunDoctor is the fix of a trouble whose reason is not known here.
	RunDoctor = "`supernats doctor` looks closer"
)

// Health holds the troubles of the daemon, one for each cause: those that keep it from
// its work (/readyz answers 503) and warnings (/readyz shows them and answers 200).
//
// Every part may raise and clear a cause as often as it likes; only the first and the
// last time are logged. It is safe for concurrent use.
type Health struct {
	log zerolog.Logger

	mu       sync.Mutex
	troubles map[string]Trouble // by cause
}

// Trouble is something that the daemon cannot do.
type Trouble struct {
	// Cause is a word or two that stay the same, such as nats or stream-missing.
	Cause string
	// Text is what is wrong, Fix what to do about it, for people.
	Text, Fix string
	// Since is when the cause was raised first.
	Since time.Time
	// Mere marks a warning: the daemon does all its work.
	Mere bool
}

// New returns a Health without troubles.
func New(log zerolog.Logger) *Health {
	return &Health{log: log, troubles: map[string]Trouble{}}
}

// Raise reports that something is wrong, or still is. A new text replaces the old one.
func (h *Health) Raise(cause, text, fix string) {
	h.setTrouble(Trouble{Cause: cause, Text: text, Fix: fix})
}

// Warn is Raise for a warning, which keeps the daemon from nothing.
func (h *Health) Warn(cause, text, fix string) {
	h.setTrouble(Trouble{Cause: cause, Text: text, Fix: fix, Mere: true})
}

func (h *Health) setTrouble(t Trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()

	before, lasts := h.troubles[t.Cause]
	if lasts {
		t.Since = before.Since
		h.troubles[t.Cause] = t
		return
	}

	t.Since = time.Now()
	h.troubles[t.Cause] = t
	level := zerolog.ErrorLevel
	if t.Mere {
		level = zerolog.WarnLevel
	}
	h.log.WithLevel(level).Str("cause", t.Cause).Str("fix", t.Fix).Msg(t.Text)
}

// Clear reports that what the cause is about works.
func (h *Health) Clear(cause string) {
	h.mu.Lock()
	defer h.mu.Unlock()

	ended, ok := h.troubles[cause]
	if !ok {
		return
	}
	delete(h.troubles, cause)
	h.log.Info().Str("cause", cause).Dur("lasted_ms", time.Since(ended.Since)).Msg("no longer: " + ended.Text)
}

// Failures returns what keeps the daemon from its work, the oldest first.
func (h *Health) Failures() []Trouble { return h.listSorted(false) }

// Warnings returns what needs somebody and keeps the daemon from nothing, the oldest first.
func (h *Health) Warnings() []Trouble { return h.listSorted(true) }

func (h *Health) listSorted(mere bool) []Trouble {
	h.mu.Lock()
	defer h.mu.Unlock()

	list := make([]Trouble, 0, len(h.troubles))
	for _, t := range h.troubles {
		if t.Mere == mere {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b Trouble) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Cause, b.Cause))
	})
	return list
}
