package alerts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

// record hands in the record of a host, with a message of it.
func (w *world) record(after time.Duration, change func(*schema.HostRecord)) {
	m := w.meta(after)
	w.hostSeen("web1")
	h := w.hosts["web1"]
	change(&h)
	w.hosts["web1"] = h
	w.Apply(alerts.Message{Meta: m, Host: "web1", HostRecord: &h})
	w.take()
}

// causes are the troubles of a host from now on.
func (w *world) causes(after time.Duration, causes ...string) {
	w.record(after, func(h *schema.HostRecord) {
		h.Troubles = nil
		for _, c := range causes {
			h.Troubles = append(h.Troubles, schema.HostTrouble{Cause: c, Text: "text of " + c, Fix: "fix", Since: schema.Time{Time: w.at}})
		}
	})
}

func TestTrouble(t *testing.T) {
	all := rules.Config{Name: "trouble", Trouble: rules.List{"true"}}
	run(t, []scenario{
		{name: "one, another, and the end", options: nil, rules: []rules.Config{all}, do: func(w *world) {
			w.causes(0, "disk-full")
			w.causes(time.Minute, "disk-full") // again
			w.causes(time.Minute, "disk-full", "clock")
			w.pass(10 * time.Minute)
			w.causes(0, "clock")
			w.causes(time.Minute)
			w.pass(time.Hour)
		}, want: []string{
			"0s firing trouble/1 web1 count 1 [supernats.bridge.trouble#1]",
			"5m0s update trouble/2 web1 count 2 [supernats.bridge.trouble#3]",
			"13m30s resolved trouble/3 web1 count 2 []",
		}},
		{name: "for", options: nil, rules: []rules.Config{{Name: "trouble", Trouble: rules.List{"true"}, For: schema.Duration(time.Minute)}}, do: func(w *world) {
			w.causes(0, "disk-full")
			w.causes(30 * time.Second)
			w.causes(time.Second, "disk-full")
			w.pass(2 * time.Minute)
		}, want: []string{"1m31s firing trouble/1 web1 count 1 [supernats.bridge.trouble#3]"}},
		{name: "causes", options: nil, rules: []rules.Config{{Name: "disk", Trouble: rules.List{"disk-*", "spool-full"}}}, do: func(w *world) {
			w.causes(0, "clock")
			w.causes(time.Second, "clock", "disk-full")
			w.causes(time.Second, "clock")
			w.causes(time.Second, "disk-full") // and again, before it was over for long enough
			w.causes(time.Second)
			w.pass(time.Hour)
		}, want: []string{
			"1s firing disk/1 web1 count 1 [supernats.bridge.trouble#2]",
			"34s resolved disk/2 web1 count 2 [supernats.bridge.trouble#4]",
		}},
		{name: "of other hosts", options: nil, rules: []rules.Config{{Name: "trouble", Trouble: rules.List{"true"}, Hosts: rules.List{"db*"}}}, do: func(w *world) {
			w.causes(0, "disk-full")
		}, want: nil},
	})
}

// UNKNOWN ends when it is known what became of the process, whatever that is.
func TestUnknownEnds(t *testing.T) {
	unknown := rules.Config{Name: "unknown", State: rules.List{"UNKNOWN"}}
	for _, state := range []string{"RUNNING", "EXITED", "BACKOFF", "STOPPED"} {
		w := newWorld(t, options(), unknown)
		w.event(0, "UNKNOWN")
		w.event(time.Minute, state)
		w.pass(time.Minute)
		if len(w.got) != 2 || !strings.Contains(w.got[1], " resolved unknown/2 ") {
			t.Errorf("%s: %q", state, w.got)
		}
	}
}

// lives says when each supervisord of a host was seen.
func (w *world) lives(after time.Duration, seen map[string]time.Duration, change ...func(*schema.HostLife)) {
	w.record(after, func(h *schema.HostRecord) {
		h.Lives = nil
		for _, boot := range []string{"a", "b"} {
			if ago, ok := seen[boot]; ok {
				l := schema.HostLife{Boot: boot, Server: "server " + boot, LastSeen: schema.Time{Time: w.at.Add(-ago)}}
				for _, c := range change {
					c(&l)
				}
				h.Lives = append(h.Lives, l)
			}
		}
	})
}

// A host of which one of two supervisords is silent is silent, and the alert says
// which one.
func TestOneOfTwoIsSilent(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWorld(t, options(), rules.Config{Name: "host-silent", Silent: schema.Duration(3 * time.Minute)})
		w.restarts = restarts
		for range 5 {
			w.lives(time.Minute, map[string]time.Duration{"a": 0, "b": 2 * time.Second})
		}
		w.want()
		for i := 1; i < 6; i++ {
			w.lives(time.Minute, map[string]time.Duration{"a": 0, "b": time.Duration(i) * time.Minute})
		}
		if len(w.got) != 1 || !strings.HasPrefix(w.got[0], "8m0s firing host-silent/1 web1 count 1") {
			t.Fatalf("%q", w.got)
		}
		w.got = nil
		if note := w.notes[len(w.notes)-1].Alert; note.Annotations[schema.AnnotationReason] != `of its 2 supervisords "server b" sends nothing` {
			t.Errorf("%+v", note)
		}
		w.lives(time.Second, map[string]time.Duration{"a": 0, "b": 0})
		if len(w.got) != 1 || !strings.Contains(w.got[0], "resolved host-silent/2 web1") {
			t.Errorf("%q", w.got)
		}

		// One that said that it stops is not silent.
		w.got = nil
		stopping := func(l *schema.HostLife) {
			if l.Boot == "b" {
				l.Stopping = &schema.Time{Time: w.at}
			}
		}
		for i := range 6 {
			w.lives(time.Minute, map[string]time.Duration{"a": 0, "b": time.Duration(i) * time.Minute}, stopping)
		}
		w.want()
	}
}

