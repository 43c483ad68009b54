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
	h := f.byName[w.Host]
	if h == nil || h.rec.Seq >= m.Seq && h.rec.Seq > 0 || w.LastSeen != nil && instant(h.rec.LastSeen.Time).After(w.LastSeen.Time) {
		return gone
	}
	gone.HostKey = h.key
	for _, p := range h.processes {
		gone.States = append(gone.States, p.key)
	}
	slices.Sort(gone.States)
	f.processes -= len(h.processes)
	delete(f.byName, h.rec.Host)
	delete(f.byToken, h.key)
	return gone
}

// ForgetGone drops the processes that their supervisord has not had any more since
// before a time.
func (f *Fleet) ForgetGone(before time.Time) (states []string) {
	for _, h := range f.byName {
		for who, p := range h.processes {
			if p.rec.Gone != nil && p.rec.Gone.Before(before) && p.rec.Updated.Before(before) {
				states = append(states, p.key)
				delete(h.processes, who)
				f.processes--
			}
		}
	}
	slices.Sort(states)
	return states
}

// Silent returns what is to be said of hosts that are gone for good: those that were to
// be gone once their supervisord had been stopped, and have been silent for a while since,
// and, if longSilent is not zero, those that were seen last before that.
func (f *Fleet) Silent(now, longSilent time.Time) (list []*schema.Forgotten) {
	for _, h := range f.byName {
		seen := h.rec.LastSeen
		why := ""
		switch {
		case seen.IsZero():
		case h.rec.SaidGoodbye() && now.Sub(seen.Time) > SilentAfter:
			why = schema.ForgottenEphemeral
		case !longSilent.IsZero() && seen.Before(longSilent):
			why = schema.ForgottenByAge
		}
		if why != "" {
			list = append(list, &schema.Forgotten{Host: h.rec.Host, Reason: why, LastSeen: &seen})
		}
	}
	return list
}
