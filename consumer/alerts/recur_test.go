package alerts_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

// crashing plays a program that runs for a while and crashes, over and over.
func crashing(w *world, name string, runs, total time.Duration) (crashes int) {
	for end := w.at.Add(total); w.at.Before(end); crashes++ {
		w.event(runs-time.Second, "EXITED", process(name))
		w.event(0, "STARTING", process(name))
		w.event(time.Second, "RUNNING", process(name))
	}
	return crashes
}

// With the settings of an installation that has written none.
func TestADayOfCrashes(t *testing.T) {
	for _, runs := range []time.Duration{3 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, 4 * time.Minute, 7 * time.Minute, 20 * time.Minute} {
		for _, restarts := range []bool{false, true} {
			if restarts && runs < 4*time.Minute {
				continue // each message is a restart
			}
			t.Run(fmt.Sprint(runs, " restarts ", restarts), func(t *testing.T) {
				w := newWorld(t, options(), crashRule())
				w.restarts = restarts
				w.event(0, "RUNNING")
				crashes := crashing(w, "api_00", runs, 24*time.Hour)
				w.pass(3 * time.Hour)

				mails, listed := times(w.notes), 0
				for _, n := range w.notes {
					listed += len(n.Alert.Events)
					if r := n.Alert.Recurring; r != nil {
						listed += r.Unlisted
					}
				}
				last := w.notes[len(w.notes)-1]
				if listed != crashes || last.Type != schema.TypeAlertResolved || w.notes[0].At.Sub(t0) > runs {
					t.Errorf("%d of %d crashes are listed or counted; the last of them is %s", listed, crashes, describe(last))
				}
				// Those that come minutes apart are alerts of their own at first.
				most := 10
				if runs > 5*time.Minute {
					most = 14
				}
				if mails > most {
					t.Errorf("%d mails", mails)
				}
				if runs < 5*time.Minute && last.Alert.Count != crashes {
					t.Errorf("the last one counts %d of %d crashes", last.Alert.Count, crashes)
				}
			})
		}
	}
}

// times is how often people are notified: what is made at one time is one mail.
func times(notes []alerts.Notification) (n int) {
	var last time.Time
	for _, note := range notes {
		if !note.At.Equal(last) {
			n++
		}
		last = note.At
	}
	return n
}

// What people read of a program that crashes every 40 s.
func TestFlapping(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	w.event(0, "RUNNING")
	crashing(w, "api_00", 40*time.Second, 5*time.Hour)
	w.event(time.Second, "EXITED", process("other"))
	w.event(0, "RUNNING", process("other"))
	w.pass(time.Hour)
	var got []string
	for _, n := range w.notes {
		r := n.Alert.Recurring
		if r == nil {
			r = &schema.Recurring{}
		}
		got = append(got, fmt.Sprintf("%v %s %s count %d: %d times since %v, runs %v, opened %v %s %s", n.At.Sub(t0), n.Type[len("supernats.alert."):],
			n.Alert.Process, n.Alert.Count, r.Times, max(0, r.Since.Sub(t0)), time.Duration(r.RunMS)*time.Millisecond, n.Alert.Opened.Sub(t0), n.Alert.Ended, n.Alert.State))
	}
	want := []string{
		"39s firing api_00 count 1: 0 times since 0s, runs 0s, opened 39s  EXITED",
		"1m10s resolved api_00 count 1: 0 times since 0s, runs 0s, opened 39s recovered RUNNING",
		"1m19s firing api_00 count 2: 1 times since 1m10s, runs 0s, opened 39s  EXITED",
		"16m19s update api_00 count 24: 22 times since 1m19s, runs 40s, opened 39s  RUNNING",
		"4h16m19s update api_00 count 384: 360 times since 16m19s, runs 40s, opened 39s  RUNNING",
		"5h0m1s firing other count 1: 0 times since 0s, runs 0s, opened 5h0m1s  EXITED",
		"5h0m31s resolved other count 1: 0 times since 0s, runs 0s, opened 5h0m1s recovered RUNNING",
		"5h5m0s resolved api_00 count 450: 66 times since 4h16m19s, runs 40s, opened 39s recovered RUNNING",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// In an alert of several, a process that crashes for the first time does not wait for
// long because another one has been crashing for hours.
func TestAFlapperHoldsUpNoOther(t *testing.T) {
	w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupBy = rules.List{"host"} }))
	crashing(w, "flapper", 20*time.Second, 6*time.Hour)
	before := len(w.notes)
	w.event(time.Second, "EXITED", process("other"))
	first := w.at
	w.pass(5 * time.Minute)
	if n := w.notes[before:]; len(n) == 0 || n[0].At.Sub(first) > 5*time.Minute {
		t.Errorf("%d notifications since", len(n))
	}
}

