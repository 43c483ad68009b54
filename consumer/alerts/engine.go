// Package rules decides which events, states and silences are alerts, and when
// people are told what of them. It is a machine over the messages of the stream
// SUPERVISOR in their order and the times at which the stream stored them: the
// time is handed in, nothing is read, sent or logged, so the same stream makes
// the same notifications with the same ids, live, after a kill -9, on another
// replica and in a back-test.
//
// One incident is open for each rule and process (or what group_by says). The
// first match is told at once or after group_wait, what matches while it is open
// is counted and listed in updates, and it closes when everything that matched has
// recovered. What matches soon after that opens it again, and an alert that is reported
// again and again is reported ever less often: see recur.go. A silence or the alert of an
// inhibiting rule holds notifications back.
//
// Under pressure nothing blocks and nothing is dropped but logs. An engine takes
// some 300 bytes for each process that is known and for each host, 2 KiB for each
// incident, and 500 bytes for each event that is not told yet, without its logs:
// 100,000 incidents at once are some 200 MB (BenchmarkStorm). Logs are bounded
// three times: an event keeps at most 16 KiB of them, an incident 256 KiB, those of its
// first and of its last events, and all incidents together 64 MiB, beyond which events
// are listed without. An incident with 500 untold events is told at once, but one about
// a single process that was told before keeps 2,000 and counts those between the first
// and the last half; with 100,000 untold events in all none waits for longer than
// group_interval. Held back by a silence it keeps 10,000, then it forgets them, and they
// stay counted as muted; held back by an inhibiting rule it is reported at 10,000. It names
// some 7,000 processes that keep it open. One host has at most 10,000 incidents at a time:
// what matches beyond is reported together, see room.go. Closed alerts are kept an hour;
// what was notified waits for Take, so the caller bounds it by the number of messages
// between two calls.
//
// An Engine is not safe for concurrent use.
package alerts

