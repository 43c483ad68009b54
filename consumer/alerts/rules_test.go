package alerts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

// scenario is one history and what is reported of it, the same without and with a
// kill and a restart before every step.
type scenario struct {
	name    string
	options func(*rules.Options)
	rules   []rules.Config
	do      func(w *world)
	want    []string
}

func run(t *testing.T, scenarios []scenario) {
	for _, c := range scenarios {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarts %t", c.name, restarts), func(t *testing.T) {
				o := options()
				if c.options != nil {
					c.options(&o)
				}
				w := newWorld(t, o, c.rules...)
				w.restarts = restarts
				c.do(w)
				w.want(c.want...)
			})
		}
	}
}

const (
	second = schema.Duration(time.Second)
	minute = schema.Duration(time.Minute)
)

func TestCountWithin(t *testing.T) {
	loop := rules.Config{Name: "loop", Event: rules.List{"PROCESS_STATE_EXITED", "PROCESS_STATE_BACKOFF"}, Expected: p(false), Count: 3, Within: 10 * minute}
	spread := func(at ...time.Duration) func(w *world) {
		return func(w *world) {
			for _, d := range at {
				m := w.meta(0)
				e := &schema.Event{Event: schema.ProcessStateExited, Expected: p(false), Host: "web1", Boot: "b", Serial: m.Seq, Group: "api", Process: "api_00"}
				w.deliver(m, e.Envelope(t0.Add(d)))
			}
		}
	}
	run(t, []scenario{
		{name: "not often enough", rules: []rules.Config{loop}, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Minute, "EXITED")
			w.flush()
			if r := w.records["loop.web1.api.api_00"]; r.Phase != schema.PhasePending || r.Count != 2 || len(r.Unsent) != 2 {
				w.Errorf("record is %+v", r)
			}
			w.pass(time.Hour)
			w.flush()
			if len(w.records) != 0 {
				w.Errorf("records: %v", w.records)
			}
		}},
		{name: "not fast enough", rules: []rules.Config{loop}, do: func(w *world) {
			for range 9 {
				w.event(5*time.Minute+1, "EXITED")
			}
		}},
		{name: "exits and starts that failed count together, expected exits do not", rules: []rules.Config{loop}, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Second, "BACKOFF")
			w.event(time.Second, "EXITED", func(e *schema.Event) { e.Expected = p(true) })
			w.event(time.Second, "BACKOFF")
			w.event(time.Second, "BACKOFF")
			w.event(time.Second, "RUNNING")
			w.pass(time.Hour)
		}, want: []string{
			"3s firing loop/1 web1/api/api_00 count 3 [EXITED#1 BACKOFF#2 BACKOFF#4]",
			"35s resolved loop/2 web1/api/api_00 count 4 [BACKOFF#5]",
		}},
		{name: "the oldest are forgotten", rules: []rules.Config{loop}, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(9*time.Minute, "EXITED")
			w.event(9*time.Minute, "EXITED")
			w.event(30*time.Second, "EXITED")
		}, want: []string{"18m30s firing loop/1 web1/api/api_00 count 3 [EXITED#2 EXITED#3 EXITED#4]"}},
		{name: "a drained spool: crashes of hours at once are no loop", rules: []rules.Config{loop}, do: spread(-3*time.Hour, -2*time.Hour, -time.Hour)},
		{name: "a drained spool: a loop is one", rules: []rules.Config{loop}, do: spread(-3*time.Hour, -2*time.Hour, -2*time.Hour+time.Minute, -2*time.Hour+2*time.Minute), want: []string{
			"0s firing loop/1 web1/api/api_00 count 3 [EXITED#2 EXITED#3 EXITED#4]",
		}},
	})
}

