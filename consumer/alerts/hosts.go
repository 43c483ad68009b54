package alerts

import (
	"slices"
	"strings"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/incident"
	"supernats/consumer/rules"
	"supernats/schema"
)

// hosts follows when hosts were seen, for the rules over silence, and what their records
// say, for the rules over troubles. It is what the incidents ask about their hosts.
type hosts struct {
	set      *rules.Set
	book     *incident.Book
	restored *restored
	byName   map[string]*host
	// trusted is when hosts began to be seen as often as they send.
	trusted time.Time
}

// host is a host that was seen.
type host struct {
	name string
	// seen is when its last message was stored. several says that it has more than one
	// supervisord: seen is that of the most silent one then.
	seen    time.Time
	several bool
	// graced is until when it has time to come back, after nobody could reach the stream.
	graced time.Time
	// why is what is known of its silence, troubles are those of its record.
	why      string
	troubles []schema.HostTrouble
	// stops says that its supervisord is shutting down, whether alerts are held back for
	// that or not; goodbye that the host is not to come back.
	stops, goodbye bool
	// known is the last message that its record had seen when it was restored.
	known   clock.Mark
	watches []*watch
}

// watch is one rule over one silent host.
type watch struct {
	rule  *rules.Rule
	host  *host
	key   rules.Key
	timer clock.Timer
	// inc is set while the host is silent, or has not come back after an outage.
	inc *incident.Incident
}

// cause is the part of an id that says which silence it is.
func (w *watch) cause() string { return w.host.name + "/" + timeID(w.host.seen) }

// host returns what is known of a host, and begins to watch it.
func (hs *hosts) host(name string, at time.Time) *host {
	if h := hs.byName[name]; h != nil {
		return h
	}

	h := &host{name: strings.Clone(name), seen: at}
	hs.byName[h.name] = h
	for _, r := range hs.set.Silent {
		if !r.OnHost(h.name) {
			continue
		}
		w := &watch{rule: r, host: h, key: r.Key(h.name, "", "")}
		w.timer = clock.NewWatch(r, w.key, func(at time.Time) { hs.onTimer(w, at) })
		h.watches = append(h.watches, w)
		hs.schedule(w, at.Add(r.Silent))
	}
	return h
}

// schedule sets the timer of a watch, not before now.
func (hs *hosts) schedule(w *watch, at time.Time) {
	hs.book.Clock.Set(&w.timer, clock.Later(at, hs.book.Clock.Now()))
}

// noteSeen takes a sign of life of the host that has sent a message.
func (hs *hosts) noteSeen(m *Message) {
	stored := m.Meta.Stored
	h := hs.host(m.Host, stored)
	if h.several {
		return // its record says when each supervisord was seen, see followMostSilent
	}
	h.seen = clock.Later(h.seen, stored)
	for _, w := range h.watches {
		if w.inc == nil || w.inc.Knows(m.Meta) || hs.restored.knows(m.Meta) {
			continue
		}
		hs.endSilence(w, stored)
	}
}

// endSilence takes a host that has been heard again.
func (hs *hosts) endSilence(w *watch, at time.Time) {
	if w.inc.IsHeard() {
		return
	}
	if hs.book.Heard(w.inc, at) {
		w.inc = nil
	}
	hs.book.Clock.Set(&w.timer, hs.silentAt(w))
}

// silentAt is when a host will have been silent for too long. Whether others are silent too
// makes no difference, unless nobody could reach the stream.
func (hs *hosts) silentAt(w *watch) time.Time {
	due := clock.Later(w.host.seen, hs.trusted).Add(w.rule.Silent)
	return clock.Later(due, w.host.graced)
}

