package alerts

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

// block says what holds a notification back.
type block struct {
	mutedBy     string // a silence, "mute_during" or "mute_restarts"
	inhibitedBy string // a rule
	old         bool   // it would be history
	until       time.Time
}

func (b block) any() bool { return b != block{} }

// Reasons in Alert.MutedBy besides the id of a silence.
const (
	byInterval = "mute_during"
	byRestart  = "mute_restarts"
)

// blocked finds out whether anything holds back what is to be told of an alert.
func (g *Engine) blocked(inc *incident, at time.Time) block {
	r := inc.r
	for i := range g.mutes {
		if m := &g.mutes[i]; m.covers(r, inc.key, at) {
			return block{mutedBy: m.id, until: m.expires}
		}
	}
	if until, ok := r.MutedUntil(at); ok {
		return block{mutedBy: byInterval, until: instant(until)}
	}
	if h := g.hosts[inc.key.Host]; h != nil && !h.stopping.IsZero() {
		if until := h.stopping.Add(g.set.MuteRestarts); at.Before(until) {
			return block{mutedBy: byRestart, until: until}
		}
	}
	for _, by := range r.InhibitedBy {
		if g.firing[firing{by, inc.key.Host}] > 0 {
			return block{inhibitedBy: by.Name}
		}
	}
	// An event that is too old does not match at all. What time alone has made
	// must be as young; if it still holds when the horizon is passed, it is told.
	if (r.Kind == schema.KindState || r.Kind == schema.KindQuorum || r.Kind == schema.KindSilent || r.Kind == schema.KindTrouble) && at.Before(g.horizon) {
		return block{old: true, until: instant(g.horizon.Add(time.Microsecond))}
	}
	return block{}
}

// tell makes the notification of a firing alert, unless something holds it back.
func (g *Engine) tell(inc *incident, at time.Time) {
	b := g.blocked(inc, at)
	if b.any() && (b.inhibitedBy == "" || len(inc.unsent.events) < g.keeps(inc)) {
		g.hold(inc, b, at)
		return
	}
	g.unhold(inc)
	if inc.rec.Notifications > 0 && inc.rec.Count > inc.rec.Reported {
		inc.rec.Updates++
	}
	for first := true; first || len(inc.unsent.events) > 0; first = false {
		g.send(inc, false, at)
	}
	inc.due = time.Time{}
	if inc.r.RepeatInterval > 0 && !inc.rec.Once {
		inc.due = at.Add(inc.r.RepeatInterval)
	}
}

// end tells that an alert has closed, as far as anybody is to know.
func (g *Engine) end(inc *incident, at time.Time) {
	news := len(inc.unsent.events)
	b := g.blocked(inc, at)
	s := &g.stats[inc.r.Index]
	switch {
	case news == 0 && (inc.rec.Notifications == 0 || !inc.r.SendResolved) && (!b.old || inc.rec.Count == 0):
	case b.inhibitedBy != "":
		g.hold(inc, b, at)
		return
	case b.mutedBy != "":
		s.Muted += uint64(news)
		inc.rec.Muted, inc.rec.MutedBy = max(inc.rec.Muted, news), b.mutedBy
		g.clear(inc, news)
		g.forsake(inc, at)
		return
	case b.old:
		s.TooOld += uint64(max(news, 1))
		g.clear(inc, news)
	default:
		g.unhold(inc)
		for len(inc.unsent.events) > g.listed(inc) {
			g.send(inc, false, at)
		}
		g.send(inc, inc.r.SendResolved, at)
	}
	g.unhold(inc)
	g.forsake(inc, at)
}

// forsake leaves nothing due; what the record says of silences stays.
func (g *Engine) forsake(inc *incident, at time.Time) {
	g.unlist(inc)
	inc.due = time.Time{}
	g.touch(inc, at)
}

// lookAgain is when an inhibited alert looks for what inhibits it by itself.
const lookAgain = time.Hour

// hold keeps a notification back.
func (g *Engine) hold(inc *incident, b block, at time.Time) {
	s := &g.stats[inc.r.Index]
	news := len(inc.unsent.events)
	if b.inhibitedBy != "" && inc.rec.InhibitedBy == "" {
		s.Inhibited++
	}
	if b.mutedBy != "" && inc.rec.MutedBy == "" {
		inc.rec.Muted = news
	}
	if b.mutedBy == "" {
		inc.rec.Muted = 0
	}
	if news >= g.keeps(inc) { // of a silence: an inhibited alert is told by now
		s.Muted += uint64(news)
		g.clear(inc, news)
	}
	inc.rec.MutedBy, inc.rec.InhibitedBy = b.mutedBy, b.inhibitedBy
	if inc.due.IsZero() || inc.due.After(at) {
		inc.due = at
	}
	inc.held, inc.retry = true, b.until
	if b.until.IsZero() { // until it is released; this is in case that it never is
		inc.retry = at.Add(lookAgain)
	}
	all := g.held[inc.key.Host]
	if all == nil {
		all = map[*incident]struct{}{}
		g.held[inc.key.Host] = all
	}
	all[inc] = struct{}{}
	g.touch(inc, at)
}

// unhold says that nothing holds an incident back any more.
func (g *Engine) unhold(inc *incident) {
	g.unlist(inc)
	inc.rec.InhibitedBy = ""
	if inc.rec.Phase != schema.PhaseResolved {
		inc.rec.Muted, inc.rec.MutedBy = 0, ""
	}
}

func (g *Engine) unlist(inc *incident) {
	inc.held, inc.retry = false, time.Time{}
	all := g.held[inc.key.Host]
	delete(all, inc)
	if len(all) == 0 {
		delete(g.held, inc.key.Host)
	}
}