func TestStateRules(t *testing.T) {
	down := rules.Config{Name: "down", State: rules.List{"EXITED", "FATAL", "BACKOFF"}, For: minute, Expected: p(false)}
	grouped := rules.Config{Name: "down", State: rules.List{"FATAL"}, For: minute, GroupBy: rules.List{"host", "group"}}
	run(t, []scenario{
		{name: "back in time", rules: []rules.Config{down}, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(59*time.Second, "STARTING")
			w.event(0, "BACKOFF")
			w.event(59*time.Second, "RUNNING")
			w.pass(time.Hour)
		}},
		{name: "a drained spool does not fire for what came back", rules: []rules.Config{down}, do: func(w *world) {
			w.event(0, "FATAL")
			w.event(0, "RUNNING")
			w.pass(time.Hour)
		}},
		{name: "down for long enough, whatever the state", rules: []rules.Config{down}, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(30*time.Second, "BACKOFF")
			w.pass(29 * time.Second)
			w.want()
			w.event(time.Minute, "RUNNING")
			w.pass(time.Hour)
		}, want: []string{
			"1m0s firing down/1 web1/api/api_00 count 1 [BACKOFF#2]",
			"2m29s resolved down/2 web1/api/api_00 count 1 []",
		}},
		{name: "an expected exit is not down", rules: []rules.Config{down}, do: func(w *world) {
			w.event(0, "EXITED", func(e *schema.Event) { e.Expected = p(true) })
			w.pass(time.Hour)
		}},
		{name: "down again before it is well", rules: []rules.Config{down}, do: func(w *world) {
			w.event(0, "FATAL")
			w.event(2*time.Minute, "RUNNING")
			w.event(10*time.Second, "FATAL")
			w.event(30*time.Second, "STARTING")
			w.event(10*time.Second, "BACKOFF")
			w.pass(10 * time.Minute)
			w.event(0, "STOPPED")
		}, want: []string{
			"1m0s firing down/1 web1/api/api_00 count 1 [FATAL#1]",
			"6m0s update down/2 web1/api/api_00 count 2 [BACKOFF#5]",
			"12m50s resolved down/3 web1/api/api_00 count 2 []",
		}},
		{name: "a snapshot is enough, and gone is gone", rules: []rules.Config{down}, do: func(w *world) {
			w.snapshot(0, "api_07", "FATAL")
			w.pass(2 * time.Minute)
			w.snapshot(0, "api_07", "GONE")
			w.snapshot(0, "api_08", "FATAL")
			w.snapshot(time.Second, "api_08", "GONE")
			w.pass(time.Hour)
		}, want: []string{
			"1m0s firing down/1 web1/api/api_07 count 1 [FATAL#1]",
			"2m0s resolved down/2 web1/api/api_07 count 1 []",
		}},
		{name: "several processes in one alert", rules: []rules.Config{grouped}, do: func(w *world) {
			w.event(0, "FATAL")
			w.event(0, "FATAL", process("api_01"))
			w.event(30*time.Second, "FATAL", process("api_02"))
			w.event(0, "FATAL", process("api_03"))
			w.event(10*time.Second, "RUNNING", process("api_03"))
			w.pass(10 * time.Minute)
			w.event(0, "RUNNING")
			w.event(0, "RUNNING", process("api_01"))
			w.event(0, "STOPPED", process("api_02"))
			w.pass(time.Minute)
		}, want: []string{
			"1m0s firing down/1 web1/api count 2 [FATAL#1 FATAL#2]",
			"6m0s update down/2 web1/api count 3 [FATAL#3]",
			"11m10s resolved down/3 web1/api count 3 []",
		}},
		{name: "a state that one should be in: it closes when it is left", rules: []rules.Config{{Name: "up", State: rules.List{"RUNNING"}, ResolveAfter: dur(0)}}, do: func(w *world) {
			w.event(0, "RUNNING")
			w.event(time.Second, "EXITED")
			w.pass(time.Second)
		}, want: []string{
			"0s firing up/1 web1/api/api_00 count 1 [RUNNING#1]",
			"1s resolved up/2 web1/api/api_00 count 1 []",
		}},
		{name: "not selected", rules: []rules.Config{{Name: "down", State: rules.List{"FATAL"}, Processes: rules.List{"worker*"}}}, do: func(w *world) {
			w.event(0, "FATAL")
			w.event(0, "FATAL", process("worker/1"))
		}, want: []string{"0s firing down/1 web1/api/worker/1 count 1 [FATAL#2]"}},
	})
}

