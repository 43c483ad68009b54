package alerts

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

// Host takes the record of a host after a message changed it: what its bridges
// cannot do, which supervisords it has, and when each was seen. It is to be called
// after the Seen, Event, Loss or Bridge of the same message.
func (g *Engine) Host(m Meta, rec *schema.HostRecord) {
	m = g.begin(m, "")
	h := g.host(rec.Host, m.Stored)
	h.why, h.stops, h.goodbye = whySilent(rec), rec.Stopping != nil, rec.SaidGoodbye()
	if g.floor.covers(m) {
		g.follows(h, rec)
		h.learn(rec)
		return
	}
	g.follows(h, rec)
	g.heard(h, m)
	g.mood(h, rec, m)
	g.troubles(h, rec, m)
}

// follows notes when the most silent of several supervisords was seen: a host is as
// silent as that one.
func (g *Engine) follows(h *host, rec *schema.HostRecord) {
	least, several := mostSilent(rec)
	if h.several = several; !several {
		return
	}
	before := h.seen
	if h.seen = least; !h.seen.Before(before) {
		return
	}
	for _, w := range h.watches {
		if w.inc == nil {
			g.timers.set(&w.timer, later(g.silentAt(w), g.clock))
		}
	}
}

// mostSilent returns when that one of the supervisords of a host was seen which is
// silent for longest, and whether there are several that should be heard.
func mostSilent(rec *schema.HostRecord) (seen time.Time, several bool) {
	n := 0
	for i := range rec.Lives {
		l := &rec.Lives[i]
		if l.Ended != nil || l.Stopping != nil || l.Succeeded {
			continue
		}
		if heard := rec.Heard(l); n == 0 || heard.Before(seen) {
			seen = heard
		}
		n++
	}
	return instant(seen), n > 1
}

// heard ends the alert of a host of which all supervisords have been heard again.
func (g *Engine) heard(h *host, m Meta) {
	if !h.several {
		return
	}
	for _, w := range h.watches {
		if w.inc == nil || w.inc.known.covers(m) {
			continue
		}
		if g.silentAt(w).After(m.Stored) {
			g.isBack(w, m.Stored)
		}
	}
}

// mood notes whether the host's supervisord stops: of several, all of them.
func (g *Engine) mood(h *host, rec *schema.HostRecord, m Meta) {
	if g.set.MuteRestarts <= 0 || h.known.covers(m) {
		return
	}
	switch {
	case rec.Stopping != nil && h.stopping.IsZero():
		h.stopping = instant(rec.Stopping.Time)
	case rec.Stopping == nil && !h.stopping.IsZero():
		h.stopping = time.Time{}
		g.release(h.name, m.Stored)
	}
}

// whySilent says what is known of a host that sends nothing more, "" if nothing.
func whySilent(rec *schema.HostRecord) string {
	if rec.Stopping != nil {
		return "its supervisord announced its shutdown"
	}
	if rec.SupervisorState == schema.SupervisorGone {
		return "its supervisord died without a shutdown"
	}
	var silent []string
	living := 0
	for i := range rec.Lives {
		l := &rec.Lives[i]
		if l.Ended != nil || l.Stopping != nil || l.Succeeded {
			continue
		}
		if living++; rec.LastSeen.Sub(rec.Heard(l)) > time.Minute {
			silent = append(silent, strconv.Quote(l.Server))
		}
	}
	if len(silent) > 0 && len(silent) < living {
		return "of its " + strconv.Itoa(living) + " supervisords " + strings.Join(silent, ", ") + " sends nothing"
	}
	stopped := 0
	for i := range rec.Bridges {
		if rec.Bridges[i].Stopped != nil {
			stopped++
		}
	}
	if stopped > 0 && stopped == len(rec.Bridges) {
		return "its bridge was stopped"
	}
	return ""
}

// troubles compares the troubles of a host with those that it had before.
func (g *Engine) troubles(h *host, rec *schema.HostRecord, m Meta) {
	before := h.troubles
	h.learn(rec)
	for _, r := range g.set.Troubles {
		if !r.OnHost(h.name) {
			continue
		}
		for _, t := range h.troubles {
			if r.HasCause(t.Cause) {
				_, was := find(before, t.Cause)
				g.trouble(r, h, t, was, true, m)
			}
		}
		for _, t := range before {
			if _, still := find(h.troubles, t.Cause); !still && r.HasCause(t.Cause) {
				g.trouble(r, h, t, true, false, m)
			}
		}
	}
}

// trouble brings a rule up to a cause that a host has, or has no more. A cause
// stands where other rules have a process.
func (g *Engine) trouble(r *rules.Rule, h *host, t schema.HostTrouble, was, now bool, m Meta) {
	p := g.proc(name{host: h.name, process: t.Cause})
	g.change(change{
		r: r, key: r.Key(h.name, "", ""), p: p, m: m, was: was, now: now, well: true,
		event: func() *schema.AlertEvent { return troubleEvent(h.name, t, m) },
	})
	g.drop(p)
}

// learn keeps one trouble of each cause, the oldest.
func (h *host) learn(rec *schema.HostRecord) {
	h.troubles = nil
	for _, t := range rec.Troubles {
		if _, ok := find(h.troubles, t.Cause); !ok {
			h.troubles = append(h.troubles, t)
		}
	}
}

func find(list []schema.HostTrouble, cause string) (int, bool) {
	i := slices.IndexFunc(list, func(t schema.HostTrouble) bool { return t.Cause == cause })
	return i, i >= 0
}

// troubleEvent describes a trouble as alerts list it.
func troubleEvent(host string, t schema.HostTrouble, m Meta) *schema.AlertEvent {
	return &schema.AlertEvent{
		ID: path(host, "trouble", t.Cause) + micros(m.Stored), Time: t.Since, Seq: m.Seq, Event: schema.TypeBridgePrefix + schema.BridgeTrouble,
		Host: host, Server: t.Server, Cause: t.Cause, Text: t.Text, Fix: t.Fix,
	}
}
