package state

import (
	"slices"
	"time"

	"supernats/schema"
)

// Forgotten are the records that are to be deleted.
type Forgotten struct {
	// HostKey is empty if no host was forgotten.
	HostKey string
	States  []string
}

// Forget drops a host and its processes, unless it is not known or a message after m has
// been applied to it. What it sends later makes a new one.
func (f *Fleet) Forget(m Meta, w *schema.Forgotten) (gone Forgotten) {
	h := f.hosts.byName[w.Host]
	if h == nil || h.hasSeen(m) {
		return gone
	}
	if w.LastSeen != nil && schema.Instant(h.lives.Record.LastSeen.Time).After(w.LastSeen.Time) {
		return gone
	}

	gone.HostKey = h.key
	for _, p := range h.processes {
		gone.States = append(gone.States, p.key)
	}
	slices.Sort(gone.States)
	f.hosts.drop(h)
	return gone
}

// hasSeen reports whether a message, or one after it, has been applied to a host.
func (h *host) hasSeen(m Meta) bool {
	seq := h.lives.Record.Seq
	return seq >= m.Seq && seq > 0
}

// ForgetGone drops the processes that their supervisord has not had any more since before a
// time.
func (f *Fleet) ForgetGone(before time.Time) (states []string) {
	for _, h := range f.hosts.byName {
		for who, p := range h.processes {
			if p.rec.Gone != nil && p.rec.Gone.Before(before) && p.rec.Updated.Before(before) {
				states = append(states, p.key)
				f.hosts.dropProcess(h, who)
			}
		}
	}
	slices.Sort(states)
	return states
}

// Silent returns what is to be said of hosts that are gone for good: those that were to be
// gone once their supervisord had been stopped, and have been silent for a while since, and,
// if longSilent is not zero, those that were seen last before that.
func (f *Fleet) Silent(now, longSilent time.Time) (list []*schema.Forgotten) {
	for _, h := range f.hosts.byName {
		rec := &h.lives.Record
		seen := rec.LastSeen
		why := ""
		switch {
		case seen.IsZero():
		case rec.SaidGoodbye() && now.Sub(seen.Time) > SilentAfter:
			why = schema.ForgottenEphemeral
		case !longSilent.IsZero() && seen.Before(longSilent):
			why = schema.ForgottenByAge
		}
		if why != "" {
			list = append(list, &schema.Forgotten{Host: rec.Host, Reason: why, LastSeen: &seen})
		}
	}
	return list
}