// release looks again at what is held back of a host: its timer is due at once.
func (g *Engine) release(host string, at time.Time) {
	for inc := range g.held[host] {
		if inc.rec.MutedBy == byRestart || inc.rec.InhibitedBy != "" {
			g.again(inc, at)
		}
	}
}

// again looks at a time whether something still holds an incident back. A record
// that was restored has seen what was before it.
func (g *Engine) again(inc *incident, at time.Time) {
	inc.retry = later(at, inc.known.at)
	g.touch(inc, inc.retry)
	g.schedule(inc)
}

// clear removes events from what is to be told.
func (g *Engine) clear(inc *incident, n int) {
	g.keep(inc, func(u *unsent) { u.drop(n) })
}

// send makes one notification of as many events as it may list.
func (g *Engine) send(inc *incident, resolved bool, at time.Time) {
	rec := &inc.rec
	var events []schema.AlertEvent
	g.keep(inc, func(u *unsent) { events = u.take(min(len(u.events), g.listed(inc))) })
	typ := schema.TypeAlertUpdate
	switch {
	case resolved:
		typ = schema.TypeAlertResolved
	case rec.Notifications == 0 || rec.Again:
		typ = schema.TypeAlertFiring
	}
	last := len(inc.unsent.events) == 0
	v := rules.ViewOf(rec, events, at)
	v.Group, v.Process = uncrowded(v.Group), uncrowded(v.Process)
	if rec.Notifications == 0 {
		// Receivers know an alert by its labels: they stay as they were.
		rec.Labels = inc.r.Labels(v)
	}
	v.Labels = rec.Labels
	if v.Labels == nil {
		v.Labels = map[string]string{}
	}
	why := g.whyOf(inc)
	rec.Annotations = explain(inc.r.Annotations(v), why)
	rec.Notifications++
	n := note(rec, typ, events, at)
	if last {
		inc.account(n.Alert)
	}
	if resolved {
		inc.finish(n.Alert)
	}
	if len(events) > 0 {
		n.Alert.WellSince = rec.WellSince
	}
	rec.Again = rec.Again && !last
	rec.Notified = &schema.Time{Time: at}
	g.touch(inc, at)
	g.stats[inc.r.Index].Notified++
	g.notes = append(g.notes, n)
}

// AnnotationReason is the annotation that says why a host is silent, or why an alert
// has ended although nothing is well again, where that is known.
const AnnotationReason = "reason"

// whyOf is what is known of the end of an alert, or of the silence that it is about:
// what the first notification of a silence says of that stands until its end.
func (g *Engine) whyOf(inc *incident) string {
	if inc.r.Kind != schema.KindSilent {
		if inc.rec.Phase == schema.PhaseResolved {
			return inc.rec.Ended
		}
		return ""
	}
	if why := inc.rec.Annotations[AnnotationReason]; why != "" || inc.rec.Phase != schema.PhaseFiring {
		return why
	}
	if h := g.hosts[inc.key.Host]; h != nil {
		return h.why
	}
	return ""
}

// explain adds a reason, unless the rule has one of its own.
func explain(notes map[string]string, why string) map[string]string {
	if why == "" || notes[AnnotationReason] != "" {
		return notes
	}
	if notes == nil {
		notes = map[string]string{}
	}
	notes[AnnotationReason] = why
	return notes
}

// note is a notification of what a record says.
func note(rec *schema.Alert, typ string, events []schema.AlertEvent, at time.Time) Notification {
	var seq uint64
	if rec.Last != nil {
		seq = rec.Last.Seq
	}
	if events == nil {
		events = []schema.AlertEvent{}
	}
	return Notification{
		ID: rec.Incident + "/" + strconv.Itoa(rec.Notifications), Type: typ, At: at, Seq: seq,
		Alert: &schema.Notification{
			Incident: rec.Incident, Rule: rec.Rule, Kind: rec.Kind, Severity: rec.Severity, Host: rec.Host, Group: uncrowded(rec.Group), Process: uncrowded(rec.Process),
			Opened: rec.Opened, Closed: rec.Closed, Count: rec.Count, Events: events,
			Labels: maps.Clone(rec.Labels), Annotations: maps.Clone(rec.Annotations), Notify: slices.Clone(rec.Notify),
		},
	}
}

// mute is a silence.
type mute struct {
	id                              string
	hosts, groups, processes, rules rules.Globs
	created, expires                time.Time
}

func (m *mute) covers(r *rules.Rule, k rules.Key, at time.Time) bool {
	return !at.Before(m.created) && at.Before(m.expires) && m.rules.Match(r.Name) &&
		m.hosts.Match(k.Host) && m.groups.Match(k.Group) && m.processes.Match(k.Process)
}

// SetMutes replaces the silences from a time on. Each holds from its Created to
// its Expires, in the time of the stream; what one held back that is not in the
// list any more is told. After Restore, it is to be called before any message.
func (g *Engine) SetMutes(at time.Time, list []schema.Mute) {
	old := g.mutes
	g.mutes = nil
	for _, m := range list {
		g.mutes = append(g.mutes, mute{
			m.ID, rules.NewGlobs(m.Hosts), rules.NewGlobs(m.Groups), rules.NewGlobs(m.Processes), rules.NewGlobs(m.Rules), instant(m.Created.Time), instant(m.Expires.Time),
		})
	}
	slices.SortFunc(g.mutes, func(a, b mute) int { return -a.expires.Compare(b.expires) })
	at = later(instant(at), g.clock)
	for _, all := range g.held {
		for inc := range all {
			by := inc.rec.MutedBy
			if isOf := func(m mute) bool { return m.id == by }; slices.ContainsFunc(old, isOf) && inc.retry.After(at) {
				g.again(inc, at)
			}
		}
	}
}