// onTimer is the timer of a watch. It is not set again for each message, so it may find that
// it is too early.
func (hs *hosts) onTimer(w *watch, at time.Time) {
	if due := hs.silentAt(w); due.After(at) {
		hs.book.Clock.Set(&w.timer, due)
		return
	}
	if w.host.goodbye { // it is to be forgotten; if it is not, and comes back, this is looked at again
		hs.book.Clock.Set(&w.timer, at.Add(w.rule.Silent))
		return
	}

	if w.inc == nil || !w.inc.IsHeard() {
		w.inc = hs.book.Incident(w.rule, w.key)
	}
	// Where its supervisord stops somebody knows, and it will stay so.
	hs.book.Silent(w.inc, w.cause(), w.host.seen, w.host.stops, at)
}

// comeBack is how long a bridge may take to reach a NATS that is there again: it tries each
// of its servers twice a second, and one that does not answer costs it seconds.
const comeBack = 45 * time.Second

// giveGrace gives every host time to come back. The record of a pending alert remembers it.
func (hs *hosts) giveGrace(m Meta) {
	if hs.restored.knows(m) {
		return
	}
	for _, h := range hs.byName {
		for _, w := range h.watches {
			if w.inc != nil && w.inc.Fires() {
				continue
			}
			// Never longer than the rule would wait for a sign of now.
			h.graced = clock.Later(h.graced, m.Stored.Add(min(comeBack, w.rule.Silent)))
			if inc := hs.book.Register.Lookup(w.key); inc != nil && (inc.IsHeld() || inc.Knows(m)) {
				continue
			}
			w.inc = hs.book.Incident(w.rule, w.key)
			hs.book.Grace(w.inc, w.cause(), h.seen, h.graced, m)
		}
	}
}

// noteRestart notes when a supervisord stops and when it runs again.
func (hs *hosts) noteRestart(m Meta, e *schema.Event) {
	if e.Event != schema.SupervisorStateChangeStopping && e.Event != schema.SupervisorStateChangeRunning {
		return
	}
	h := hs.host(e.Host, m.Stored)
	if h.known.Covers(m) || h.several {
		return
	}

	if e.Event == schema.SupervisorStateChangeStopping {
		hs.book.Gate.Stopping(h.name, m.Stored)
	} else if hs.book.Gate.Running(h.name) {
		hs.book.Notifier.Release(h.name, m.Stored)
	}
}

// trustFrom notes since when hosts are seen as often as they send.
func (hs *hosts) trustFrom(t time.Time) { hs.trusted = clock.Later(hs.trusted, t) }

// knows reports whether the record of a host had seen a message when it was restored.
func (hs *hosts) knows(name string, m Meta) bool {
	h := hs.byName[name]
	return h != nil && h.known.Covers(m)
}

// unwatch ends waiting for a host.
func (hs *hosts) unwatch(name string) {
	h := hs.byName[name]
	if h == nil {
		return
	}
	for _, w := range h.watches {
		w.inc = nil
		hs.book.Clock.Set(&w.timer, time.Time{})
	}
	h.watches = nil
}

// forget drops what is known of a host.
func (hs *hosts) forget(name string) {
	hs.book.Gate.Running(name)
	delete(hs.byName, name)
}

// WhySilent implements incident.Hosts.
func (hs *hosts) WhySilent(name string) string {
	if h := hs.byName[name]; h != nil {
		return h.why
	}
	return ""
}

// Stops implements incident.Hosts.
func (hs *hosts) Stops(name string) bool {
	h := hs.byName[name]
	return h != nil && h.stops
}

// Closed implements incident.Hosts.
func (hs *hosts) Closed(inc *incident.Incident) {
	h := hs.byName[inc.Key().Host]
	if h == nil {
		return
	}
	if w := h.watchOf(inc.Rule()); w != nil && w.inc == inc {
		w.inc = nil
	}
}

// watchOf returns the watch of a rule, nil if the rule is not about the host.
func (h *host) watchOf(r *rules.Rule) *watch {
	if i := slices.IndexFunc(h.watches, func(w *watch) bool { return w.rule == r }); i >= 0 {
		return h.watches[i]
	}
	return nil
}