func TestQuorum(t *testing.T) {
	quorum := rules.Config{Name: "quorum", Quorum: 2, For: 10 * second}
	fleet := func(w *world) {
		for _, name := range []string{"a", "b", "c"} {
			w.event(0, "RUNNING", process(name))
		}
	}
	run(t, []scenario{
		{name: "enough", rules: []rules.Config{quorum}, do: func(w *world) {
			fleet(w)
			w.event(time.Minute, "FATAL", process("a"))
			w.pass(time.Hour)
		}},
		{name: "too few, but not for long", rules: []rules.Config{quorum}, do: func(w *world) {
			fleet(w)
			w.event(time.Minute, "FATAL", process("a"))
			w.event(0, "EXITED", process("b"))
			w.event(9*time.Second, "RUNNING", process("b"))
			w.pass(time.Hour)
		}},
		{name: "too few", rules: []rules.Config{quorum}, do: func(w *world) {
			fleet(w)
			w.event(time.Minute, "FATAL", process("a"))
			w.event(0, "EXITED", process("b"))
			w.pass(time.Minute)
			w.event(0, "RUNNING", process("b"))
			w.event(20*time.Second, "EXITED", process("b"))
			w.event(0, "RUNNING", process("a"))
			w.pass(time.Minute)
		}, want: []string{
			"1m10s firing quorum/1 web1/api count 1 [EXITED#5]",
			"2m50s resolved quorum/2 web1/api count 1 []",
		}},
		{name: "the group is gone", rules: []rules.Config{quorum}, do: func(w *world) {
			w.event(0, "FATAL", process("a"))
			w.pass(time.Minute)
			w.snapshot(0, "a", "GONE")
		}, want: []string{
			"10s firing quorum/1 web1/api count 1 [FATAL#1]",
			"1m0s resolved quorum/2 web1/api count 1 []",
		}},
		{name: "over hosts", rules: []rules.Config{{Name: "quorum", Quorum: 2, GroupBy: rules.List{"group"}, For: second}}, do: func(w *world) {
			w.event(0, "RUNNING")
			w.event(0, "RUNNING", onHost("web2"))
			w.event(time.Minute, "STOPPED", onHost("web2"))
			w.pass(time.Minute)
		}, want: []string{"1m1s firing quorum/1 /api count 1 [STOPPED#3]"}},
	})
}

func TestSilentHosts(t *testing.T) {
	silent := rules.Config{Name: "host-silent", Silent: 3 * minute}
	run(t, []scenario{
		{name: "never seen, never silent", rules: []rules.Config{silent}, do: func(w *world) { w.pass(time.Hour) }},
		{name: "silent and back", rules: []rules.Config{silent}, do: func(w *world) {
			w.beat(0, "web1")
			w.beat(2*time.Minute, "web1")
			w.pass(2*time.Minute + 59*time.Second)
			w.want()
			w.pass(10 * time.Minute)
			w.event(0, "RUNNING")
			w.beat(time.Minute, "web1")
			w.pass(4 * time.Minute)
		}, want: []string{
			"5m0s firing host-silent/1 web1 count 1 []",
			"14m59s resolved host-silent/2 web1 count 1 []",
			"18m59s firing host-silent/1 web1 count 1 []",
		}},
		{name: "another host is no sign of life", rules: []rules.Config{silent}, do: func(w *world) {
			w.beat(0, "web1")
			for range 10 {
				w.beat(20*time.Second, "web2")
			}
		}, want: []string{"3m0s firing host-silent/1 web1 count 1 []"}},
		{name: "only some hosts", rules: []rules.Config{{Name: "host-silent", Silent: minute, Hosts: rules.List{"db*"}}}, do: func(w *world) {
			w.beat(0, "web1")
			w.beat(0, "db1")
			w.pass(time.Hour)
		}, want: []string{"1m0s firing host-silent/1 db1 count 1 []"}},
		{name: "NATS was away: everybody gets time to come back", rules: []rules.Config{silent}, do: func(w *world) {
			w.beat(0, "web1")
			w.beat(time.Second, "web2")
			w.beat(0, "web3")
			w.bridge(2*time.Minute+50*time.Second, "web1", schema.BridgeReconnect)
			w.beat(44*time.Second, "web2")
			w.want()
			w.beat(time.Minute, "web1")
		}, want: []string{"3m36s firing host-silent/1 web3 count 1 []"}},
		{name: "two are silent, and one of them comes back: nothing new about the other", rules: []rules.Config{silent}, do: func(w *world) {
			w.beat(0, "web1")
			w.beat(20*time.Second, "web2")
			w.bridge(100*time.Second, "web2", schema.BridgeStarted)
			w.pass(time.Minute)
			w.beat(0, "web2")
			w.want("3m0s firing host-silent/1 web1 count 1 []")
			if at := w.notes[0].Alert.Opened; !at.Equal(t0) {
				w.Errorf("last heard %v", at)
			}
		}},
		{name: "a record of a bridge after no gap excuses nobody", rules: []rules.Config{silent}, do: func(w *world) {
			w.beat(0, "web1")
			for range 8 {
				w.beat(25*time.Second, "web2")
			}
			w.bridge(0, "web2", schema.BridgeReconnect)
		}, want: []string{"3m0s firing host-silent/1 web1 count 1 []"}},
		{name: "nor does one that stops", rules: []rules.Config{silent}, do: func(w *world) {
			w.beat(0, "web1")
			w.bridge(time.Hour, "web2", schema.BridgeStopping)
		}, want: []string{"3m0s firing host-silent/1 web1 count 1 []"}},
	})
}

