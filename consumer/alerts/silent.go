package alerts

import (
	"slices"
	"strings"
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

// host is a host that was seen.
type host struct {
	name string
	// seen is when its last message was stored.
	seen     time.Time
	stopping time.Time // since when its supervisord has been stopping
	// stops says that its supervisord stops, whether alerts are held back for it or not.
	stops bool
	// goodbye says that it is not to come back.
	goodbye bool
	// several says that it has more than one supervisord: seen is that of the most
	// silent one then.
	several bool
	// graced is until when it has time to come back, after nobody could reach the
	// stream.
	graced time.Time
	// why is what is known of its silence, troubles are those of its record.
	why      string
	troubles []schema.HostTrouble
	known    mark // the last message that its record had seen
	watches  []*watch
}

// watch is one rule over one silent host.
type watch struct {
	r     *rules.Rule
	h     *host
	timer timer
	inc   *incident // while it is silent, or has not come back after an outage
}

// host returns what is known of a host.
func (g *Engine) host(name string, at time.Time) *host {
	h := g.hosts[name]
	if h != nil {
		return h
	}
	h = &host{name: strings.Clone(name), seen: at}
	g.hosts[h.name] = h
	for _, r := range g.set.Silent {
		if !r.OnHost(h.name) {
			continue
		}
		w := &watch{r: r, h: h}
		w.timer = timer{index: -1, rank: r.Rank, key: r.Key(h.name, "", ""), watch: true, fire: func(at time.Time) { g.silent(w, at) }}
		h.watches = append(h.watches, w)
		g.timers.set(&w.timer, later(at.Add(r.Silent), g.clock))
	}
	return h
}

// Seen takes any message of a host: it is there. Event, Process, Bridge and Loss
// do the same.
func (g *Engine) Seen(m Meta, host string) { g.begin(m, host) }

func (g *Engine) seen(m Meta, name string) {
	h := g.host(name, m.Stored)
	if h.several {
		return // see Host
	}
	if m.Stored.After(h.seen) {
		h.seen = m.Stored
	}
	for _, w := range h.watches {
		if w.inc == nil || w.inc.known.covers(m) || g.floor.covers(m) {
			continue
		}
		g.isBack(w, m.Stored)
	}
}

// isBack ends the alert of a host that has been heard again. One that was silent again
// and again must have been heard for a while first, but hides nothing meanwhile.
func (g *Engine) isBack(w *watch, at time.Time) {
	inc := w.inc
	if inc.rec.HeardSince != nil {
		return
	}
	g.touch(inc, at)
	if inc.rec.Phase == schema.PhaseFiring && inc.rec.Hold > 0 {
		inc.rec.HeardSince = &schema.Time{Time: at}
		g.fires(inc, -1)
		if inc.r.Inhibits {
			g.release(inc.key.Host, at)
		}
		g.schedule(inc)
	} else {
		w.inc = nil
		g.close(inc, at)
	}
	g.timers.set(&w.timer, g.silentAt(w))
}

// silentAgain continues the alert of a host that has not been heard for long enough.
func (g *Engine) silentAgain(w *watch, at time.Time) {
	inc := w.inc
	inc.rec.HeardSince, inc.rec.Opened.Time = nil, w.h.seen
	delete(inc.rec.Annotations, AnnotationReason) // of the silence before
	inc.rec.Once = w.h.stops
	inc.rec.Count++
	g.stats[w.r.Index].Matched++
	g.fires(inc, 1)
	g.touch(inc, at)
	g.want(inc, at)
	g.schedule(inc)
}

// silentAt is when a host will have been silent for too long. Whoever else is silent
// makes no difference, unless nobody could reach the stream.
func (g *Engine) silentAt(w *watch) time.Time {
	return later(later(w.h.seen, g.trusted).Add(w.r.Silent), w.h.graced)
}

// silent is a watch's timer. It is not set anew for each message, so it may find
// that it is too early.
func (g *Engine) silent(w *watch, at time.Time) {
	if due := g.silentAt(w); due.After(at) {
		g.timers.set(&w.timer, due)
		return
	}
	if w.h.goodbye { // it is to be forgotten; if it is not, and comes back, this is looked at again
		g.timers.set(&w.timer, at.Add(w.r.Silent))
		return
	}
	if w.inc != nil && w.inc.rec.HeardSince != nil {
		g.silentAgain(w, at)
		return
	}
	inc := g.incident(w.r, w.timer.key)
	w.inc = inc
	inc.rec.Once = w.h.stops // somebody knows, and it will stay so
	g.stats[w.r.Index].Matched++
	inc.rec.Count++
	if inc.rec.Phase == schema.PhaseResolved {
		g.reopen(inc)
		delete(inc.rec.Annotations, AnnotationReason)
	} else {
		g.open(inc, path(w.h.name)+micros(w.h.seen), w.h.seen, at)
	}
	g.touch(inc, at)
	g.want(inc, at)
	g.schedule(inc)
}

// outage is how long the whole stream must have got nothing for a bridge's record
// to mean that nobody could reach it.
const outage = 30 * time.Second

// comeBack is how long a bridge may take to reach a NATS that is there again: it tries
// each of its servers twice a second, and one that does not answer costs it seconds.
const comeBack = 45 * time.Second

// Bridge takes a record of a bridge: started, stopping or reconnect. The first
// one after a gap of the whole stream may mean that NATS was away, and so each host
// gets time to come back; all that are there do so at once. It must come before Seen of the same message, if that comes at all.
func (g *Engine) Bridge(m Meta, host, kind string) {
	at := instant(m.Stored)
	if (kind == schema.BridgeStarted || kind == schema.BridgeReconnect) && !g.last.IsZero() && at.Sub(g.last) > outage {
		g.grace(Meta{Seq: m.Seq, Stored: at})
	}
	g.begin(m, host)
}

// grace gives every host time to come back. The record of a pending alert remembers
// it.
func (g *Engine) grace(m Meta) {
	if g.floor.covers(m) {
		return
	}
	for _, h := range g.hosts {
		for _, w := range h.watches {
			if w.inc != nil && w.inc.rec.Phase == schema.PhaseFiring {
				continue
			}
			// Never longer than the rule would wait for a sign of now.
			h.graced = later(h.graced, m.Stored.Add(min(comeBack, w.r.Silent)))
			inc := g.incidents[w.timer.key]
			if inc != nil && (inc.held || inc.known.covers(m)) {
				continue
			}
			inc = g.incident(w.r, w.timer.key)
			w.inc = inc
			inc.rec.Incident, inc.rec.Opened = w.r.Name+"/"+path(h.name)+micros(h.seen), schema.Time{Time: h.seen}
			inc.rec.Graced = &schema.Time{Time: h.graced}
			g.touch(inc, m.Stored)
		}
	}
}

// restarts notes when a supervisord stops and when it runs again.
func (g *Engine) restarts(m Meta, e *schema.Event) {
	if e.Event != schema.SupervisorStateChangeStopping && e.Event != schema.SupervisorStateChangeRunning {
		return
	}
	h := g.host(e.Host, m.Stored)
	if h.known.covers(m) || h.several {
		return
	}
	was := h.stopping
	if h.stopping = m.Stored; e.Event == schema.SupervisorStateChangeRunning {
		h.stopping = time.Time{}
	}
	if h.stopping.IsZero() && !was.IsZero() {
		g.release(h.name, m.Stored)
	}
}

// watch returns that of a rule, nil if the rule does not mean the host.
func (h *host) watch(r *rules.Rule) *watch {
	if i := slices.IndexFunc(h.watches, func(w *watch) bool { return w.r == r }); i >= 0 {
		return h.watches[i]
	}
	return nil
}
