package alerts_test

import (
	"testing"
	"time"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

func crashRule(edit ...func(*rules.Config)) rules.Config {
	c := rules.Config{Name: "exit", Event: rules.List{schema.ProcessStateExited}, Expected: p(false)}
	for _, f := range edit {
		f(&c)
	}
	return c
}

// The line of a notification: when, type, rule/number, whose, count, events.
func TestIncident(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*rules.Config)
		do   func(w *world)
		want []string
	}{
		"nothing matches": {edit: nil, do: func(w *world) {
			w.event(0, "RUNNING")
			w.event(1, "EXITED", func(e *schema.Event) { e.Expected = p(true) })
			w.event(1, "STOPPING")
			w.event(1, "STOPPED")
			w.pass(100 * time.Hour)
		}},
		"one crash, restarted": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Second, "STARTING")
			w.event(time.Second, "RUNNING")
			w.pass(24 * time.Hour)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"32s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"seven crashes in five minutes are two mails and the end": {edit: nil, do: func(w *world) {
			for range 7 {
				w.event(20*time.Second, "EXITED")
				w.event(time.Second, "STARTING")
				w.event(time.Second, "RUNNING")
			}
			w.event(1*time.Second, "EXITED")
			w.pass(4 * time.Minute)
			w.event(time.Second, "RUNNING")
			w.pass(time.Hour)
		}, want: []string{
			"20s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"5m20s update exit/2 web1/api/api_00 count 8 [EXITED#4 EXITED#7 EXITED#10 EXITED#13 EXITED#16 EXITED#19 EXITED#22]",
			"7m6s resolved exit/3 web1/api/api_00 count 8 []",
		}},
		"what was not reported is in the resolved": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Second, "EXITED")
			w.event(time.Second, "RUNNING")
			w.pass(time.Hour)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"32s resolved exit/2 web1/api/api_00 count 2 [EXITED#2]",
		}},
		"send_resolved false: an update with the rest": {
			edit: func(c *rules.Config) { c.SendResolved = p(false) },
			do: func(w *world) {
				w.event(0, "EXITED")
				w.event(time.Second, "EXITED")
				w.event(time.Second, "RUNNING")
				w.pass(time.Hour)
				w.event(0, "EXITED")
				w.event(0, "RUNNING")
				w.pass(time.Hour)
			},
			want: []string{
				"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
				"32s update exit/2 web1/api/api_00 count 2 [EXITED#2]",
				"1h0m2s firing exit/1 web1/api/api_00 count 1 [EXITED#4]",
			},
		},
		"repeated while it is open": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.pass(9 * time.Hour)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"4h0m0s update exit/2 web1/api/api_00 count 1 []",
			"8h0m0s update exit/3 web1/api/api_00 count 1 []",
		}},
		"a long repeat_interval": {
			edit: func(c *rules.Config) { c.RepeatInterval = dur(1000 * time.Hour) },
			do: func(w *world) {
				w.event(0, "EXITED")
				w.pass(900 * time.Hour)
				w.event(0, "EXITED")
			},
			want: []string{
				"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
				"900h0m0s update exit/2 web1/api/api_00 count 2 [EXITED#2]",
			},
		},
		"a crash long after the last notification is reported at once": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Hour, "EXITED")
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"1h0m0s update exit/2 web1/api/api_00 count 2 [EXITED#2]",
		}},
		"group_interval next to nothing: each by itself": {
			edit: func(c *rules.Config) { c.GroupInterval = dur(1) },
			do: func(w *world) {
				w.event(0, "EXITED")
				w.event(time.Second, "EXITED")
			},
			want: []string{
				"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
				"1s update exit/2 web1/api/api_00 count 2 [EXITED#2]",
			},
		},
		"group_wait": {
			edit: func(c *rules.Config) { c.GroupWait = dur(10 * time.Second) },
			do: func(w *world) {
				w.event(0, "EXITED")
				w.event(time.Second, "EXITED")
				w.pass(8 * time.Second)
				w.want()
				w.pass(time.Second)
			},
			want: []string{"10s firing exit/1 web1/api/api_00 count 2 [EXITED#1 EXITED#2]"},
		},
		"closed before group_wait is over: all of it in one": {
			edit: func(c *rules.Config) { c.GroupWait, c.ResolveAfter = dur(time.Minute), dur(0) },
			do: func(w *world) {
				w.event(0, "EXITED")
				w.event(time.Second, "RUNNING")
				w.pass(time.Hour)
			},
			want: []string{"1s resolved exit/1 web1/api/api_00 count 1 [EXITED#1]"},
		},
		"stopped on purpose": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Second, "BACKOFF")
			w.event(time.Second, "STOPPED")
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"2s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"gone": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.snapshot(time.Minute, "api_00", "GONE")
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"1m0s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"a snapshot knew already that it runs again": {edit: nil, do: func(w *world) {
			w.snapshot(0, "api_00", "RUNNING")
			m := w.meta(time.Second)
			e := &schema.Event{Event: schema.ProcessStateExited, Expected: p(false), Host: "web1", Boot: "b", Serial: 5, Group: "api", Process: "api_00"}
			ce := e.Envelope(w.at)
			w.events[m.Seq] = alerts.EventOf(m, ce)
			w.applyEvent(m, ce, w.horizon)
			w.state(m, "web1", "api", "api_00", "RUNNING", nil) // counted only
			w.take()
			w.pass(time.Hour)
		}, want: []string{
			"1s firing exit/1 web1/api/api_00 count 1 [EXITED#2]",
			"31s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"a later event came first": {edit: nil, do: func(w *world) {
			w.event(0, "RUNNING", func(e *schema.Event) { e.Serial = 7 })
			m := w.meta(time.Second)
			e := &schema.Event{Event: schema.ProcessStateExited, Expected: p(false), Host: "web1", Boot: "4f0c6d1e2a90b7c3", Serial: 5, Group: "api", Process: "api_00"}
			w.events[m.Seq] = alerts.EventOf(m, e.Envelope(w.at))
			w.applyEvent(m, e.Envelope(w.at), w.horizon)
			w.take()
			w.pass(time.Hour)
		}, want: []string{
			"1s firing exit/1 web1/api/api_00 count 1 [EXITED#2]",
			"31s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"an expected exit after RUNNING is well": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Second, "RUNNING")
			w.event(time.Second, "EXITED", func(e *schema.Event) { e.Expected = p(true) })
			w.pass(time.Minute)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"31s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"not well for long enough": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(time.Second, "RUNNING")
			w.event(29*time.Second, "BACKOFF")
			w.pass(time.Hour)
			w.want("0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]")
			w.event(0, "RUNNING")
			w.pass(30 * time.Second)
		}, want: []string{"1h1m0s resolved exit/2 web1/api/api_00 count 1 []"}},
		"a snapshot shows that it runs": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.snapshot(time.Minute, "api_00", "RUNNING")
			w.pass(time.Minute)
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"1m30s resolved exit/2 web1/api/api_00 count 1 []",
		}},
		"two processes are two alerts": {edit: nil, do: func(w *world) {
			w.event(0, "EXITED")
			w.event(0, "EXITED", process("api_01"))
			w.event(0, "EXITED", onHost("web2"))
		}, want: []string{
			"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"0s firing exit/1 web1/api/api_01 count 1 [EXITED#2]",
			"0s firing exit/1 web2/api/api_00 count 1 [EXITED#3]",
		}},
		"group_by host, group": {
			edit: func(c *rules.Config) { c.GroupBy = rules.List{"host", "group"} },
			do: func(w *world) {
				w.event(0, "EXITED")
				w.event(time.Second, "EXITED", process("api_01"))
				w.event(time.Second, "RUNNING", process("api_01"))
				w.pass(6 * time.Minute)
				w.event(0, "RUNNING")
				w.pass(time.Minute)
			},
			want: []string{
				"0s firing exit/1 web1/api count 1 [EXITED#1]",
				"5m0s update exit/2 web1/api count 2 [EXITED#2]",
				"6m32s resolved exit/3 web1/api count 2 []",
			},
		},
		"group_by group, over hosts": {
			edit: func(c *rules.Config) { c.GroupBy = rules.List{"group"} },
			do: func(w *world) {
				w.event(0, "EXITED")
				w.event(time.Second, "EXITED", onHost("web2"))
				w.event(0, "STOPPED")
				w.event(0, "STOPPED", onHost("web2"))
			},
			want: []string{
				"0s firing exit/1 /api count 1 [EXITED#1]",
				"1s resolved exit/2 /api count 2 [EXITED#2]",
			},
		},
		"a line that matches closes by itself": {
			edit: func(c *rules.Config) { c.Event, c.Expected = rules.List{"PROCESS_LOG"}, nil },
			do: func(w *world) {
				w.event(0, "RUNNING")
				w.event(0, "", func(e *schema.Event) { e.Event = schema.ProcessLogStderr })
				w.event(time.Second, "", func(e *schema.Event) { e.Event = schema.ProcessLogStderr })
				w.pass(time.Hour)
			},
			want: []string{
				"0s firing exit/1 web1/api/api_00 count 1 [PROCESS_LOG_STDERR#2]",
				"31s resolved exit/2 web1/api/api_00 count 2 [PROCESS_LOG_STDERR#3]",
			},
		},
		"an event of no process closes by itself": {
			edit: func(c *rules.Config) { c.Event, c.Expected = rules.List{"SUPERVISOR_STATE_CHANGE"}, nil },
			do: func(w *world) {
				w.event(0, "", func(e *schema.Event) {
					e.Event, e.Group, e.Process = schema.SupervisorStateChangeStopping, "", ""
				})
				w.pass(time.Hour)
			},
			want: []string{
				"0s firing exit/1 web1 count 1 [SUPERVISOR_STATE_CHANGE_STOPPING#1]",
				"30s resolved exit/2 web1 count 1 []",
			},
		},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				edit := func(*rules.Config) {}
				if c.edit != nil {
					edit = c.edit
				}
				w := newWorld(t, options(), crashRule(edit))
				w.restarts = restarts
				c.do(w)
				w.want(c.want...)
			})
		}
	}
}
