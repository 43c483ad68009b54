package rules_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/rules"
	"supernats/schema"
)

var now = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

func p[T any](v T) *T { return &v }

func exited(expected bool) schema.Event {
	return schema.Event{
		Event: schema.ProcessStateExited, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: 1234, Pool: "supernats",
		Group: "api", Process: "api_00", FromState: "RUNNING", Expected: &expected, PID: 11167,
		Exit: &schema.Exit{Code: p(3)}, Log: &schema.Log{Stderr: "panic\n"},
	}
}

func eval(g rules.Engine, e schema.Event, age time.Duration) ([]rules.Notification, bool) {
	return g.Eval(now, 9, e.Envelope(now.Add(-age)))
}

func defaults() rules.Engine { return rules.Engine{Rules: rules.Defaults(), MaxAge: 24 * time.Hour} }

func TestDefaults(t *testing.T) {
	notes, tooOld := eval(defaults(), exited(false), time.Minute)
	want := []rules.Notification{{
		ID: "unexpected-exit/web1/4f0c6d1e2a90b7c3/1234/1",
		Alert: &schema.Alert{
			Alert: "unexpected-exit/web1/4f0c6d1e2a90b7c3/1234", Rule: "unexpected-exit", Severity: "critical",
			Host: "web1", Group: "api", Process: "api_00", Opened: schema.Time{Time: now.Add(-time.Minute)}, Count: 1,
			Events: []schema.AlertEvent{{
				ID: "web1/4f0c6d1e2a90b7c3/1234", Time: schema.Time{Time: now.Add(-time.Minute)}, Seq: 9,
				Event: schema.ProcessStateExited, Server: "supervisor", FromState: "RUNNING", PID: 11167,
				Exit: &schema.Exit{Code: p(3)}, Log: &schema.Log{Stderr: "panic\n"},
			}},
		},
	}}
	if d := cmp.Diff(want, notes); d != "" || tooOld {
		t.Errorf("too old %t: %s", tooOld, d)
	}
}

func TestWhichEventsAreAlerts(t *testing.T) {
	unknown := exited(false)
	unknown.Expected = nil
	all := map[string]string{schema.ProcessStateFatal: "fatal"}
	for _, c := range []struct {
		name string
		e    schema.Event
		rule string
	}{
		{"unexpected exit", exited(false), "unexpected-exit"},
		{"expected exit", exited(true), ""},
		{"exit that says nothing of it", unknown, ""},
	} {
		check(t, c.name, c.e, c.rule)
	}
	for _, name := range append(schema.Names(), "PROCESS_STATE_FROZEN", "FATAL") {
		if name == schema.ProcessStateExited {
			continue
		}
		check(t, name, schema.Event{Event: name, Host: "h", Boot: "b", Group: "g", Process: "p", Expected: p(false)}, all[name])
	}
}

func check(t *testing.T, name string, e schema.Event, rule string) {
	t.Helper()
	notes, tooOld := eval(defaults(), e, 0)
	got := ""
	for _, n := range notes {
		got += n.Alert.Rule
	}
	if got != rule || tooOld {
		t.Errorf("%s: rule %q, too old %t", name, got, tooOld)
	}
}

func TestGroups(t *testing.T) {
	for _, c := range []struct {
		groups []string
		group  string
		want   bool
	}{
		{nil, "api", true},
		{nil, "", true},
		{[]string{}, "api", true},
		{[]string{"api"}, "api", true},
		{[]string{"api"}, "api2", false},
		{[]string{"api"}, "API", false},
		{[]string{"worker", "api"}, "api", true},
		{[]string{"worker", "a*"}, "api", true},
		{[]string{"work?r"}, "api", false},
		{[]string{"{api,worker}"}, "worker", true},
		{[]string{"[a-c]pi"}, "api", true},
		{[]string{"[!a]pi"}, "api", false},
		{[]string{"*"}, "my.app-weird*>é", true},
		{[]string{"my.app-weird*>é"}, "my.app-weird*>é", true},
		{[]string{`my.app-weird\*>?`}, "my.app-weird*>é", true},
		// The Go port of supervisord has names that are no file names.
		{[]string{"*"}, "a/b", true},
		{[]string{"a/*"}, "a/b", true},
		{[]string{"a?b"}, "a/b", true},
	} {
		e := exited(false)
		e.Group = c.group
		g := defaults()
		g.Groups = c.groups
		if notes, _ := eval(g, e, 0); len(notes) == 1 != c.want {
			t.Errorf("groups %q and group %q: %d notifications", c.groups, c.group, len(notes))
		}
		if _, tooOld := eval(g, e, 1000*time.Hour); tooOld != c.want {
			t.Errorf("groups %q and group %q: too old is %t", c.groups, c.group, tooOld)
		}
	}
}

func TestMaxAge(t *testing.T) {
	for _, c := range []struct {
		age    time.Duration
		e      schema.Event
		notes  int
		tooOld bool
	}{
		{0, exited(false), 1, false},
		{24 * time.Hour, exited(false), 1, false},
		{24*time.Hour + 1, exited(false), 0, true},
		{1e6 * time.Hour, exited(false), 0, true},
		{-time.Hour, exited(false), 1, false}, // its host's clock is ahead
		// What would be no alert is none that is too old.
		{1e6 * time.Hour, exited(true), 0, false},
	} {
		notes, tooOld := eval(defaults(), c.e, c.age)
		if len(notes) != c.notes || tooOld != c.tooOld {
			t.Errorf("%v old: %d notifications, too old %t", c.age, len(notes), tooOld)
		}
	}
}

// A daemon that was killed evaluates again, later.
func TestIDsAreStable(t *testing.T) {
	e := exited(false)
	g := defaults()
	first, _ := g.Eval(now, 9, e.Envelope(now))
	again, _ := g.Eval(now.Add(time.Hour), 9, e.Envelope(now))
	if d := cmp.Diff(first, again); d != "" {
		t.Error(d)
	}
	e.Serial++
	if other, _ := g.Eval(now, 9, e.Envelope(now)); other[0].ID == first[0].ID || other[0].Alert.Alert == first[0].Alert.Alert {
		t.Errorf("two events, one id: %s", other[0].ID)
	}
	twice := defaults()
	twice.Rules = append(twice.Rules, rules.Rule{Name: "mine", Severity: "info", Match: func(*schema.Event) bool { return true }})
	notes, _ := twice.Eval(now, 9, e.Envelope(now))
	if len(notes) != 2 || notes[0].ID == notes[1].ID || notes[1].Alert.Severity != "info" {
		t.Errorf("two rules: %+v", notes)
	}
}
