package alerts_test

import (
	"testing"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

func silence(from, to time.Duration, edit ...func(*schema.Mute)) schema.Mute {
	m := schema.Mute{ID: "m1", Created: schema.Time{Time: t0.Add(from)}, Expires: schema.Time{Time: t0.Add(to)}}
	for _, f := range edit {
		f(&m)
	}
	return m
}

func TestMutes(t *testing.T) {
	mutes := func(m ...schema.Mute) func(w *world) {
		return func(w *world) { w.silences = m; w.SetSilences(w.at, m) }
	}
	exit := []rules.Config{crashRule()}
	run(t, []scenario{
		{name: "still open when it ends: reported with everything", rules: exit, do: func(w *world) {
			mutes(silence(0, time.Hour))(w)
			w.event(0, "EXITED")
			w.event(time.Minute, "EXITED")
			w.flush()
			if r := w.records["exit.web1.api.api_00"]; r.Muted != 2 || r.MutedBy != "m1" || r.Phase != schema.PhaseFiring || r.Count != 2 {
				w.Errorf("record is %+v", r)
			}
			w.pass(2 * time.Hour)
			w.flush()
			if r := w.records["exit.web1.api.api_00"]; r.Muted != 0 || r.MutedBy != "" || r.HeldUntil != nil {
				w.Errorf("record is %+v", r)
			}
			if s := w.Stats()[0]; s.Muted != 0 {
				w.Errorf("%+v", s)
			}
		}, want: []string{"1h0m0s firing exit/1 web1/api/api_00 count 2 [EXITED#1 EXITED#2]"}},
		{name: "closed meanwhile: nobody wants to know, but it is counted", rules: exit, do: func(w *world) {
			mutes(silence(0, time.Hour))(w)
			w.event(0, "EXITED")
			w.event(time.Minute, "EXITED")
			w.event(time.Minute, "RUNNING")
			w.pass(10 * time.Minute)
			w.flush()
			if r := w.records["exit.web1.api.api_00"]; r.Muted != 2 || r.MutedBy != "m1" || r.Phase != schema.PhaseResolved || len(r.Unsent) != 0 {
				w.Errorf("record is %+v", r)
			}
			if s := w.Stats()[0]; !w.restarts && (s.Muted != 2 || s.Resolved != 1) {
				w.Errorf("%+v", s)
			}
			w.pass(2 * time.Hour)
		}},
		{name: "reported before, closed while muted: nothing either", rules: exit, do: func(w *world) {
			mutes(silence(time.Minute, time.Hour))(w)
			w.event(0, "EXITED")
			w.event(2*time.Minute, "RUNNING")
			w.pass(5 * time.Hour)
		}, want: []string{"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]"}},
		{name: "taken back", rules: exit, do: func(w *world) {
			mutes(silence(0, time.Hour))(w)
			w.event(0, "EXITED")
			w.pass(time.Minute)
			mutes()(w)
			w.pass(time.Second)
		}, want: []string{"1m0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]"}},
		{name: "not yet, not any more, not this one", rules: exit, do: func(w *world) {
			mutes(
				silence(time.Hour, 2*time.Hour), silence(-time.Hour, 0),
				silence(0, time.Hour, func(m *schema.Mute) { m.Hosts = []string{"db*", "web2"} }),
				silence(0, time.Hour, func(m *schema.Mute) { m.Groups = []string{"work*"} }),
				silence(0, time.Hour, func(m *schema.Mute) { m.Processes = []string{"api_01"} }),
				silence(0, time.Hour, func(m *schema.Mute) { m.Rules = []string{"fatal"} }),
			)(w)
			w.event(0, "EXITED")
		}, want: []string{"0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]"}},
		{name: "globs", rules: exit, do: func(w *world) {
			mutes(silence(0, time.Hour, func(m *schema.Mute) {
				m.Hosts, m.Groups, m.Processes, m.Rules = []string{"db", "web?"}, []string{"a*"}, []string{"{api_00,x}"}, []string{"ex*"}
			}))(w)
			w.event(0, "EXITED")
			w.event(0, "EXITED", process("api_01"))
		}, want: []string{"0s firing exit/1 web1/api/api_01 count 1 [EXITED#2]"}},
		{name: "one silence after another", rules: exit, do: func(w *world) {
			mutes(silence(0, time.Hour), silence(30*time.Minute, 2*time.Hour, func(m *schema.Mute) { m.ID = "m2" }))(w)
			w.event(0, "EXITED")
			w.pass(3 * time.Hour)
		}, want: []string{"2h0m0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]"}},
		{name: "mute_during", rules: []rules.Config{crashRule(func(c *rules.Config) {
			c.MuteDuring = []rules.Interval{{Times: []rules.TimeRange{{Start: "19:00", End: "20:00"}, {Start: "22:00", End: "24:00"}}}, {Times: []rules.TimeRange{{Start: "00:00", End: "06:00"}}}}
		})}, do: func(w *world) {
			w.event(time.Minute, "EXITED")
			w.flush()
			if r := w.records["exit.web1.api.api_00"]; r.MutedBy != "mute_during" || r.Muted != 1 {
				w.Errorf("record is %+v", r)
			}
			w.pass(10 * time.Hour)
			w.event(0, "EXITED")
			w.pass(10 * time.Hour)
		}, want: []string{
			"1h0m0s firing exit/1 web1/api/api_00 count 1 [EXITED#1]",
			"11h0m0s update exit/2 web1/api/api_00 count 2 [EXITED#2]",
			"15h0m0s update exit/3 web1/api/api_00 count 2 []",
			"19h0m0s update exit/4 web1/api/api_00 count 2 []",
		}},
		{name: "mute_restarts", options: func(o *rules.Options) { o.MuteRestarts = 2 * time.Minute }, rules: exit, do: func(w *world) {
			change := func(name string) func(*schema.Event) {
				return func(e *schema.Event) { e.Event, e.Group, e.Process = name, "", "" }
			}
			w.event(0, "", change(schema.SupervisorStateChangeStopping))
			w.event(time.Second, "EXITED")
			w.event(0, "EXITED", onHost("web2"))
			w.pass(time.Minute)
			w.want("1s firing exit/1 web2/api/api_00 count 1 [EXITED#3]")
			w.event(0, "", change(schema.SupervisorStateChangeRunning))
			w.event(time.Second, "EXITED", process("b"))
			w.want(
				"1m1s firing exit/1 web1/api/api_00 count 1 [EXITED#2]",
				"1m2s firing exit/1 web1/api/b count 1 [EXITED#5]",
			)
			w.event(0, "", change(schema.SupervisorStateChangeStopping))
			w.event(0, "EXITED", process("c"))
			w.pass(10 * time.Minute)
		}, want: []string{"3m2s firing exit/1 web1/api/c count 1 [EXITED#7]"}},
		{name: "no mute_restarts", rules: exit, do: func(w *world) {
			w.event(0, "", func(e *schema.Event) { e.Event, e.Group, e.Process = schema.SupervisorStateChangeStopping, "", "" })
			w.event(time.Second, "EXITED")
		}, want: []string{"1s firing exit/1 web1/api/api_00 count 1 [EXITED#2]"}},
	})
}

// Each interval holds at some times and not at others; the same as in
// Alertmanager.
func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		v    rules.Interval
		at   string
		held bool
	}{
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "09:00", End: "17:00"}}}, at: "2026-11-20T08:59:59Z", held: false},
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "09:00", End: "17:00"}}}, at: "2026-11-20T09:00:00Z", held: true},
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "09:00", End: "17:00"}}}, at: "2026-11-20T16:59:59Z", held: true},
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "09:00", End: "17:00"}}}, at: "2026-11-20T17:00:00Z", held: false},
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "22:00", End: "24:00"}}}, at: "2026-11-20T23:59:59Z", held: true},
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "22:00", End: "24:00"}}}, at: "2026-11-21T00:00:00Z", held: false},
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "09:00", End: "10:00"}}, Location: "Europe/Berlin"}, at: "2026-11-20T08:30:00Z", held: true},
		{v: rules.Interval{Times: []rules.TimeRange{{Start: "09:00", End: "10:00"}}, Location: "Europe/Berlin"}, at: "2026-07-20T08:30:00Z", held: false},
		{v: rules.Interval{Weekdays: rules.List{"monday:friday"}}, at: "2026-11-20T12:00:00Z", held: true}, // a Friday
		{v: rules.Interval{Weekdays: rules.List{"monday:friday"}}, at: "2026-11-21T12:00:00Z", held: false},
		{v: rules.Interval{Weekdays: rules.List{"Sunday", "saturday"}}, at: "2026-11-22T12:00:00Z", held: true},
		{v: rules.Interval{DaysOfMonth: rules.List{"1:5"}}, at: "2026-11-05T12:00:00Z", held: true},
		{v: rules.Interval{DaysOfMonth: rules.List{"1:5"}}, at: "2026-11-06T12:00:00Z", held: false},
		{v: rules.Interval{DaysOfMonth: rules.List{"-1"}}, at: "2026-11-30T12:00:00Z", held: true},
		{v: rules.Interval{DaysOfMonth: rules.List{"-1"}}, at: "2026-11-29T12:00:00Z", held: false},
		{v: rules.Interval{DaysOfMonth: rules.List{"-3:-1"}}, at: "2028-02-27T12:00:00Z", held: true}, // of 29 days
		{v: rules.Interval{DaysOfMonth: rules.List{"-3:-1"}}, at: "2026-02-25T12:00:00Z", held: false},
		{v: rules.Interval{DaysOfMonth: rules.List{"-31:-28"}}, at: "2026-02-01T12:00:00Z", held: true},
		{v: rules.Interval{DaysOfMonth: rules.List{"-31:-30"}}, at: "2026-02-01T12:00:00Z", held: false},
		{v: rules.Interval{DaysOfMonth: rules.List{"29:31"}}, at: "2026-02-28T12:00:00Z", held: false},
		{v: rules.Interval{DaysOfMonth: rules.List{"25:-1"}}, at: "2026-11-30T12:00:00Z", held: true},
		{v: rules.Interval{Months: rules.List{"december", "2:3"}}, at: "2026-03-01T00:00:00Z", held: true},
		{v: rules.Interval{Months: rules.List{"december", "2:3"}}, at: "2026-11-01T00:00:00Z", held: false},
		{v: rules.Interval{Years: rules.List{"2026:2027"}}, at: "2027-12-31T23:59:59Z", held: true},
		{v: rules.Interval{Years: rules.List{"2026:2027"}}, at: "2028-01-01T00:00:00Z", held: false},
		// All that is given must hold.
		{v: rules.Interval{Weekdays: rules.List{"friday"}, Times: []rules.TimeRange{{Start: "09:00", End: "17:00"}}}, at: "2026-11-20T18:00:00Z", held: false},
		{v: rules.Interval{Weekdays: rules.List{"friday"}, Months: rules.List{"11"}, Years: rules.List{"2026"}, DaysOfMonth: rules.List{"20"}}, at: "2026-11-20T18:00:00Z", held: true},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, options(), crashRule(func(r *rules.Config) { r.MuteDuring = []rules.Interval{c.v} }))
		w.at = at
		w.event(0, "EXITED")
		if (len(w.notes) == 0) != c.held {
			t.Errorf("%+v at %s: %q", c.v, c.at, w.got)
		}
	}
}

// When clocks are set back an hour comes twice: the silence still ends.
func TestIntervalOverTheEndOfSummerTime(t *testing.T) {
	for minute, want := range map[int]string{
		5:   "2026-10-25T00:30:00Z", // 02:05 of summer time; it holds until 02:30
		65:  "2026-10-25T01:30:00Z", // 02:05 again
		-10: "2026-10-24T23:50:00Z", // before it
	} {
		w := newWorld(t, options(), crashRule(func(r *rules.Config) {
			r.MuteDuring = []rules.Interval{{Times: []rules.TimeRange{{Start: "02:00", End: "02:30"}}, Location: "Europe/Berlin"}}
		}))
		w.at = time.Date(2026, 10, 25, 0, minute, 0, 0, time.UTC)
		w.event(0, "EXITED")
		for range 200 {
			w.pass(time.Minute)
		}
		if at := w.notes[0].At.Format(time.RFC3339); at != want {
			t.Errorf("at minute %d: reported at %s, not %s", minute, at, want)
		}
	}
}
