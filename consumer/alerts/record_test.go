package alerts_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

func TestRecord(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	seq := w.event(0, "EXITED", func(e *schema.Event) { e.Exit, e.Log = &schema.Exit{Code: p(3)}, &schema.Log{Stderr: "x"} })
	w.event(time.Second, "EXITED")
	w.event(time.Second, "RUNNING")
	w.flush()
	at := func(d time.Duration) schema.Time { return schema.Time{Time: t0.Add(d)} }
	want := map[string]*schema.Alert{"exit.web1.api.api_00": {
		Incident: "exit/web1/4f0c6d1e2a90b7c3/1", Rule: "exit", Severity: "warning", Host: "web1", Group: "api", Process: "api_00",
		Kind: "event", Phase: schema.PhaseFiring, Opened: at(0), Count: 2,
		Last:    &schema.AlertEvent{ID: "web1/4f0c6d1e2a90b7c3/2", Time: at(time.Second), Seq: seq + 1, Event: schema.ProcessStateExited, Server: "supervisor", FromState: "RUNNING", Expected: p(false)},
		EndedBy: schema.EndedRecovered, State: "RUNNING",
		UnansweredSince: p(at(0)), Notified: p(at(0)), Notifications: 1, Reported: 1, Due: p(at(5 * time.Minute)), Unsent: []uint64{2},
		Members: []schema.AlertMember{{Well: p(at(2 * time.Second)), Matched: 2, Began: p(at(2 * time.Second))}}, Seq: 3, Clock: at(2 * time.Second),
	}}
	if d := cmp.Diff(want, w.records); d != "" {
		t.Error(d)
	}
	if n := w.notes[0]; n.Seq != seq || n.Alert.Events[0].Log.Stderr != "x" || n.Alert.Events[0].Host != "" || *n.Alert.Events[0].Exit.Code != 3 {
		t.Errorf("%+v", n.Alert)
	}
	if c := w.Changed(); len(c) != 0 {
		t.Errorf("nothing has changed: %v", c)
	}
}

// A closed alert is kept for an hour, and at least until its end was stored.
func TestClosedAlertsAreKept(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	w.event(0, "EXITED")
	w.event(time.Second, "STOPPED")
	w.pass(10 * time.Hour)
	if s := w.Stats()[0]; s.Resolved != 1 {
		t.Errorf("%+v", s)
	}
	w.flush()
	if r := w.records["exit.web1.api.api_00"]; r == nil || r.Phase != schema.PhaseResolved || r.Closed == nil {
		t.Fatalf("%+v", r)
	}
	w.pass(time.Second)
	w.flush()
	if len(w.records) != 0 || w.Stats()[0].Resolved != 0 {
		t.Errorf("%v", w.records)
	}
	w.event(0, "EXITED")
	w.event(time.Second, "STOPPED")
	w.flush()
	w.pass(59 * time.Minute)
	w.flush()
	if len(w.records) != 1 {
		t.Errorf("%v", w.records)
	}
	w.event(0, "EXITED") // another alert in its place
	w.pass(time.Hour)
	w.flush()
	if r := w.records["exit.web1.api.api_00"]; r.Phase != schema.PhaseFiring || r.Incident != "exit/web1/4f0c6d1e2a90b7c3/5" || r.Count != 1 || r.Notifications != 1 {
		t.Errorf("%+v", r)
	}
}

// Inhibited rules are stored before those that inhibit them.
func TestOrderOfRecords(t *testing.T) {
	w := newWorld(t, options(),
		rules.Config{Name: "a", Loss: true},
		rules.Config{Name: "c", Event: rules.List{schema.ProcessStateExited}, InhibitedBy: rules.List{"b"}},
		rules.Config{Name: "b", Event: rules.List{schema.ProcessStateExited}, InhibitedBy: rules.List{"a"}},
	)
	w.loss(0, "web1", 0)
	w.event(0, "EXITED", process("y"))
	w.event(0, "EXITED", process("x"))
	w.flush()
	if d := cmp.Diff([]string{"c.web1.api.x", "c.web1.api.y", "b.web1.api.x", "b.web1.api.y", "a.web1.-.-"}, w.orders[0]); d != "" {
		t.Error(d)
	}
}

