package gate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts/gate"
	"supernats/consumer/rules"
	"supernats/schema"
)

var t0 = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// compiled returns the rules exit, inhibited by silent and muted from 19:00 to 20:00 on
// Sundays, and down, and silent.
func compiled(t *testing.T) (exit, down, silent *rules.Rule) {
	t.Helper()
	sunday := rules.Interval{Weekdays: rules.List{"sunday"}, Times: []rules.TimeRange{{Start: "19:00", End: "20:00"}}}
	set, err := rules.Compile([]rules.Config{
		{
			Name: "exit", Event: rules.List{schema.ProcessStateExited},
			InhibitedBy: rules.List{"silent"}, MuteDuring: []rules.Interval{sunday},
		},
		{Name: "down", State: rules.List{schema.StateFatal}},
		{Name: "silent", Silent: schema.Duration(time.Minute)},
	}, rules.Options{GroupInterval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return set.Rules[0], set.Rules[1], set.Rules[2]
}

func silence(id string, from, to time.Time, hosts ...string) schema.Mute {
	return schema.Mute{ID: id, Hosts: hosts, Created: schema.Time{Time: from}, Expires: schema.Time{Time: to}}
}

func TestVerdict(t *testing.T) {
	exit, down, silent := compiled(t)
	key := exit.Key("web1", "api", "api_00")
	sunday := t0.AddDate(0, 0, 1)
	for _, c := range []struct {
		name    string
		prepare func(*gate.Gate)
		rule    *rules.Rule
		at      time.Time
		want    gate.Verdict
	}{
		{name: "nothing holds it back", rule: exit, at: t0},
		{
			name: "a silence", rule: exit, at: t0, want: gate.Verdict{MutedBy: "m", Until: t0.Add(time.Hour)},
			prepare: func(g *gate.Gate) { g.SetSilences([]schema.Mute{silence("m", t0, t0.Add(time.Hour), "web*")}) },
		},
		{
			name: "of two silences the longer one", rule: exit, at: t0, want: gate.Verdict{MutedBy: "long", Until: t0.Add(time.Hour)},
			prepare: func(g *gate.Gate) {
				g.SetSilences([]schema.Mute{
					silence("short", t0, t0.Add(time.Minute)), silence("long", t0, t0.Add(time.Hour)),
				})
			},
		},
		{
			name: "a silence of another host", rule: exit, at: t0,
			prepare: func(g *gate.Gate) { g.SetSilences([]schema.Mute{silence("m", t0, t0.Add(time.Hour), "db*")}) },
		},
		{
			name: "a silence that is over", rule: exit, at: t0,
			prepare: func(g *gate.Gate) { g.SetSilences([]schema.Mute{silence("m", t0.Add(-time.Hour), t0)}) },
		},
		{
			name: "a silence that has not begun", rule: exit, at: t0,
			prepare: func(g *gate.Gate) {
				g.SetSilences([]schema.Mute{silence("m", t0.Add(time.Microsecond), t0.Add(time.Hour))})
			},
		},
		{
			name: "an interval", rule: exit, at: sunday,
			want: gate.Verdict{MutedBy: gate.ByInterval, Until: sunday.Add(time.Hour)},
		},
		{
			name: "a restart", rule: exit, at: t0,
			want:    gate.Verdict{MutedBy: gate.ByRestart, Until: t0.Add(90 * time.Second)},
			prepare: func(g *gate.Gate) { g.Stopping("web1", t0.Add(-30*time.Second)) },
		},
		{
			name: "a restart that takes too long", rule: exit, at: t0,
			prepare: func(g *gate.Gate) { g.Stopping("web1", t0.Add(-2*time.Minute)) },
		},
		{
			name: "the restart of another host", rule: exit, at: t0,
			prepare: func(g *gate.Gate) { g.Stopping("web2", t0) },
		},
		{
			name: "a restart that is over", rule: exit, at: t0,
			prepare: func(g *gate.Gate) { g.Stopping("web1", t0); g.Running("web1") },
		},
		{
			name: "an inhibiting rule", rule: exit, at: t0, want: gate.Verdict{InhibitedBy: "silent"},
			prepare: func(g *gate.Gate) { g.Fires(silent, "web1", 1) },
		},
		{
			name: "a rule that inhibits others only", rule: down, at: t0,
			prepare: func(g *gate.Gate) { g.Fires(silent, "web1", 1) },
		},
		{
			name: "an inhibiting rule that fires no more", rule: exit, at: t0,
			prepare: func(g *gate.Gate) { g.Fires(silent, "web1", 1); g.Fires(silent, "web1", -1) },
		},
		{
			name: "the horizon", rule: down, at: t0,
			want:    gate.Verdict{Old: true, Until: t0.Add(time.Second + time.Microsecond)},
			prepare: func(g *gate.Gate) { g.Horizon(t0.Add(time.Second)); g.Horizon(t0) },
		},
		{
			name: "the horizon is nothing to events", rule: exit, at: t0,
			prepare: func(g *gate.Gate) { g.Horizon(t0.Add(time.Second)) },
		},
		{
			name: "a silence comes before all others", rule: exit, at: t0,
			want: gate.Verdict{MutedBy: "m", Until: t0.Add(time.Second)},
			prepare: func(g *gate.Gate) {
				g.Fires(silent, "web1", 1)
				g.Stopping("web1", t0)
				g.SetSilences([]schema.Mute{silence("m", t0, t0.Add(time.Second))})
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gate.New(2 * time.Minute)
			if c.prepare != nil {
				c.prepare(g)
			}
			got := g.Verdict(c.rule, key, c.at)
			if d := cmp.Diff(c.want, got); d != "" || got.Held() != (c.want != gate.Verdict{}) {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestReplacedSilences(t *testing.T) {
	g := gate.New(0)
	if replaced := g.SetSilences([]schema.Mute{silence("a", t0, t0.Add(time.Hour))}); len(replaced) != 0 {
		t.Errorf("%q", replaced)
	}
	if d := cmp.Diff([]string{"a"}, g.SetSilences(nil)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