// What matches after a long pause is reported at once, whatever came before it.
func TestACrashAfterALongPause(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	for range 60 {
		w.event(20*time.Second, "EXITED")
	}
	w.pass(2 * time.Hour)
	w.got = nil
	w.event(0, "EXITED")
	w.want("2h20m0s update exit/4 web1/api/api_00 count 61 [EXITED#61]")
}

func TestReopening(t *testing.T) {
	crash := func(w *world, after time.Duration) {
		w.event(after, "EXITED")
		w.event(0, "RUNNING")
	}
	for name, c := range map[string]struct {
		edit func(*rules.Config)
		do   func(w *world)
		want []string
	}{
		"soon after its end: the same alert, which is held for longer": {edit: nil, do: func(w *world) {
			crash(w, 0)
			crash(w, 2*time.Minute)
			w.pass(time.Hour)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"30s resolved exit/2 web1/api/api_00 count 1 []",
			"2m0s firing exit/3 web1/api/api_00 count 2 [EXITED#3]",
			"7m0s resolved exit/4 web1/api/api_00 count 2 []",
		}},
		"later: another one, and the next belongs to that": {edit: nil, do: func(w *world) {
			crash(w, 0)
			crash(w, 10*time.Minute)
			crash(w, 10*time.Minute)
			w.pass(time.Hour)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"30s resolved exit/2 web1/api/api_00 count 1 []",
			"10m0s firing exit/1 web1/api/api_00 count 1 [EXITED#3]",
			"10m30s resolved exit/2 web1/api/api_00 count 1 []",
			"20m0s firing exit/3 web1/api/api_00 count 2 [EXITED#5]",
			"40m0s resolved exit/4 web1/api/api_00 count 2 []",
		}},
		"much later": {edit: nil, do: func(w *world) {
			crash(w, 0)
			crash(w, 2*time.Hour)
			w.pass(time.Hour)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"30s resolved exit/2 web1/api/api_00 count 1 []",
			"2h0m0s firing exit/1 web1/api/api_00 count 1 [EXITED#3]",
			"2h0m30s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"without resolved, nobody has to learn that it is not over": {edit: func(c *rules.Config) { c.SendResolved = p(false) }, do: func(w *world) {
			crash(w, 0)
			crash(w, 2*time.Minute)
			w.pass(time.Hour)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"5m0s update exit/2 web1/api/api_00 count 2 [EXITED#3]",
		}},
		"with a state": {edit: func(c *rules.Config) {
			*c = rules.Config{Name: "down", State: rules.List{"FATAL"}, For: schema.Duration(10 * time.Second)}
		}, do: func(w *world) {
			for range 2 {
				w.event(time.Minute, "FATAL")
				w.pass(20 * time.Second)
				w.event(0, "RUNNING")
			}
			w.pass(time.Hour)
		}, want: []string{
			"1m10s firing down/1 web1/api/api_00 count 1 [FATAL#1]",
			"1m50s resolved down/2 web1/api/api_00 count 1 []",
			"2m30s firing down/3 web1/api/api_00 count 2 [FATAL#3]",
			"7m40s resolved down/4 web1/api/api_00 count 2 []",
		}},
		"with count": {edit: func(c *rules.Config) { c.Count, c.Within = 2, schema.Duration(time.Minute) }, do: func(w *world) {
			for range 2 {
				crash(w, 10*time.Second)
				crash(w, 10*time.Second)
				w.pass(time.Minute)
			}
			w.pass(time.Hour)
		}, want: []string{
			"20s firing exit/1 web1/api/api_00 count 2 [EXITED#1 EXITED#3]",
			"50s resolved exit/2 web1/api/api_00 count 2 []",
			"1m40s firing exit/3 web1/api/api_00 count 4 [EXITED#5 EXITED#7]",
			"6m40s resolved exit/4 web1/api/api_00 count 4 []",
		}},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " restarts ", restarts), func(t *testing.T) {
				var edits []func(*rules.Config)
				if c.edit != nil {
					edits = append(edits, c.edit)
				}
				w := newWorld(t, options(), crashRule(edits...))
				w.restarts = restarts
				c.do(w)
				w.want(c.want...)
			})
		}
	}
}

