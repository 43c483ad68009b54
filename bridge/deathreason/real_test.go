package deathreason

import (
	"math/rand/v2"
	"strings"
	"testing"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
)

// Settings of programs.
const (
	// again starts a program whatever it has died of.
	again = "startsecs=0\nautorestart=true\nstopsignal=KILL"
	// once does not.
	once = "startsecs=0\nautorestart=false"
	// tooEarly takes a death for a failed start.
	tooEarly = "startsecs=10\nstopsignal=KILL"
	unlogged = "stdout_logfile=NONE\nstderr_logfile=NONE"
	// twins are two processes whose names other programs use too.
	twins = "process_name=twin_%(process_num)d\nnumprocs=2"
)

var manyPrograms = supervisordtest.Program("fast", "CRASH 0.2", again, "process_name=fast_%(process_num)02d", "numprocs=6",
	"stdout_logfile=NONE", "stderr_logfile=DIR/%(group_name)s.%(process_num)d.stderr.log") +
	supervisordtest.Program("left", "CRASH 0.2", again, unlogged, twins) +
	supervisordtest.Program("right", "CRASH 0.2", again, unlogged, twins) +
	supervisordtest.Program("my.app-weird*>é(x)", "CRASH 0.05", again, unlogged) +
	supervisordtest.Program("slow", "CRASH 1.2", "startsecs=1", "autorestart=true", "stopsignal=KILL", unlogged, twins) +
	supervisordtest.Program("early", "CRASH", tooEarly, "startretries=1", unlogged,
		"process_name=early_%(process_num)d", "numprocs=2") +
	supervisordtest.Program("late", "CRASH", tooEarly, "startretries=1", unlogged, "process_name=early_%(process_num)d",
		"numprocs=2") +
	supervisordtest.Program("missing1", "/nonexistent/missing1", "startretries=1") +
	supervisordtest.Program("missing2", "/nonexistent/missing2", "startretries=1")

// TestReasons lets a real supervisord's children die in every way and checks the
// reason of each death, first as it happens, then over what was recorded: all at
// once, from the middle on, with events lost and with events repeated. A reason
// may be missing where something was lost, it must never be wrong.
func TestReasons(t *testing.T) {
	t.Parallel()
	f := start(t, manyPrograms)
	r := newReasons(t, f, 0)
	var all []Received
	calm := false
	live := f.collect(t, "250 deaths and 6 processes that are FATAL", func(events []Received) bool {
		batch := events[len(all):]
		all = events
		r.Explain(t.Context(), batch)
		// Events may be far behind: supervisord hands out one in each round of its
		// loop, and starts every program of which it is time in between.
		if log := f.Log(); !calm && strings.Count(log, "gave up: ") == 6 && strings.Count(log, "; not expected)") >= 300 {
			calm = true
			f.quiet(t)
		}
		return count(events, schema.ProcessStateFatal) == 6 && deaths(events) >= 250
	})
	f.quiet(t)
	want := truth(t, f, live)
	right, unknown := score(t, want, live)
	t.Logf("live: %d deaths, %d right, %d unknown", deaths(live), right, unknown)
	if unknown > 0 {
		t.Errorf("%d reasons of %d were not found", unknown, deaths(live))
	}
	if n := count(live, schema.ProcessStateBackoff); n < 12 {
		t.Errorf("only %d BACKOFF", n)
	}

	t.Run("at once", func(t *testing.T) {
		events := unexplained(live)
		newReasons(t, f, 0).Explain(t.Context(), events)
		if _, unknown := score(t, want, events); unknown > 0 {
			t.Errorf("%d reasons were not found", unknown)
		}
	})
	t.Run("in batches of any size", func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 1))
		events := unexplained(live)
		r := newReasons(t, f, 0)
		for i := 0; i < len(events); {
			n := min(1+rnd.IntN(60), len(events)-i)
			r.Explain(t.Context(), events[i:i+n])
			i += n
		}
		if _, unknown := score(t, want, events); unknown > 0 {
			t.Errorf("%d reasons were not found", unknown)
		}
	})
	t.Run("from the middle on", func(t *testing.T) {
		for i := 0; i < len(live); i += 1 + len(live)/20 {
			events := unexplained(live[i:])
			newReasons(t, f, 0).Explain(t.Context(), events)
			right, unknown := score(t, want, events)
			t.Logf("from event %d on: %d right, %d unknown", i, right, unknown)
			if unknown > right {
				t.Errorf("from event %d on %d of %d reasons were not found", i, unknown, deaths(events))
			}
		}
	})
	t.Run("with losses", func(t *testing.T) {
		for seed := range uint64(20) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			var events []Received
			for i := 0; i < len(live); i++ {
				if rnd.IntN(60) == 0 {
					i += rnd.IntN(40)
					continue
				}
				events = append(events, live[i])
			}
			events = unexplained(events)
			newReasons(t, f, 0).Explain(t.Context(), events)
			right, unknown := score(t, want, events)
			t.Logf("%d of %d events lost: %d right, %d unknown", len(live)-len(events), len(live), right, unknown)
			if unknown > right {
				t.Errorf("%d of %d reasons were not found", unknown, deaths(events))
			}
		}
	})
	t.Run("repeated", func(t *testing.T) {
		r := newReasons(t, f, 0)
		rnd := rand.New(rand.NewPCG(2, 2))
		for i := 0; i < len(live); {
			n := min(1+rnd.IntN(60), len(live)-i)
			events := unexplained(live[max(0, i-rnd.IntN(40)) : i+n])
			r.Explain(t.Context(), events)
			if _, unknown := score(t, want, events); unknown > 0 {
				t.Errorf("%d reasons were not found", unknown)
			}
			i += n
		}
	})
	t.Run("another boot", func(t *testing.T) {
		events := unexplained(live)
		for _, e := range events {
			e.Event.Boot = "fedcba9876543210"
		}
		newReasons(t, f, 0).Explain(t.Context(), events)
		if right, _ := score(t, want, events); right > 0 {
			t.Errorf("%d reasons of another boot", right)
		}
	})
	t.Run("the events of exits only", func(t *testing.T) {
		var events []Received
		for _, r := range live {
			if r.Event.Event == schema.ProcessStateExited || r.Event.Event == "TICK_5" {
				events = append(events, r)
			}
		}
		events = unexplained(events)
		for i := range events {
			events[i].Event.PoolSerial = uint64(i)
		}
		newReasons(t, f, 0).Explain(t.Context(), events)
		right, unknown := score(t, want, events)
		t.Logf("%d right, %d unknown", right, unknown)
		if right == 0 {
			t.Error("no reason was found")
		}
	})
}
