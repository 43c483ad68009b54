package alerts

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/incident"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// applyRecord takes the record of a host after a message changed it: what its bridges cannot do,
// which supervisords it has, and when each was seen.
func (hs *hosts) applyRecord(m Meta, rec *schema.HostRecord) {
	h := hs.host(rec.Host, m.Stored)
	h.describe(rec)
	hs.followMostSilent(h, rec)
	if hs.restored.knows(m) {
		h.learnTroubles(rec)
		return
	}

	hs.endSeveral(h, m)
	hs.followRestart(h, rec, m)
	hs.applyTroubles(h, rec, m)
}

// describe notes what is known of a host in case that it falls silent.
func (h *host) describe(rec *schema.HostRecord) {
	h.why = whySilent(rec)
	h.stops = rec.Stopping != nil
	h.goodbye = rec.SaidGoodbye()
}

// followMostSilent notes when the most silent of several supervisords was seen: a host is
// as silent as that one.
func (hs *hosts) followMostSilent(h *host, rec *schema.HostRecord) {
	least, several := mostSilent(rec)
	h.several = several
	if !several {
		return
	}

	before := h.seen
	h.seen = least
	if !h.seen.Before(before) {
		return
	}
	for _, w := range h.watches {
		if w.inc == nil {
			hs.schedule(w, hs.silentAt(w))
		}
	}
}

// isExpected reports whether a life of a supervisord should be heard.
func isExpected(l *schema.HostLife) bool { return l.Ended == nil && l.Stopping == nil && !l.Succeeded }

// mostSilent returns when that one of the supervisords of a host was seen which is silent
// for longest, and whether there are several that should be heard.
func mostSilent(rec *schema.HostRecord) (seen time.Time, several bool) {
	n := 0
	for i := range rec.Lives {
		l := &rec.Lives[i]
		if !isExpected(l) {
			continue
		}
		if heard := rec.Heard(l); n == 0 || heard.Before(seen) {
			seen = heard
		}
		n++
	}
	return schema.Instant(seen), n > 1
}

// endSeveral ends the incident of a host of which all supervisords have been heard again.
func (hs *hosts) endSeveral(h *host, m Meta) {
	if !h.several {
		return
	}
	for _, w := range h.watches {
		if w.inc != nil && !w.inc.Knows(m) && hs.silentAt(w).After(m.Stored) {
			hs.endSilence(w, m.Stored)
		}
	}
}

// followRestart notes whether the host's supervisord stops: of several, all of them.
func (hs *hosts) followRestart(h *host, rec *schema.HostRecord, m Meta) {
	gate := hs.book.Gate
	if !gate.MutesRestarts() || h.known.Covers(m) {
		return
	}
	switch {
	case rec.Stopping == nil:
		if gate.Running(h.name) {
			hs.book.Notifier.Release(h.name, m.Stored)
		}
	case !gate.IsStopping(h.name):
		gate.Stopping(h.name, schema.Instant(rec.Stopping.Time))
	}
}

// whySilent says what is known of a host that sends nothing more, "" if nothing is.
func whySilent(rec *schema.HostRecord) string {
	if rec.Stopping != nil {
		return "its supervisord announced its shutdown"
	}
	if rec.SupervisorState == schema.SupervisorGone {
		return "its supervisord died without a shutdown"
	}
	if silent, living := silentLives(rec); len(silent) > 0 && len(silent) < living {
		return "of its " + strconv.Itoa(living) + " supervisords " + strings.Join(silent, ", ") + " sends nothing"
	}
	if haveStopped(rec.Bridges) {
		return "its bridge was stopped"
	}
	return ""
}

// silentLives returns the names of the supervisords that have sent nothing for a minute
// before the host was seen last, and how many should be heard.
func silentLives(rec *schema.HostRecord) (silent []string, living int) {
	for i := range rec.Lives {
		l := &rec.Lives[i]
		if !isExpected(l) {
			continue
		}
		living++
		if rec.LastSeen.Sub(rec.Heard(l)) > time.Minute {
			silent = append(silent, strconv.Quote(l.Server))
		}
	}
	return silent, living
}

// haveStopped reports whether there are bridges and all of them have stopped.
func haveStopped(bridges []schema.HostBridge) bool {
	for i := range bridges {
		if bridges[i].Stopped == nil {
			return false
		}
	}
	return len(bridges) > 0
}