// What a spool brings late is reported, but nobody is led to think that it happens now.
func TestLateNews(t *testing.T) {
	late := func(w *world, age time.Duration) {
		m := w.meta(time.Second)
		e := &schema.Event{Event: schema.ProcessStateExited, Expected: p(false), Host: "web1", Boot: "4f0c6d1e2a90b7c3", Serial: 0, Group: "api", Process: "api_00"}
		ce := e.Envelope(w.at.Add(-age))
		w.events[m.Seq] = alerts.EventOf(m, ce)
		w.hostSeen("web1")
		w.applyEvent(m, ce, w.horizon)
		w.take()
	}
	since := func(w *world) (list []string) {
		for _, n := range w.notes {
			if s := n.Alert.WellSince; s != nil {
				list = append(list, fmt.Sprint(n.ID[len(n.ID)-1:], " ", s.Sub(t0)))
			}
		}
		return list
	}
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprint("it runs, restarts ", restarts), func(t *testing.T) {
			w := newWorld(t, options(), crashRule())
			w.restarts = restarts
			w.serial = 5
			w.snapshot(0, "api_00", "RUNNING")
			late(w, time.Hour)
			w.pass(time.Hour)
			w.want("1s firing exit/1 web1/api/api_00 count 1 [EXITED#2]", "31s resolved exit/2 web1/api/api_00 count 1 []")
			if d := cmp.Diff([]string{"1 0s"}, since(w)); d != "" {
				t.Error(d)
			}
		})
		t.Run(fmt.Sprint("its alert has closed, restarts ", restarts), func(t *testing.T) {
			w := newWorld(t, options(), crashRule())
			w.restarts = restarts
			w.event(0, "EXITED")
			w.snapshot(time.Second, "api_00", "RUNNING")
			w.pass(time.Minute)
			late(w, 2*time.Minute)
			late(w, 2*time.Minute)
			w.pass(time.Hour)
			w.want(
				"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]", "31s resolved exit/2 web1/api/api_00 count 1 []",
				"1m33s resolved exit/3 web1/api/api_00 count 3 [EXITED#3 EXITED#4]",
			)
			if d := cmp.Diff([]string{"3 31s"}, since(w)); d != "" {
				t.Error(d)
			}
			if n := w.notes[1]; n.Alert.Ended != schema.EndedSnapshot || n.Alert.State != "RUNNING" {
				t.Errorf("%+v", n.Alert)
			}
		})
		t.Run(fmt.Sprint("and then it crashes, restarts ", restarts), func(t *testing.T) {
			w := newWorld(t, options(), crashRule())
			w.restarts = restarts
			w.event(0, "EXITED")
			w.event(time.Second, "RUNNING")
			w.pass(time.Minute)
			late(w, 2*time.Minute)
			w.event(time.Second, "EXITED")
			w.want(
				"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]", "31s resolved exit/2 web1/api/api_00 count 1 []",
				"1m3s firing exit/3 web1/api/api_00 count 3 [EXITED#3 EXITED#4]",
			)
			if d := cmp.Diff([]string(nil), since(w)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A host whose network comes and goes is one alert too, and hides nothing while it is there.
func TestAHostThatComesAndGoes(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprint("restarts ", restarts), func(t *testing.T) {
			w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.InhibitedBy = rules.List{"host-silent"} }),
				rules.Config{Name: "host-silent", Silent: schema.Duration(3 * time.Minute)})
			w.restarts = restarts
			for range 24 * 60 / 6 {
				w.beat(0, "web1")
				w.beat(time.Minute, "web1")
				w.pass(5 * time.Minute)
			}
			w.beat(0, "web1")
			if n := len(w.notes); n > 13 {
				t.Errorf("%d notifications", n)
			}
			w.notes = nil
			w.event(time.Second, "EXITED")
			if len(w.notes) != 1 || w.notes[0].Alert.Rule != "exit" {
				t.Errorf("a crash is hidden: %v", w.notes)
			}
			for range 300 {
				w.beat(time.Minute, "web1")
			}
			ends := 0
			for _, n := range w.notes {
				if n.Alert.Rule == "host-silent" && n.Type == schema.TypeAlertResolved {
					if ends++; n.Alert.Count != 239 { // the first one is an alert of its own
						t.Errorf("silent %d times", n.Alert.Count)
					}
				}
			}
			if ends != 1 {
				t.Errorf("its end is reported %d times", ends)
			}
		})
	}
}

// A program that was taken out of the configuration, and is in it again, does not flap:
// its next alert is one of its own, and ends when it has been well for a while.
func TestRemovedAndConfiguredAgain(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	w.event(0, "RUNNING")
	w.event(time.Second, "EXITED")
	w.snapshot(5*time.Second, "api_00", "GONE")
	w.pass(time.Second)
	if last := w.notes[len(w.notes)-1]; last.Alert.Ended != schema.EndedRemoved {
		t.Fatalf("the last one is %s, ended %q", describe(last), last.Alert.Ended)
	}
	first := w.notes[0].Alert.Incident

	w.event(10*time.Second, "STARTING")
	w.event(time.Second, "RUNNING")
	w.event(time.Second, "EXITED")
	w.event(time.Second, "STARTING")
	w.event(time.Second, "RUNNING")
	w.pass(40 * time.Second)
	last := w.notes[len(w.notes)-1]
	if last.Type != schema.TypeAlertResolved || last.Alert.Incident == first {
		t.Errorf("after 40 s the last one is %s", describe(last))
	}
}