func TestLoss(t *testing.T) {
	run(t, []scenario{{name: "each record, and the end", rules: []rules.Config{{Name: "loss", Loss: true, Hosts: rules.List{"web*"}}}, do: func(w *world) {
		w.loss(0, "web1", 0)
		w.loss(10*time.Second, "web1", 0)
		w.loss(0, "db1", 0)
		w.pass(time.Hour)
		if e := w.notes[0].Alert.Events[0]; e.Lost != 7 || e.Host != "" || e.ID == "" {
			w.Errorf("event is %+v", e)
		}
		w.horizon = w.at
		w.loss(0, "web1", time.Second)
		if s := w.Stats()[0]; s.TooOld != 1 {
			w.Errorf("%+v", s)
		}
	}, want: []string{
		"0s firing loss/1 web1 count 1 [supernats.bridge.loss#1]",
		"40s resolved loss/2 web1 count 2 [supernats.bridge.loss#2]",
	}}})
}

func TestInhibition(t *testing.T) {
	set := []rules.Config{
		{Name: "down", State: rules.List{"FATAL"}, For: 4 * minute, InhibitedBy: rules.List{"host-silent"}},
		{Name: "host-silent", Silent: 3 * minute},
	}
	run(t, []scenario{
		{name: "held back while the host is silent, not lost", rules: set, do: func(w *world) {
			w.event(0, "FATAL")
			w.pass(10 * time.Minute)
			w.flush()
			if r := w.records["down.web1.api.api_00"]; r.InhibitedBy != "host-silent" || r.HeldUntil == nil || r.Phase != schema.PhaseFiring {
				w.Errorf("record is %+v", r)
			}
			w.beat(0, "web1")
			w.pass(time.Second)
		}, want: []string{
			"3m0s firing host-silent/1 web1 count 1 []",
			"10m0s resolved host-silent/2 web1 count 1 []",
			"10m0s firing down/1 web1/api/api_00 count 1 [FATAL#1]",
		}},
		{name: "another host hides nothing", rules: set, do: func(w *world) {
			w.beat(0, "web2")
			w.event(0, "FATAL")
			w.beat(2*time.Minute, "web1")
			w.beat(2*time.Minute, "web1")
			w.beat(time.Second, "web1")
		}, want: []string{
			"3m0s firing host-silent/1 web2 count 1 []",
			"4m0s firing down/1 web1/api/api_00 count 1 [FATAL#2]",
		}},
		{name: "what closed meanwhile is reported when it may be", rules: []rules.Config{
			{Name: "exit", Event: rules.List{schema.ProcessStateExited}, InhibitedBy: rules.List{"loss"}},
			{Name: "loss", Loss: true, ResolveAfter: dur(5 * time.Minute)},
		}, do: func(w *world) {
			w.loss(0, "web1", 0)
			w.event(time.Second, "EXITED")
			w.event(time.Second, "RUNNING")
			w.pass(time.Minute)
			w.want("0s firing loss/1 web1 count 1 [supernats.bridge.loss#1]")
			w.event(0, "EXITED")
			w.event(time.Second, "RUNNING")
			w.pass(10 * time.Minute)
		}, want: []string{
			"5m0s resolved loss/2 web1 count 1 []",
			"5m0s resolved exit/1 web1/api/api_00 count 2 [EXITED#2 EXITED#4]",
		}},
	})
}

func TestDefaults(t *testing.T) {
	run(t, []scenario{{name: "an operator, a reload and a shutdown are no crash; the rest is", rules: rules.Defaults(), do: func(w *world) {
		w.event(0, "RUNNING")
		w.event(time.Second, "STOPPING")
		w.event(time.Second, "STOPPED")
		w.event(time.Second, "", func(e *schema.Event) { e.Event, e.Group, e.Process = schema.SupervisorStateChangeStopping, "", "" })
		w.event(time.Second, "EXITED", func(e *schema.Event) { e.Expected = nil })
		w.event(time.Second, "EXITED", func(e *schema.Event) { e.Expected = p(true) })
		w.event(time.Second, "BACKOFF")
		w.want()
		w.event(time.Second, "FATAL")
		w.event(time.Second, "EXITED", process("b"))
		w.loss(time.Second, "web1", 0)
		w.pass(3 * time.Minute)
	}, want: []string{
		"7s firing fatal/1 web1/api/api_00 count 1 [FATAL#8]",
		"8s firing unexpected-exit/1 web1/api/b count 1 [EXITED#9]",
		"9s firing loss/1 web1 count 1 [supernats.bridge.loss#10]",
		"39s resolved loss/2 web1 count 1 []",
		"3m9s firing host-silent/1 web1 count 1 []",
	}}})
}

