package state_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// trouble publishes a record of one.
func (s *sup) trouble(cause string, over bool, since time.Time) {
	s.fleet.Trouble(s.meta(), (&schema.Trouble{
		Host: "web1", Server: s.server, Boot: s.boot, Pool: "supernats", Cause: cause, Text: "it is\n\x1b[31mbad", Fix: "fix it", Since: schema.Time{Time: since}, Over: over,
	}).Envelope(s.now))
}

func (w *world) wantCauses(what string, causes ...string) {
	w.Helper()
	if d := cmp.Diff(causes, w.causes()); d != "" {
		w.Errorf("%s: %s", what, d)
	}
}

func TestTroubles(t *testing.T) {
	w := newWorld(t)
	a := w.sup("supervisor", "a", "one")
	a.trouble("nats-rights", false, w.now) // past the spool, so before all else
	a.started()
	w.wantCauses("at its start", "nats-rights")
	since := w.now.Add(-time.Minute)
	for range 3 {
		w.wait(30 * time.Minute)
		a.trouble("disk-full", false, since)
		w.restart()
	}
	w.wantCauses("two", "nats-rights", "disk-full")
	if got := w.host().Troubles[1]; got.Text != "it is ?[31mbad" || got.Fix != "fix it" || !got.Since.Equal(since) || got.Pool != "supernats" || got.Boot != "a" {
		t.Errorf("%+v", got)
	}
	w.wait(time.Hour + time.Minute)
	a.trouble("disk-full", false, since)
	w.wantCauses("the first one was not reported again", "disk-full")
	a.trouble("disk-full", true, since)
	a.trouble("disk-full", true, since)
	w.wantCauses("over")
}

// A bridge that starts or stops, and another life of its supervisord, end what was
// reported before. What is reported again lasts.
func TestTroublesEndWithTheirBridge(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(a, b *sup)
		want []string
	}{
		"started again":           {end: func(a, _ *sup) { a.started() }, want: nil},
		"stopped":                 {end: func(a, _ *sup) { a.record(schema.BridgeStopping, "RUNNING") }, want: nil},
		"another life":            {end: func(_, b *sup) { b.started() }, want: nil},
		"another life, and again": {end: func(_, b *sup) { b.trouble("disk-full", false, b.now); b.started() }, want: []string{"disk-full"}},
		"over in another life":    {end: func(a, b *sup) { b.tick(); b.trouble("disk-full", true, b.now) }, want: nil},
		"another supervisord":     {end: func(_, b *sup) { b.instance = "two"; b.server = "user"; b.started() }, want: []string{"disk-full"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.sup("supervisor", "a", "one"), w.sup("supervisor", "b", "one")
			a.started()
			w.live(30*time.Second, a)
			a.trouble("disk-full", false, w.now)
			w.live(30*time.Second, a)
			c.end(a, b)
			w.wantCauses(name, c.want...)
		})
	}
}

func TestResent(t *testing.T) {
	w := newWorld(t)
	a := w.sup("supervisor", "a", "one")
	a.started()
	for range 2 {
		w.fleet.Resent(w.meta(), (&schema.Resent{Host: "web1", Boot: "a", Event: "web1/a/1"}).Envelope(w.now))
		w.restart()
	}
	if h := w.host(); h.Resent != 2 || h.LastResent == nil {
		t.Errorf("%+v", h)
	}
}

// What nobody read is counted, once.
func TestNotListening(t *testing.T) {
	w := newWorld(t)
	a := w.sup("supervisor", "a", "one")
	a.started()
	a.table("web")
	loss := (&schema.Loss{Host: "web1", Boot: "a", Pool: "supernats", Cause: schema.LossNotListening, Count: 5, Processes: []schema.LossProcess{
		{Group: "web", Process: "web", Starts: 3, Exits: 2}, {Group: "new", Process: "new", Starts: 1},
	}}).Envelope(w.now)
	m := w.meta()
	for range 3 {
		w.fleet.Loss(m, loss)
		w.restart()
	}
	r := w.fleet.State("web1", "web", "web")
	if r.Starts != 3 || r.Exits != 2 || r.State != "RUNNING" || w.fleet.State("web1", "new", "new") != nil {
		t.Errorf("%+v", r)
	}
	b := w.host().Bridges[0]
	if w.host().Lost != 5 || b.Lost != 5 || b.LossCause != schema.LossNotListening {
		t.Errorf("%+v", w.host())
	}
}