// Why a host is silent, where that is known.
func TestWhySilent(t *testing.T) {
	for why, change := range map[string]func(*schema.HostRecord){
		"":                                       func(*schema.HostRecord) {},
		"its supervisord announced its shutdown": func(h *schema.HostRecord) { h.Stopping = &schema.Time{Time: t0} },
		"its supervisord died without a shutdown": func(h *schema.HostRecord) { h.SupervisorState = "GONE" },
		"its bridge was stopped":                  func(h *schema.HostRecord) { h.Bridges = []schema.HostBridge{{Stopped: &schema.Time{Time: t0}}} },
	} {
		w := newWorld(t, options(), rules.Config{Name: "host-silent", Silent: schema.Duration(3 * time.Minute)})
		w.record(0, change)
		w.pass(10 * time.Minute)
		if len(w.notes) != 1 || w.notes[0].Alert.Annotations[schema.AnnotationReason] != why {
			t.Errorf("%s: %+v", why, w.notes)
		}
	}
}

// A host that is silent again and again is so for another reason each time: that of the
// silence before is not said of the next one.
func TestWhySilentAgain(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWorld(t, options(), rules.Config{Name: "host-silent", Silent: schema.Duration(3 * time.Minute)})
		w.restarts = restarts
		reasons := []string{"its supervisord announced its shutdown", "its supervisord died without a shutdown", "its bridge was stopped", "", "its supervisord died without a shutdown"}
		for _, why := range reasons {
			w.record(time.Second, func(h *schema.HostRecord) {
				switch why {
				case "its supervisord announced its shutdown":
					h.Stopping = &schema.Time{Time: w.at}
				case "its supervisord died without a shutdown":
					h.SupervisorState = "GONE"
				case "its bridge was stopped":
					h.Bridges = []schema.HostBridge{{Stopped: &schema.Time{Time: w.at}}}
				}
			})
			w.pass(90 * time.Minute)
			w.record(0, func(h *schema.HostRecord) { h.Stopping, h.SupervisorState, h.Bridges = nil, "RUNNING", nil })
		}

		var got []string
		for _, n := range w.notes {
			if n.Type != schema.TypeAlertResolved {
				got = append(got, n.Alert.Annotations[schema.AnnotationReason])
			}
		}
		if d := cmp.Diff(reasons, got); d != "" {
			t.Errorf("restarts %v: %s %q", restarts, d, w.got)
		}
	}
}

// Of an alert that fires again, or still, nothing is said of its end.
func TestNoEndOfWhatLasts(t *testing.T) {
	for name, again := range map[string]func(*world){
		"before it closed": func(w *world) { w.event(time.Second, "EXITED") },
		"after it closed":  func(w *world) { w.pass(time.Minute); w.event(time.Second, "EXITED") },
		"it only stopped to run": func(w *world) {
			w.event(time.Second, "BACKOFF")
		},
	} {
		for _, restarts := range []bool{false, true} {
			w := newWorld(t, options(), crashRule())
			w.restarts = restarts
			w.event(0, "EXITED")
			w.event(time.Minute, "RUNNING")
			w.flush()
			for _, r := range w.records {
				if r.EndedBy != schema.EndedRecovered {
					t.Errorf("%s: before, it is about to end by %q", name, r.EndedBy)
				}
			}
			again(w)
			w.flush()
			for _, r := range w.records {
				if r.Phase != schema.PhaseFiring || r.EndedBy != "" || r.Ended != "" {
					t.Errorf("%s: it is %s, ended by %q (%q)", name, r.Phase, r.EndedBy, r.Ended)
				}
			}
		}
	}
}

// What the bridge says of its supervisord at its end holds back alerts as the event
// does that is often missing.
func TestMuteRestartsByRecord(t *testing.T) {
	o := options()
	o.MuteRestarts = 5 * time.Minute
	w := newWorld(t, o, rules.Config{Name: "host-silent", Silent: schema.Duration(time.Minute)})
	w.record(0, func(h *schema.HostRecord) { h.Stopping = &schema.Time{Time: w.at} })
	w.pass(4 * time.Minute)
	w.want()
	w.record(0, func(h *schema.HostRecord) { h.Stopping = nil })
	w.want()
	w.record(time.Second, func(h *schema.HostRecord) { h.Stopping = &schema.Time{Time: w.at} })
	w.pass(6 * time.Minute)
	if len(w.got) != 1 || !strings.Contains(w.got[0], "firing host-silent/1") {
		t.Errorf("%q", w.got)
	}
}

// An alert says why it has ended where nothing has recovered.
func TestWhyItEnded(t *testing.T) {
	for why, end := range map[string]func(*world){
		"": func(w *world) { w.event(time.Minute, "RUNNING") },
		"it was stopped": func(w *world) {
			w.event(time.Minute, "STOPPING")
		},
		"supervisord does not have it any more": func(w *world) { w.snapshot(time.Minute, "api_00", "GONE") },
		"its supervisord was stopped": func(w *world) {
			w.record(time.Second, func(h *schema.HostRecord) { h.Stopping = &schema.Time{Time: w.at} })
			w.event(time.Second, "STOPPED")
		},
	} {
		for _, restarts := range []bool{false, true} {
			w := newWorld(t, options(), crashRule())
			w.restarts = restarts
			w.event(0, "EXITED")
			end(w)
			w.pass(time.Minute)
			if n := len(w.notes); n != 2 || w.notes[1].Alert.Annotations[schema.AnnotationReason] != why {
				t.Errorf("%s: %q %+v", why, w.got, w.notes[n-1].Alert.Annotations)
			}
		}
	}
}