// What the stream does not have any more is not listed, but counted.
func TestRestoreWithoutEvents(t *testing.T) {
	w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupWait = dur(time.Minute) }))
	w.event(0, "EXITED")
	w.event(time.Second, "EXITED")
	delete(w.events, 1)
	w.restart()
	w.pass(time.Hour)
	w.want("1m0s firing exit/1 web1/api/api_00 count 2 [EXITED#2]")
	w.event(0, "EXITED")
	w.event(time.Second, "EXITED")
	w.flush()
	w.Engine = alerts.New(w.set)
	w.Restore(alerts.Saved{Alerts: []*schema.Alert{w.records["exit.web1.api.api_00"]}, Clock: w.at})
	w.pass(time.Hour)
	w.want("1h0m1s update exit/2 web1/api/api_00 count 3 [EXITED#3]", "1h10m2s update exit/3 web1/api/api_00 count 4 []")
}

func TestOtherRules(t *testing.T) {
	set := func(c ...rules.Config) *rules.Set { return compile(t, c, options()) }
	fatal := rules.Config{Name: "down", State: rules.List{"FATAL"}}
	t.Run("a rule that is not there any more", func(t *testing.T) {
		w := newWorld(t, options(), crashRule(), crashRule(func(c *rules.Config) { c.Name = "muted"; c.GroupWait = dur(time.Hour) }))
		w.event(0, "EXITED")
		w.pass(time.Minute)
		w.restart(set(fatal))
		w.want("0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]", "1m0s resolved exit/2 web1/api/api_00 count 1 []")
		w.flush()
		if len(w.records) != 0 {
			t.Errorf("%v", w.records)
		}
		w.restart()
		w.want()
	})
	t.Run("of another kind, or grouped in another way", func(t *testing.T) {
		w := newWorld(t, options(), crashRule())
		w.event(0, "EXITED")
		w.restart(set(crashRule(func(c *rules.Config) { c.GroupBy = rules.List{"host"} })))
		w.want("0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]", "0s resolved exit/2 web1/api/api_00 count 1 []")
		w.restart(set(rules.Config{Name: "exit", State: rules.List{"FATAL"}}))
		w.want()
	})
	t.Run("with other words, the alert continues", func(t *testing.T) {
		w := newWorld(t, options(), crashRule())
		w.event(0, "EXITED")
		w.restart(set(fatal, crashRule(func(c *rules.Config) {
			c.Severity, c.Notify, c.RepeatInterval = "page", rules.List{"chat"}, dur(time.Hour)
		})))
		w.event(2*time.Hour, "EXITED")
		w.want("0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]", "2h0m0s update exit/2 web1/api/api_00 count 2 [EXITED#2]")
		if a := w.notes[1].Alert; a.Severity != "page" || !slices.Equal(a.Notify, []string{"chat"}) {
			t.Errorf("%+v", a)
		}
	})
	t.Run("a new rule over what is so already", func(t *testing.T) {
		w := newWorld(t, options())
		w.event(0, "FATAL")
		w.event(time.Hour, "RUNNING", process("b"))
		w.restart(set(fatal, rules.Config{Name: "quorum", Quorum: 2, For: second}, rules.Config{Name: "enough", Quorum: 1}))
		w.pass(time.Minute)
		w.want("1h0m0s firing down/1 web1/api/api_00 count 1 [FATAL#1]", "1h0m0s firing quorum/1 web1/api count 1 [FATAL#1]")
		w.event(0, "RUNNING")
		w.pass(time.Hour)
		w.want("1h1m30s resolved down/2 web1/api/api_00 count 1 []", "1h1m30s resolved quorum/2 web1/api count 1 []")
	})
	t.Run("a rule over another state than before", func(t *testing.T) {
		w := newWorld(t, options(), fatal)
		w.event(0, "FATAL")
		w.restart(set(rules.Config{Name: "down", State: rules.List{"RUNNING"}}))
		w.pass(time.Hour)
		w.want("0s firing down/1 web1/api/api_00 count 1 [FATAL#1]", "30s resolved down/2 web1/api/api_00 count 1 []")
	})
	t.Run("a host that the rule does not mean any more", func(t *testing.T) {
		w := newWorld(t, options(), rules.Config{Name: "s", Silent: minute})
		w.beat(0, "web1")
		w.pass(time.Hour)
		w.restart(set(rules.Config{Name: "s", Silent: minute, Hosts: rules.List{"db1"}}))
		w.beat(0, "web1")
		w.pass(time.Hour)
		w.want("1m0s firing s/1 web1 count 1 []", "1h0m0s resolved s/2 web1 count 1 []")
	})
}

// A stream that was created again counts from 1 again; what the records have seen of
// the old one hides nothing.
func TestNewStream(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	for range 10 {
		w.event(0, "EXITED")
	}
	w.event(0, "RUNNING")
	w.pass(time.Hour)
	w.restart()
	w.got, w.seq = nil, 0
	w.event(time.Minute, "EXITED")
	w.want("1h1m0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]")
}