// What a bridge says of itself.
func TestBridges(t *testing.T) {
	w := newWorld(t)
	a := &schema.Bridge{
		Host: "web1", Server: "supervisor", Boot: "a", Pool: "supernats", Instance: "one", BridgeVersion: "v1", PID: 3, Spool: schema.SpoolMemory, SupervisorPID: 1,
		Section:  &schema.Section{Events: []string{"TICK_5"}, BufferSize: 10, Priority: -1, SamePriority: []string{"mail"}, File: "/etc/s.conf"},
		Reasons:  &schema.Reasons{Source: schema.ReasonsNone, Problem: "no log", Fix: "set logfile"},
		Settings: map[string]string{"listen": ":9876", "listen-scheme": "https"},
	}
	w.fleet.Bridge(w.meta(), schema.BridgeStarted, a.Envelope(schema.BridgeStarted, w.now))
	w.restart()
	want := []schema.HostBridge{{
		Pool: "supernats", Server: "supervisor", Boot: "a", Instance: "one", Version: "v1", PID: 3, Spool: "memory", Listen: ":9876", Scheme: "https",
		Section: a.Section, Reasons: a.Reasons, LastSeen: w.host().LastSeen,
	}}
	want[0].LastSeen.Time = want[0].LastSeen.Truncate(time.Microsecond)
	if d := cmp.Diff(want, w.host().Bridges); d != "" {
		t.Error(d)
	}
	w.fleet.Bridge(w.meta(), schema.BridgeStopping, a.Envelope(schema.BridgeStopping, w.now))
	if b := w.host().Bridges[0]; b.Stopped == nil || w.host().SupervisorState == "STOPPING" {
		t.Errorf("%+v", w.host())
	}
	a.SupervisorState = "STOPPING"
	w.wait(time.Second)
	w.fleet.Bridge(w.meta(), schema.BridgeStopping, a.Envelope(schema.BridgeStopping, w.now))
	if h := w.host(); h.Stopping == nil || h.SupervisorState != "STOPPING" {
		t.Errorf("%+v", h)
	}
	w.fleet.Snapshot(w.meta(), (&schema.Snapshot{Host: "web1", Server: "supervisor", Boot: "a", Serial: 9, SupervisorState: "RUNNING"}).Envelope(w.now.Add(-time.Second)))
	if h := w.host(); h.Stopping == nil || h.SupervisorState != "STOPPING" {
		t.Errorf("a table of before: %+v", h)
	}
	w.wait(time.Second)
	w.fleet.Bridge(w.meta(), schema.BridgeStarted, a.Envelope(schema.BridgeStarted, w.now))
	if h := w.host(); h.Stopping != nil || h.SupervisorState != "RUNNING" || h.Bridges[0].Stopped != nil {
		t.Errorf("after a reload: %+v", h)
	}
}

// wrong publishes ticks of a host whose clock is ahead by some time, and returns
// what its fleet makes of one of its times.
func (s *sup) wrong(n int, ahead time.Duration) {
	for range n {
		s.wait(5 * time.Second)
		m := s.meta()
		m.Sent = s.now.Add(ahead)
		s.serial++
		e := &schema.Event{Event: schema.Tick5, Host: "web1", Server: s.server, Boot: s.boot, Pool: "supernats", Serial: s.serial}
		ce := e.Envelope(s.now.Add(ahead))
		if m.Shift = s.fleet.Shift(m, "web1", s.boot, ce.Time.Time); m.Shift != 0 {
			ce.Time.Time = ce.Time.Add(m.Shift)
		}
		s.fleet.Event(m, ce)
	}
}

// happened is what the fleet makes of a time of a message that is sent now.
func (s *sup) happened(ahead time.Duration, t time.Time) time.Duration {
	m := s.meta()
	m.Sent = s.now.Add(ahead)
	return t.Add(s.fleet.Shift(m, "web1", s.boot, t)).Sub(s.now).Round(10 * time.Millisecond)
}

func TestClock(t *testing.T) {
	const day = 24 * time.Hour
	for name, ahead := range map[string]time.Duration{"behind": -3 * day, "ahead": 3 * day, "an hour": time.Hour, "in 1970": -56 * 365 * day} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.sup("supervisor", "a", "one")
			if got := a.happened(ahead, w.now.Add(ahead)); got != 0 {
				t.Errorf("the first event of all is %v off", got)
			}
			a.wrong(10, ahead)
			w.restart()
			w.wantCauses(name, schema.TroubleClock)
			for _, ago := range []time.Duration{0, time.Second, time.Hour} {
				if got := a.happened(ahead, w.now.Add(ahead-ago)); got != -ago {
					t.Errorf("%v ago is %v", ago, got)
				}
			}

			// It is set right: what waits in the spool was stamped before.
			before := w.now.Add(ahead - 2*time.Second)
			if got := a.happened(0, before); got > time.Second || got < -5*time.Second {
				t.Errorf("at once, %v", got)
			}
			a.wrong(10, 0)
			w.wantCauses("right again")
			if got := a.happened(0, w.now); got != 0 {
				t.Errorf("right again, %v", got)
			}
			if got := a.happened(0, w.now.Add(ahead)); got > time.Minute || got < -5*time.Minute {
				t.Errorf("stamped before it was set right, %v", got)
			}
		})
	}
}

// A spool that is drained after three days is old, and a message that was long on
// its way says nothing of the clock.
func TestARightClock(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	a := w.sup("supervisor", "a", "one")
	if got := a.happened(0, w.now.Add(-3*day)); got != -3*day {
		t.Errorf("the first one: %v", got)
	}
	a.wrong(10, 0)
	if got := a.happened(0, w.now.Add(-3*day)); got != -3*day {
		t.Errorf("later: %v", got)
	}
	for range 3 {
		for range 100 { // written into a connection that was dead
			m := w.meta()
			m.Sent = w.now.Add(-2 * time.Minute)
			w.fleet.Seen(m, "web1")
		}
		a.wrong(4, 0)
		w.wantCauses("slow messages")
	}
	if got := a.happened(30*time.Second, w.now.Add(30*time.Second)); got != 30*time.Second {
		t.Errorf("half a minute is corrected: %v", got)
	}
	if m := w.meta(); w.fleet.Shift(m, "web1", "a", zero.Add(-9*day)) != 0 {
		t.Error("without the header")
	}
	if !strings.HasPrefix(w.host().Boot, "a") {
		t.Error(w.host())
	}
}