import (
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

// Meta says of a message of the stream which it is.
type Meta struct {
	// Seq is its sequence and Stored when the stream stored it.
	Seq    uint64
	Stored time.Time
	// Shift is what was added to the times of the message because its host's clock is
	// wrong.
	Shift time.Duration
}

// Notification is one to be published.
type Notification struct {
	// ID is the same whenever the same messages are read. Type is one of schema's
	// TypeAlert… constants.
	ID, Type string
	// At is when it was made, in the stream's time, and Seq the sequence of the
	// last event that matched, 0 if no event did.
	At    time.Time
	Seq   uint64
	Alert *schema.Notification
}

// Engine is the machine. Its inputs are Event, Process, Seen, Bridge, Loss, Host,
// Advance and SetMutes; its outputs Take and Changed.
type Engine struct {
	set *rules.Set
	// clock is up to when timers have fired, last when the last message was
	// stored, horizon before when things are too old to be told.
	clock, last, horizon time.Time
	// trusted is when hosts began to be seen as often as they send.
	trusted time.Time
	// seq is that of the last message read, read when it was stored; flushed are
	// the two at the last Changed.
	seq     uint64
	read    time.Time
	flushed mark
	// floor is the last message that all records had seen when they were stored:
	// up to it only the states of processes and hosts are followed.
	floor mark
	// restored are the states as they were stored, until all are of one time;
	// resumed is when the last message was stored that does not come again.
	restored map[name]schema.ProcessRecord
	resumed  time.Time
	catching bool // in catchUp

	procs     map[name]*proc
	hosts     map[string]*host
	pools     map[rules.Key]*pool
	incidents map[rules.Key]*incident
	// perHost is how many incidents there are of each host, room what the record of one may
	// take in bytes: see room.go.
	perHost map[string]int
	room    int
	timers  timers
	// held are the incidents by host that something holds back, firing how many
	// alerts of an inhibiting rule fire for a host.
	held   map[string]map[*incident]struct{}
	firing map[firing]int
	mutes  []mute

	cond    rules.Evaluator
	changed []*incident
	parting []*incident // closed, and kept until that is stored
	deleted []rules.Key // of records without an incident
	orphans []string    // keys of records without a rule
	notes   []Notification
	logs    int // bytes of logs in events that are not told yet
	untold  int // how many those are
	stats   []RuleStats
	lost    uint64 // see LostUpTo
}

type firing struct {
	rule *rules.Rule
	host string
}

// mark is a message that was seen.
type mark struct {
	seq uint64
	at  time.Time
}

// covers reports whether a message came before or is the one. A message of a
// later time with a lower sequence is one of a stream that was made anew.
func (k mark) covers(m Meta) bool { return m.Seq <= k.seq && !m.Stored.After(k.at) }

func (k *mark) raise(seq uint64, at time.Time) {
	k.seq = max(k.seq, seq)
	if at.After(k.at) {
		k.at = at
	}
}

// New returns an engine that has seen nothing.
func New(s *rules.Set) *Engine {
	g := &Engine{
		set: s, procs: map[name]*proc{}, hosts: map[string]*host{}, pools: map[rules.Key]*pool{}, incidents: map[rules.Key]*incident{},
		perHost: map[string]int{}, room: defaultRoom, held: map[string]map[*incident]struct{}{}, firing: map[firing]int{}, stats: make([]RuleStats, len(s.Rules)),
	}
	for i, r := range s.Rules {
		g.stats[i].Rule = r.Name
	}
	return g
}

// begin brings the machine to the time of a message of a host.
func (g *Engine) begin(m Meta, host string) Meta {
	m.Stored = instant(m.Stored)
	if g.restored != nil && !g.floor.covers(m) {
		g.catchUp()
	}
	g.run(m.Stored, false)
	g.seq, g.last, g.read = max(g.seq, m.Seq), later(g.last, m.Stored), later(g.read, m.Stored)
	if host != "" {
		g.seen(m, host)
	}
	return m
}

// SetHorizon says before when things are too old to be told, which only ever
// becomes later. Event and Loss do so too, but a rule over states or silence may
// fire before the first of them.
func (g *Engine) SetHorizon(t time.Time) { g.horizon = later(g.horizon, t) }

// Wants reports whether an event of a name can be of interest; others need not be
// decoded, Seen is enough for them.
func (g *Engine) Wants(event string) bool {
	return len(g.set.ForEvent(event)) > 0 || g.set.MuteRestarts > 0 && schema.Is(event, "SUPERVISOR_STATE_CHANGE")
}

// Event takes an event. Those that happened before horizon are history: tooOld
// says that it would have matched. Of one message, Event and Process may come in
// any order.
func (g *Engine) Event(m Meta, ce *schema.CloudEvent[*schema.Event], horizon time.Time) (tooOld bool) {
	e := ce.Data
	m = g.begin(m, e.Host)
	g.SetHorizon(horizon)
	if g.set.MuteRestarts > 0 {
		g.restarts(m, e)
	}
	if g.floor.covers(m) {
		return false
	}
	about := g.set.ForEvent(e.Event)
	if len(about) == 0 || e.Group != "" && !g.set.AdmitsGroup(e.Group) {
		return false
	}
	g.cond.Load(ce)
	for _, r := range about {
		if g.matches(r) && g.event(r, m, ce, horizon) {
			tooOld = true
		}
	}
	return tooOld
}

// matches reports whether an event is one of a rule's; its name is.
func (g *Engine) matches(r *rules.Rule) bool {
	ok, err := g.cond.Matches(r)
	if err != nil {
		g.stats[r.Index].Errors++
	}
	return ok
}

// event is a match of an event rule.
func (g *Engine) event(r *rules.Rule, m Meta, ce *schema.CloudEvent[*schema.Event], horizon time.Time) (tooOld bool) {
	e := ce.Data
	n := name{e.Host, e.Group, e.Process}
	k := g.belongs(r, r.Key(e.Host, e.Group, e.Process), g.procs[n])
	inc := g.incidents[k]
	if inc != nil && inc.known.covers(m) {
		return false
	}
	if ce.Time.Before(horizon) {
		g.stats[r.Index].TooOld++
		return true
	}
	p := g.proc(n)
	ev := EventOf(m, ce)
	g.match(g.incident(r, k), p, ev, m, p.wellAfter(e, m))
	return false
}

// EventOf describes an event as alerts list it.
func EventOf(m Meta, ce *schema.CloudEvent[*schema.Event]) *schema.AlertEvent {
	e := ce.Data
	return &schema.AlertEvent{
		ID: ce.ID, Time: ce.Time, Seq: m.Seq, Event: e.Event, Host: e.Host, Group: e.Group, Process: e.Process,
		Server: e.Server, FromState: e.FromState, Expected: e.Expected, PID: e.PID, Exit: e.Exit, Log: e.Log,
		Ran: e.Ran, Last: e.Last,
		Late: isLate(m, ce.Time), HostTime: hostTime(m, ce.Time),
	}
}

// hostTime is what the host's clock said, nil where that was right.
func hostTime(m Meta, t schema.Time) *schema.Time {
	if m.Shift == 0 {
		return nil
	}
	return &schema.Time{Time: t.Add(-m.Shift)}
}

// late is how long the stream may take to get an event.
const late = time.Minute

func isLate(m Meta, happened schema.Time) bool { return m.Stored.Sub(happened.Time) > late }

// Loss takes a record of lost events.
func (g *Engine) Loss(m Meta, ce *schema.CloudEvent[*schema.Loss], horizon time.Time) {
	l := ce.Data
	m = g.begin(m, l.Host)
	g.SetHorizon(horizon)
	if g.floor.covers(m) {
		return
	}
	for _, r := range g.set.Losses {
		if !r.OnHost(l.Host) {
			continue
		}
		k := r.Key(l.Host, "", "")
		if inc := g.incidents[k]; inc != nil && inc.known.covers(m) {
			continue
		}
		if ce.Time.Before(horizon) {
			g.stats[r.Index].TooOld++
			continue
		}
		g.match(g.incident(r, k), g.proc(name{host: l.Host}), LossOf(m, ce), m, true)
	}
}

// LossOf describes a record of lost events as alerts list it.
func LossOf(m Meta, ce *schema.CloudEvent[*schema.Loss]) *schema.AlertEvent {
	return &schema.AlertEvent{
		ID: ce.ID, Time: ce.Time, Seq: m.Seq, Event: ce.Type, Host: ce.Data.Host, Lost: ce.Data.Count, Cause: ce.Data.Cause,
		Late: isLate(m, ce.Time), HostTime: hostTime(m, ce.Time),
	}
}

// Take returns the notifications made since the last call, in their order.
func (g *Engine) Take() []Notification {
	notes := g.notes
	g.notes = nil
	return notes
}