func TestGroupsOption(t *testing.T) {
	for _, c := range []struct {
		groups []string
		group  string
		want   bool
	}{
		{groups: []string{"api"}, group: "api2", want: false},
		{groups: []string{"api"}, group: "API", want: false},
		{groups: []string{"work?r"}, group: "api", want: false},
		{groups: []string{"[!a]pi"}, group: "api", want: false},
		{groups: nil, group: "api", want: true},
		{groups: []string{}, group: "api", want: true},
		{groups: []string{"api"}, group: "api", want: true},
		{groups: []string{"api"}, group: "", want: true}, // of no group, so not of another
		{groups: []string{"worker", "a*"}, group: "api", want: true},
		{groups: []string{"{api,worker}"}, group: "worker", want: true},
		{groups: []string{"[a-c]pi"}, group: "api", want: true},
		{groups: []string{"*"}, group: "my.app-weird*>é", want: true},
		{groups: []string{`my.app-weird\*>?`}, group: "my.app-weird*>é", want: true},
		// The Go port of supervisord has names that are no file names.
		{groups: []string{"*"}, group: "a/b", want: true},
		{groups: []string{"a/b"}, group: "a/b", want: true},
		{groups: []string{"a/*"}, group: "a/b", want: true},
		{groups: []string{"a?b"}, group: "a/b", want: true},
	} {
		o := options()
		o.Groups = c.groups
		w := newWorld(t, o, rules.Config{Name: "e", Event: rules.List{schema.ProcessStateFatal}}, rules.Config{Name: "s", State: rules.List{"FATAL"}})
		w.event(0, "FATAL", func(e *schema.Event) { e.Group = c.group })
		if (len(w.notes) == 2) != c.want || len(w.notes) == 1 {
			t.Errorf("groups %q and group %q: %q", c.groups, c.group, w.got)
		}
	}
}