// applyTroubles compares the troubles of a host with those that it had before.
func (hs *hosts) applyTroubles(h *host, rec *schema.HostRecord, m Meta) {
	before := h.troubles
	h.learnTroubles(rec)
	for _, r := range hs.set.Troubles {
		if !r.OnHost(h.name) {
			continue
		}

		for _, t := range h.troubles {
			if r.HasCause(t.Cause) {
				hs.updateTrouble(r, h, t, hasCause(before, t.Cause), true, m)
			}
		}
		for _, t := range before {
			if r.HasCause(t.Cause) && !hasCause(h.troubles, t.Cause) {
				hs.updateTrouble(r, h, t, true, false, m)
			}
		}
	}
}

// updateTrouble brings the incident of a rule up to a cause that a host has, or has no
// more. A cause stands where other rules have a process.
func (hs *hosts) updateTrouble(r *rules.Rule, h *host, t schema.HostTrouble, was, now bool, m Meta) {
	roster := &hs.book.Register.Roster
	cause := roster.Process(member.Name{Host: h.name, Process: t.Cause})
	hs.book.Update(incident.Condition{
		Rule: r, Key: r.Key(h.name, "", ""), Process: cause, Meta: m,
		Was: was, Now: now, Well: true, Floor: hs.restored.catchingUp,
		Event: func() *schema.AlertEvent { return troubleOf(h.name, t, m) },
	})
	roster.Release(cause)
}

// learnTroubles keeps one trouble of each cause, the oldest.
func (h *host) learnTroubles(rec *schema.HostRecord) {
	h.troubles = nil
	for _, t := range rec.Troubles {
		if !hasCause(h.troubles, t.Cause) {
			h.troubles = append(h.troubles, t)
		}
	}
}

func hasCause(list []schema.HostTrouble, cause string) bool {
	return slices.ContainsFunc(list, func(t schema.HostTrouble) bool { return t.Cause == cause })
}

// catchUp checks the rules over troubles against those that hosts have.
func (hs *hosts) catchUp() {
	for _, name := range slices.Sorted(maps.Keys(hs.byName)) {
		h := hs.byName[name]
		m := Meta{Seq: h.known.Seq, Stored: h.known.At}
		for _, r := range hs.set.Troubles {
			if r.OnHost(h.name) {
				hs.catchUpTroubles(r, h, m)
			}
		}
	}
}

func (hs *hosts) catchUpTroubles(r *rules.Rule, h *host, m Meta) {
	for _, t := range h.troubles {
		if r.HasCause(t.Cause) {
			hs.updateTrouble(r, h, t, true, true, m)
		}
	}

	inc := hs.book.Register.Lookup(r.Key(h.name, "", ""))
	if inc == nil {
		return
	}
	for _, mem := range slices.Clone(inc.Members()) {
		cause := mem.Process.Name.Process
		if !hasCause(h.troubles, cause) {
			hs.updateTrouble(r, h, schema.HostTrouble{Cause: cause}, true, false, m)
		}
	}
}

// restore takes the record of a host, and returns when it was seen.
func (hs *hosts) restore(rec *schema.HostRecord) time.Time {
	at := schema.Instant(rec.LastSeen.Time)
	hs.restored.floor.Raise(rec.Seq, at)
	seen := at
	if least, several := mostSilent(rec); several {
		seen = least
	}

	h := hs.host(rec.Host, seen)
	h.known = clock.Mark{Seq: rec.Seq, At: at}
	if rec.Stopping != nil {
		hs.book.Gate.Stopping(h.name, schema.Instant(rec.Stopping.Time))
	}
	h.describe(rec)
	h.learnTroubles(rec)
	hs.followMostSilent(h, rec)
	return at
}

// restoreSilence connects an incident with the host that it is about.
func (hs *hosts) restoreSilence(inc *incident.Incident) {
	rec := inc.Record()
	if rec.EndedBy == schema.EndedForgotten {
		return // there is no such host any more, or another one
	}

	seen := rec.Opened.Time
	switch {
	case inc.IsHeard():
		seen = rec.HeardSince.Time
	case rec.Closed != nil: // by a message that the record of the host may not have seen
		seen = rec.Closed.Time
	}
	h := hs.host(inc.Key().Host, seen)
	h.seen = clock.Later(h.seen, seen)
	if rec.Phase == schema.PhaseResolved {
		return
	}

	w := h.watchOf(inc.Rule())
	if w == nil { // the rule is not about this host any more
		w = &watch{rule: inc.Rule(), host: h, key: inc.Key()}
		w.timer = clock.NewWatch(w.rule, w.key, func(time.Time) {})
		h.watches = append(h.watches, w)
	}
	w.inc = inc
	if rec.Graced != nil {
		h.graced = clock.Later(h.graced, rec.Graced.Time)
	}
	switch {
	case inc.IsHeard():
		hs.schedule(w, hs.silentAt(w))
	case inc.Fires():
		hs.book.Clock.Set(&w.timer, time.Time{})
	}
}