func TestSelection(t *testing.T) {
	exit := func(edit func(*rules.Config)) rules.Config {
		c := rules.Config{Name: "x", Event: rules.List{schema.ProcessStateExited}}
		edit(&c)
		return c
	}
	for i, c := range []struct {
		rule rules.Config
		edit func(*schema.Event)
		want bool
	}{
		{rule: exit(func(c *rules.Config) { c.Hosts = rules.List{"web"} }), edit: nil, want: false},
		{rule: exit(func(c *rules.Config) { c.Hosts = rules.List{"db", "web?"} }), edit: nil, want: true},
		{rule: exit(func(c *rules.Config) { c.Groups = rules.List{"worker"} }), edit: nil, want: false},
		{rule: exit(func(c *rules.Config) { c.Processes = rules.List{"api_0[1-9]"} }), edit: nil, want: false},
		{rule: exit(func(c *rules.Config) { c.Processes = rules.List{"api_0[0-9]"} }), edit: nil, want: true},
		{rule: exit(func(c *rules.Config) { c.Expected = p(true) }), edit: nil, want: false},
		{rule: exit(func(c *rules.Config) { c.Expected = p(false) }), edit: func(e *schema.Event) { e.Expected = nil }, want: false},
		{rule: exit(func(c *rules.Config) { c.Event = rules.List{"PROCESS_LOG"} }), edit: nil, want: false},
		{rule: exit(func(c *rules.Config) { c.Event = rules.List{"PROCESS_STATE"} }), edit: nil, want: true},
		{rule: exit(func(c *rules.Config) { c.Event = rules.List{"*EXIT*"} }), edit: nil, want: true},
		{rule: exit(func(c *rules.Config) { c.Event = rules.List{"PROCESS_STATE"} }), edit: func(e *schema.Event) { e.Event = "PROCESS_STATE_FROZEN" }, want: true},
		{rule: exit(func(c *rules.Config) { c.Event = rules.List{"EVENT"} }), edit: func(e *schema.Event) { e.Event = "X"; e.Part, e.Parts = 1, 2 }, want: true},
		{rule: exit(func(c *rules.Config) { c.Event = rules.List{"EVENT"} }), edit: func(e *schema.Event) { e.Event = "X"; e.Part, e.Parts = 2, 2 }, want: false},
		{rule: exit(func(c *rules.Config) { c.Event, c.If = rules.List{"EVENT"}, `data == "x"` }), edit: func(e *schema.Event) { e.Data = p("x"); e.Part, e.Parts = 2, 2 }, want: true},
		// What an event does not have is a zero, and no error.
		{rule: exit(func(c *rules.Config) {
			c.If = `exit.code == 0 and not exit.known and tries == 0 and extra.a == "" and data == ""`
		}), edit: nil, want: true},
		{rule: exit(func(c *rules.Config) { c.If = `expected or expected_known` }), edit: func(e *schema.Event) { e.Expected = nil }, want: false},
		{rule: exit(func(c *rules.Config) { c.If = `exit.signal == "SIGKILL" and exit.core and not expected` }), edit: func(e *schema.Event) {
			e.Exit = &schema.Exit{Signal: "SIGKILL", Core: true}
		}, want: true},
		{rule: exit(func(c *rules.Config) {
			c.If = `exit.code == 3 and log.stderr contains "panic" and tries == 2 and extra["k"] == "v" and time.Year() == 2026`
		}), edit: func(e *schema.Event) {
			e.Exit, e.Log, e.Tries, e.Extra = &schema.Exit{Code: p(3)}, &schema.Log{Stderr: "a panic"}, p(2), map[string]string{"k": "v"}
		}, want: true},
	} {
		w := newWorld(t, options(), c.rule)
		if c.edit == nil {
			c.edit = func(*schema.Event) {}
		}
		w.event(0, "EXITED", c.edit)
		if s := w.Stats()[0]; len(w.notes) == 1 != c.want || s.Errors != 0 {
			t.Errorf("%d: %q, %+v", i, w.got, s)
		}
	}
}

// An expression that fails when it runs is no match, and is counted.
func TestConditionFails(t *testing.T) {
	for _, source := range []string{"int(data) == 3", "all(1..10000000, true)"} {
		w := newWorld(t, options(), rules.Config{Name: "x", Event: rules.List{"EVENT"}, If: source})
		w.event(0, "RUNNING", func(e *schema.Event) { e.Data = p("no number") })
		if s := w.Stats()[0]; s.Errors != 1 || s.Matched != 0 || len(w.notes) != 0 {
			t.Errorf("%s: %+v", source, s)
		}
	}
}

func TestTemplates(t *testing.T) {
	w := newWorld(t, options(), rules.Config{
		Name: "exit", Event: rules.List{schema.ProcessStateExited}, Severity: "page", Notify: rules.List{"chat"}, GroupInterval: dur(1),
		Labels: map[string]string{"first": "{{.Event.Exit.Code}} {{.Group}}"},
		Annotations: map[string]string{
			"text":   `{{.Labels.first}} {{.Status}} {{.Host}} {{.Group}}:{{.Process}} {{.Event.Reason}} {{.Count}} {{.Duration | duration}}: {{.Event.Log.Stderr | lastLines 2 | json}}`,
			"broken": `{{if eq .Event.Exit.Signal "SIGSEGV"}}here {{(index .Events 9).ID}}{{end}}`,
		},
	})
	die := func(x schema.Exit) {
		w.event(time.Minute, "EXITED", func(e *schema.Event) { e.Exit, e.Log = &x, &schema.Log{Stderr: "a\nb\nc\n"} })
	}
	die(schema.Exit{Code: p(3)})
	die(schema.Exit{Signal: "SIGSEGV", Core: true})
	w.restart()
	die(schema.Exit{SpawnErr: "no such file"})
	w.event(0, "RUNNING")
	w.pass(time.Minute)
	want := [][2]string{
		{`3 api firing web1 api:api_00 exit code 3 1 0s: "b\nc"`, ""},
		{`3 api firing web1 api:api_00 SIGSEGV, core dumped 2 1m: "b\nc"`, "here <error: "},
		{`3 api firing web1 api:api_00 spawn error: no such file 3 2m: "b\nc"`, ""},
		{`3 api resolved web1 api:api_00 spawn error: no such file 3 2m30s: ""`, ""},
	}
	for i, n := range w.notes {
		a := n.Alert
		if a.Annotations["text"] != want[i][0] || !strings.HasPrefix(a.Annotations["broken"], want[i][1]) || (want[i][1] == "") != (a.Annotations["broken"] == "") {
			t.Errorf("%d: %q", i, a.Annotations)
		}
		if a.Labels["first"] != "3 api" || a.Severity != "page" || len(a.Notify) != 1 || a.Notify[0] != "chat" {
			t.Errorf("%d: %+v", i, a)
		}
	}
	if len(w.notes) != len(want) {
		t.Errorf("%d notifications", len(w.notes))
	}
}

func TestWants(t *testing.T) {
	w := newWorld(t, options(), rules.Config{Name: "x", Event: rules.List{"PROCESS_STATE", "TICK_5", "*ADDED"}}, rules.Config{Name: "y", State: rules.List{"FATAL"}})
	for name, want := range map[string]bool{
		"PROCESS_STATE_EXITED": true, "PROCESS_STATE_FROZEN": true, "TICK_5": true, "TICK_60": false, "PROCESS_GROUP_ADDED": true,
		"PROCESS_LOG_STDOUT": false, "MY_ADDED": true, "": false, "SUPERVISOR_STATE_CHANGE_STOPPING": false,
	} {
		if w.Wants(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
	o := options()
	o.MuteRestarts = time.Minute
	if !newWorld(t, o).Wants("SUPERVISOR_STATE_CHANGE_STOPPING") {
		t.Error("a restart is not seen")
	}
}

func TestTooOldAndLate(t *testing.T) {
	w := newWorld(t, options(), rules.Defaults()...)
	w.horizon = t0.Add(-24 * time.Hour)
	at := func(age time.Duration, name string) bool {
		m := w.meta(time.Second)
		e := &schema.Event{Event: name, Expected: p(false), Host: "web1", Boot: "b", Serial: m.Seq, Group: "api", Process: fmt.Sprint(m.Seq)}
		tooOld := w.applyEvent(m, e.Envelope(w.horizon.Add(24*time.Hour-age)), w.horizon)
		w.take()
		return tooOld
	}
	for i, c := range []struct {
		age              time.Duration
		event            string
		tooOld, reported bool
		late             bool
	}{
		{age: 24*time.Hour + 1, event: schema.ProcessStateExited, tooOld: true, reported: false, late: false},
		{age: 1e4 * time.Hour, event: schema.ProcessStateFatal, tooOld: true, reported: false, late: false},
		{age: 1e4 * time.Hour, event: schema.ProcessStateRunning, tooOld: false, reported: false, late: false}, // no match, so none too old
		{age: 24 * time.Hour, event: schema.ProcessStateExited, tooOld: false, reported: true, late: true},
		{age: time.Minute, event: schema.ProcessStateExited, tooOld: false, reported: true, late: true},
		{age: 50 * time.Second, event: schema.ProcessStateExited, tooOld: false, reported: true, late: false},
		{age: -time.Hour, event: schema.ProcessStateExited, tooOld: false, reported: true, late: false}, // its host's clock is ahead
	} {
		w.notes = nil
		tooOld := at(c.age, c.event)
		if tooOld != c.tooOld || len(w.notes) == 1 != c.reported {
			t.Errorf("%d: too old %t, %d notifications", i, tooOld, len(w.notes))
		}
		if c.reported && w.notes[0].Alert.Events[0].Late != c.late {
			t.Errorf("%d: late %t", i, !c.late)
		}
	}
	if s := w.Stats(); s[0].TooOld != 1 || s[1].TooOld != 1 {
		t.Errorf("%+v", s)
	}
}

// What only time has made is as old as the time: it is reported if it still holds
// when the stream comes to what is not history.
func TestOldStates(t *testing.T) {
	run(t, []scenario{
		{name: "over by then", rules: []rules.Config{{Name: "down", State: rules.List{"FATAL"}, For: minute}, {Name: "host-silent", Silent: 3 * minute}}, do: func(w *world) {
			w.horizon = t0.Add(time.Hour)
			w.event(0, "FATAL")
			w.event(10*time.Minute, "RUNNING")
			for range 40 {
				w.beat(2*time.Minute, "web1")
			}
			if s := w.Stats(); !w.restarts && (s[0].TooOld != 1 || s[1].TooOld != 1) {
				w.Errorf("%+v", s)
			}
		}},
		{name: "still so", rules: []rules.Config{{Name: "down", State: rules.List{"FATAL"}, For: minute}}, do: func(w *world) {
			w.horizon = t0.Add(time.Hour)
			w.event(0, "FATAL")
			w.event(0, "RUNNING", process("b")) // for the horizon
			w.pass(59 * time.Minute)
			w.want()
			w.event(0, "RUNNING", process("b"))
			w.pass(59 * time.Minute)
		}, want: []string{"1h0m0.000001s firing down/1 web1/api/api_00 count 1 [FATAL#1]"}},
	})
}

func TestLimits(t *testing.T) {
	grouped := rules.Config{Name: "exit", Event: rules.List{schema.ProcessStateExited}, GroupBy: rules.List{"host"}, GroupWait: dur(time.Hour)}
	w := newWorld(t, options(), grouped)
	log := strings.Repeat("x", 4000)
	for i := range 1200 {
		w.event(time.Millisecond, "EXITED", process(fmt.Sprint(i)), func(e *schema.Event) { e.Log = &schema.Log{Stderr: log} })
	}
	if len(w.notes) != 2 {
		t.Fatalf("%d notifications", len(w.notes))
	}
	for _, n := range w.notes {
		size, with := 0, 0
		for _, e := range n.Alert.Events {
			if e.Log != nil {
				size += len(e.Log.Stderr)
				with++
			}
		}
		if len(n.Alert.Events) != 500 || size > 256<<10 || with < 60 || n.Alert.Events[0].Log == nil || n.Alert.Events[499].Log == nil {
			t.Errorf("%d events, %d of them with %d bytes of logs", len(n.Alert.Events), with, size)
		}
	}
	// One log that is too long is cut at its beginning, between characters; one of
	// control characters takes six times as much.
	for _, text := range []string{"é", "\x1b"} {
		w := newWorld(t, options(), grouped, crashRule(func(c *rules.Config) { c.Name = "each" }))
		w.event(0, "EXITED", func(e *schema.Event) {
			e.Log = &schema.Log{Stdout: strings.Repeat("a", 300_000), Stderr: "a" + strings.Repeat(text, 300_000) + "end"}
		})
		l := w.notes[0].Alert.Events[0].Log
		b, err := schema.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 17_000 || len(b) < 15_000 || !strings.HasSuffix(l.Stderr, text+"end") || strings.Contains(l.Stderr, "\ufffd") || strings.HasPrefix(l.Stderr, "\xa9") {
			t.Errorf("%q: %d bytes", text, len(b))
		}
	}
}

// Held back by a silence for as long as it likes, an alert takes no more than so
// much; every event is reported or counted.
func TestHeldForLong(t *testing.T) {
	for _, c := range []struct {
		rule     rules.Config
		before   func(w *world)
		reported int
		muted    uint64
	}{
		{rule: crashRule(), before: func(w *world) {
			w.SetSilences(t0, []schema.Mute{{ID: "m", Expires: schema.Time{Time: t0.Add(time.Hour)}}})
		}, reported: 5_000, muted: 20_000},
		{rule: crashRule(func(c *rules.Config) { c.InhibitedBy = rules.List{"loss"} }), before: func(w *world) { w.loss(0, "web1", 0) }, reported: 25_000, muted: 0},
	} {
		w := newWorld(t, options(), c.rule, rules.Config{Name: "loss", Loss: true, ResolveAfter: dur(time.Hour)})
		c.before(w)
		w.notes = nil
		for range 25_000 {
			m := w.meta(time.Millisecond)
			e := &schema.Event{Event: schema.ProcessStateExited, Expected: p(false), Host: "web1", Boot: "b", Serial: m.Seq, Group: "api", Process: "a"}
			w.applyEvent(m, e.Envelope(w.at), w.horizon)
		}
		w.flush()
		b, err := schema.Marshal(w.records["exit.web1.api.a"])
		if err != nil || len(b) > 100_000 {
			t.Errorf("record of %d bytes, %v", len(b), err)
		}
		w.pass(2 * time.Hour)
		reported := map[uint64]bool{}
		for _, n := range w.notes {
			if len(n.Alert.Events) > 500 {
				t.Errorf("%d events in %s", len(n.Alert.Events), n.ID)
			}
			for _, e := range n.Alert.Events {
				reported[e.Seq] = reported[e.Seq] || n.Alert.Rule == "exit"
			}
		}
		delete(reported, 1)
		if s := w.Stats()[0]; len(reported) != c.reported || s.Muted != c.muted || s.Matched != 25_000 {
			t.Errorf("%d reported, %+v", len(reported), s)
		}
	}
}
