package rules_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

// escalate adds steps to a rule that notifies a.
func escalate(steps ...rules.Escalation) func(*rules.Config) {
	return func(c *rules.Config) { c.Notify, c.Escalate = rules.List{"a"}, steps }
}

func TestCompileRefuses(t *testing.T) {
	exits := rules.List{schema.ProcessStateExited}
	ok := rules.Config{Name: "ok", Event: exits}
	with := func(edit func(c *rules.Config)) []rules.Config {
		c := rules.Config{Name: "x", Event: exits}
		edit(&c)
		return []rules.Config{ok, c}
	}
	interval := func(v rules.Interval) []rules.Config {
		return with(func(c *rules.Config) {
			c.MuteDuring = []rules.Interval{{Weekdays: rules.List{"monday"}}, v}
		})
	}
	long := schema.Duration(time.Minute)
	for _, c := range []struct {
		set        []rules.Config
		path, says string
	}{
		{set: with(func(c *rules.Config) { c.Name = "" }), path: "[1].name", says: "missing"},
		{set: with(func(c *rules.Config) { c.Name = "ok" }), path: "[1].name", says: `found "ok", which is the name of rules[0] too`},
		{set: with(func(c *rules.Config) { c.Name = "a b" }), path: "[1].name", says: "without spaces"},
		{set: with(func(c *rules.Config) { c.Name = "a/b" }), path: "[1].name", says: "'/'"},
		{set: with(func(c *rules.Config) { c.Name = strings.Repeat("x", 65) }), path: "[1].name", says: "64"},
		{set: with(func(c *rules.Config) { c.Name = "\xff" }), path: "[1].name", says: "found"},
		{set: with(func(c *rules.Config) { c.Severity = "very bad" }), path: "[1].severity", says: `found "very bad", allowed is one word`},

		{set: with(func(c *rules.Config) { c.Escalate = []rules.Escalation{{After: long, Notify: rules.List{"b"}}} }), path: "[1].escalate", says: "without notify"},
		{set: with(escalate(rules.Escalation{Notify: rules.List{"b"}})), path: "[1].escalate[0].after", says: "is missing or 0s; allowed is a duration above zero"},
		{set: with(escalate(rules.Escalation{After: long})), path: "[1].escalate[0].notify", says: "is missing"},
		{set: with(escalate(rules.Escalation{After: long, Notify: rules.List{"a"}})), path: "[1].escalate[0].notify[0]", says: `found "a", which is notified before that already`},
		{set: with(escalate(rules.Escalation{After: long, Notify: rules.List{"b"}}, rules.Escalation{After: long, Notify: rules.List{"c"}})), path: "[1].escalate[1].after", says: "allowed is more than 1m"},
		{set: with(escalate(rules.Escalation{After: long, Notify: rules.List{"b"}}, rules.Escalation{After: 2 * long, Notify: rules.List{"b"}})), path: "[1].escalate[1].notify[0]", says: "already"},
		{set: with(func(c *rules.Config) { c.Event = nil }), path: "[1]", says: "one of event, state, quorum, silent, loss and trouble"},
		{set: with(func(c *rules.Config) { c.State = rules.List{"FATAL"} }), path: "[1].state", says: "found event and state in one rule"},
		{set: with(func(c *rules.Config) { c.Loss, c.Silent = true, long }), path: "[1].silent", says: "event and silent and loss"},
		{set: []rules.Config{{Name: "x", State: rules.List{"FATAL"}, Quorum: 3}}, path: "[0].quorum", says: "write a rule for each"},
		{set: []rules.Config{{Name: "x", Loss: true, Expected: p(true)}}, path: "[0].expected", says: "kind loss, allowed in rules of kind event and state"},
		{set: []rules.Config{{Name: "x", Loss: true, If: "true"}}, path: "[0].if", says: "kind loss"},
		{set: []rules.Config{{Name: "x", Loss: true, Trouble: rules.List{"true"}}}, path: "[0].trouble", says: "loss and trouble"},
		{set: []rules.Config{{Name: "x", Trouble: rules.List{"false"}}}, path: "[0].trouble", says: "found false, allowed is true alone, or causes"},
		{set: []rules.Config{{Name: "x", Trouble: rules.List{"disk-full", "true"}}}, path: "[0].trouble[1]", says: "found true"},
		{set: []rules.Config{{Name: "x", Trouble: rules.List{"disk-[full"}}}, path: "[0].trouble", says: "allowed are names with"},
		{set: []rules.Config{{Name: "x", Trouble: rules.List{"true"}, Processes: rules.List{"a"}}}, path: "[0].processes", says: "kind trouble"},
		{set: []rules.Config{{Name: "x", Trouble: rules.List{"true"}, GroupBy: rules.List{"process"}}}, path: "[0].group_by", says: "kind trouble are host"},
		{set: []rules.Config{{Name: "x", State: rules.List{"FATAL"}, Count: 2}}, path: "[0].count", says: "kind state"},
		{set: []rules.Config{{Name: "x", State: rules.List{"FATAL"}, Within: long}}, path: "[0].within", says: "kind state"},
		{set: with(func(c *rules.Config) { c.For = long }), path: "[1].for", says: "kind state and quorum"},
		{set: []rules.Config{{Name: "x", Silent: long, Groups: rules.List{"a"}}}, path: "[0].groups", says: "kind silent"},
		{set: []rules.Config{{Name: "x", Silent: long, Processes: rules.List{"a"}}}, path: "[0].processes", says: "kind silent"},
		{set: []rules.Config{{Name: "x", Silent: long, ResolveAfter: dur(1)}}, path: "[0].resolve_after", says: "kind silent"},

		{set: with(func(c *rules.Config) { c.Event = rules.List{"PROCESS_STATE_EXITTED"} }), path: "[1].event", says: `"PROCESS_STATE_EXITTED", allowed are supervisor's names (abstract ones too) and globs of names; did you mean PROCESS_STATE_EXITED?`},
		{set: with(func(c *rules.Config) { c.Event = rules.List{schema.Tick5, "tick_60"} }), path: "[1].event[1]", says: "did you mean TICK_60?"},
		{set: with(func(c *rules.Config) { c.Event = rules.List{"xyz"} }), path: "[1].event", says: "globs of names"},
		{set: with(func(c *rules.Config) { c.Event = rules.List{""} }), path: "[1].event", says: `found ""`},
		{set: with(func(c *rules.Config) { c.Event = rules.List{"PROCESS_STATE_.*"} }), path: "[1].event", says: "looks like a regular expression"},
		{set: with(func(c *rules.Config) { c.Event = rules.List{"*(EXITED|FATAL)"} }), path: "[1].event", says: "looks like a regular expression"},
		{set: with(func(c *rules.Config) { c.Event = rules.List{"PROCESS_[STATE"} }), path: "[1].event", says: "[a-z]"},
		{set: []rules.Config{{Name: "x", State: rules.List{"RUNNING", "FATLA"}}}, path: "[0].state[1]", says: `found "FATLA", allowed are STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, UNKNOWN; did you mean FATAL?`},
		{set: with(func(c *rules.Config) { c.Hosts = rules.List{"web[1"} }), path: "[1].hosts", says: `found "web[1", allowed are names with *, ?, [a-z] and {a,b}`},
		{set: with(func(c *rules.Config) { c.Groups = rules.List{"a", ""} }), path: "[1].groups[1]", says: `found ""`},
		{set: with(func(c *rules.Config) { c.Processes = rules.List{"{a"} }), path: "[1].processes", says: "{a,b}"},

		{set: with(func(c *rules.Config) { c.Event, c.Expected = rules.List{"TICK"}, p(true) }), path: "[1].expected", says: "only an exit is expected or not"},
		{set: []rules.Config{{Name: "x", State: rules.List{"FATAL"}, Expected: p(true)}}, path: "[0].expected", says: "EXITED in state"},
		{set: with(func(c *rules.Config) { c.Count = 3 }), path: "[1].count", says: "without within"},
		{set: with(func(c *rules.Config) { c.Within = long }), path: "[1].within", says: "without count"},
		{set: with(func(c *rules.Config) { c.Count, c.Within = -1, long }), path: "[1].count", says: "found -1, allowed are 1 to 500"},
		{set: with(func(c *rules.Config) { c.Count, c.Within = 501, long }), path: "[1].count", says: "found 501"},
		{set: with(func(c *rules.Config) { c.Count, c.Within = 2, -1 }), path: "[1].within", says: "above zero"},
		{set: []rules.Config{{Name: "x", State: rules.List{"FATAL"}, For: -1}}, path: "[0].for", says: "found -1ns"},
		{set: []rules.Config{{Name: "x", Quorum: -1}}, path: "[0].quorum", says: "found -1"},
		{set: []rules.Config{{Name: "x", Silent: -1}}, path: "[0].silent", says: "above zero"},
		{set: with(func(c *rules.Config) { c.GroupWait = dur(-1) }), path: "[1].group_wait", says: "not negative"},
		{set: with(func(c *rules.Config) { c.GroupInterval = dur(-1) }), path: "[1].group_interval", says: "not negative"},
		{set: with(func(c *rules.Config) { c.RepeatInterval = dur(-1) }), path: "[1].repeat_interval", says: "not negative"},
		{set: with(func(c *rules.Config) { c.GroupInterval = dur(0) }), path: "[1].group_interval", says: "above zero: every event"},
		{set: with(func(c *rules.Config) { c.RepeatInterval = dur(0) }), path: "[1].repeat_interval", says: "above zero: an open alert"},
		{set: with(func(c *rules.Config) { c.ResolveAfter = dur(-1) }), path: "[1].resolve_after", says: "not negative"},

		{set: with(func(c *rules.Config) { c.If = "exit.signal ==" }), path: "[1].if", says: "line 1, column"},
		{set: with(func(c *rules.Config) { c.If = `exit.signl == "SIGKILL"` }), path: "[1].if", says: "line 1, column 6: exit has no field signl"},
		{set: with(func(c *rules.Config) { c.If = "true and\n  exitcode == 3" }), path: "[1].if", says: "line 2, column 3: unknown name exitcode"},
		{set: with(func(c *rules.Config) { c.If = "exit.code" }), path: "[1].if", says: "expected bool, but got int"},
		{set: with(func(c *rules.Config) { c.If = `pid == "3"` }), path: "[1].if", says: "column"},
		{set: with(func(c *rules.Config) { c.If = strings.Repeat("pid == 1 or ", 1000) + "true" }), path: "[1].if", says: "nodes"},

		{set: with(func(c *rules.Config) { c.GroupBy = rules.List{"host", "server"} }), path: "[1].group_by[1]", says: `found "server", allowed for a rule of kind event are host, group, process`},
		{set: []rules.Config{{Name: "x", Quorum: 1, GroupBy: rules.List{"process"}}}, path: "[0].group_by", says: "allowed for a rule of kind quorum are host, group"},
		{set: []rules.Config{{Name: "x", Silent: long, GroupBy: rules.List{"group"}}}, path: "[0].group_by", says: "silent"},

		{set: with(func(c *rules.Config) { c.Labels = map[string]string{"a": "", "9a": ""} }), path: "[1].labels", says: `the name "9a"`},
		{set: with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{.Host"} }), path: "[1].annotations.text", says: "unclosed action"},
		{set: with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{.Hosst}}"} }), path: "[1].annotations.text", says: "can't evaluate field Hosst"},
		{set: with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{nothing .Host}}"} }), path: "[1].annotations.text", says: "not defined"},
		{set: with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{.Labels.team}}"} }), path: "[1].annotations.text", says: "no entry"},
		{set: with(func(c *rules.Config) {
			c.Annotations = map[string]string{"text": "{{(index .Events 0).ID}}"}
		}), path: "[1].annotations.text", says: "out of range"},
		{set: with(func(c *rules.Config) {
			c.Annotations = map[string]string{"text": `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`}
		}), path: "[1].annotations.text", says: "depth"},
		{set: with(func(c *rules.Config) { c.Labels = map[string]string{"x": "{{range 999999}}x{{end}}"} }), path: "[1].labels.x", says: "longer than"},

		{set: interval(rules.Interval{}), path: "[1].mute_during[1]", says: "is empty"},
		{set: interval(rules.Interval{Location: "UTC"}), path: "[1].mute_during[1]", says: "is empty"},
		{set: interval(rules.Interval{Times: []rules.TimeRange{{Start: "22:00", End: "06:00"}}}), path: "[1].mute_during[1].times[0].end_time", says: "write a range over midnight as two"},
		{set: interval(rules.Interval{Times: []rules.TimeRange{{Start: "06:00", End: "06:00"}}}), path: "[1].mute_during[1].times[0].end_time", says: "later time"},
		{set: interval(rules.Interval{Times: []rules.TimeRange{{"6:00", "07:00"}}}), path: "[1].mute_during[1].times[0].start_time", says: `found "6:00", allowed are times of the day, 00:00 to 24:00`},
		{set: interval(rules.Interval{Times: []rules.TimeRange{{Start: "06:00", End: "24:01"}}}), path: "[1].mute_during[1].times[0].end_time", says: `found "24:01"`},
		{set: interval(rules.Interval{Times: []rules.TimeRange{{Start: "06:60", End: "24:00"}}}), path: "[1].mute_during[1].times[0].start_time", says: `found "06:60"`},
		{set: interval(rules.Interval{Times: []rules.TimeRange{{"", "24:00"}}}), path: "[1].mute_during[1].times[0].start_time", says: `found ""`},
		{set: interval(rules.Interval{Weekdays: rules.List{"mon"}}), path: "[1].mute_during[1].weekdays", says: "sunday to saturday"},
		{set: interval(rules.Interval{Weekdays: rules.List{"sunday", "friday:monday"}}), path: "[1].mute_during[1].weekdays[1]", says: "write it as two"},
		{set: interval(rules.Interval{DaysOfMonth: rules.List{"0"}}), path: "[1].mute_during[1].days_of_month", says: "1 to 31, -1 to -31"},
		{set: interval(rules.Interval{DaysOfMonth: rules.List{"5:1"}}), path: "[1].mute_during[1].days_of_month", says: "end is before its beginning"},
		{set: interval(rules.Interval{DaysOfMonth: rules.List{"-1:-3"}}), path: "[1].mute_during[1].days_of_month", says: "end is before its beginning"},
		{set: interval(rules.Interval{DaysOfMonth: rules.List{"-1:5"}}), path: "[1].mute_during[1].days_of_month", says: "from the end of a month"},
		{set: interval(rules.Interval{Months: rules.List{"13"}}), path: "[1].mute_during[1].months", says: "january to december"},
		{set: interval(rules.Interval{Years: rules.List{"20x6"}}), path: "[1].mute_during[1].years", says: `found "20x6"`},
		{set: interval(rules.Interval{Weekdays: rules.List{"monday"}, Location: "Europe/Berlon"}), path: "[1].mute_during[1].location", says: "time zone database"},

		{set: with(func(c *rules.Config) { c.InhibitedBy = rules.List{"okk"} }), path: "[1].inhibited_by", says: `found "okk", which is no rule; did you mean ok?`},
		{set: with(func(c *rules.Config) { c.InhibitedBy = rules.List{"x"} }), path: "[1].inhibited_by", says: "x is inhibited by x"},
		{set: []rules.Config{
			{Name: "a", Loss: true, InhibitedBy: rules.List{"b"}},
			{Name: "b", Loss: true, InhibitedBy: rules.List{"c"}},
			{Name: "c", Loss: true, InhibitedBy: rules.List{"b"}},
		}, path: "[1].inhibited_by", says: "b is inhibited by c is inhibited by b"},
		{set: []rules.Config{ok, {Name: "g", Event: exits, GroupBy: rules.List{"group"}, InhibitedBy: rules.List{"ok"}}}, path: "[1].inhibited_by", says: "add host to its group_by"},
		{set: []rules.Config{{Name: "g", Event: exits, GroupBy: rules.List{"group"}}, {Name: "x", Event: exits, InhibitedBy: rules.List{"g"}}}, path: "[1].inhibited_by", says: "no single host"},
	} {
		_, err := rules.Compile(c.set, options())
		var e *rules.ConfigError
		if !errors.As(err, &e) || e.Path != c.path || !strings.Contains(e.Err.Error(), c.says) {
			t.Errorf("found %v, not %s: …%s…", err, c.path, c.says)
		}
	}
}

// One run finds every mistake of every rule, and none that only follows from another.
func TestCompileFindsAll(t *testing.T) {
	_, err := rules.Compile([]rules.Config{
		{Severity: "very bad", Hosts: rules.List{"a[", "b"}, Groups: rules.List{"c["}},
		{
			Name: "b", Event: rules.List{"PROCESS_STATE_EXITTED", "PROCESS_[", "TICK"}, If: "pid ==", InhibitedBy: rules.List{"c", "d"},
			Labels: map[string]string{"a": "{{", "b": "{{.Hosst}}"}, Annotations: map[string]string{"c": "{{.Labels.a}}{{.Labels.d}}"},
			MuteDuring: []rules.Interval{{Weekdays: rules.List{"mon", "tue"}, Location: "x"}, {}},
		},
		{Name: "b", Loss: true, Count: 3, GroupWait: dur(-1), GroupBy: rules.List{"group", "process"}},
		{Name: "e", Event: rules.List{"TICK"}, State: rules.List{"FATLA"}, GroupBy: rules.List{"host"}},
	}, options())
	var paths []string
	for _, e := range rules.Mistakes(err) {
		paths = append(paths, e.Path)
	}
	want := []string{
		"[0].name", "[0].severity", "[0]", "[0].hosts[0]", "[0].groups",
		"[1].event[0]", "[1].event[1]", "[1].if", "[1].labels.a", "[1].labels.b", "[1].annotations.c",
		"[1].mute_during[0].weekdays[0]", "[1].mute_during[0].weekdays[1]", "[1].mute_during[0].location", "[1].mute_during[1]",
		"[2].count", "[2].count", "[2].group_by[0]", "[2].group_by[1]", "[2].group_wait", "[2].name",
		"[3].state", "[3].state", "[1].inhibited_by[0]", "[1].inhibited_by[1]",
	}
	if d := cmp.Diff(want, paths); d != "" {
		t.Errorf("%s\n%v", d, err)
	}
}

func TestCompileAllows(t *testing.T) {
	exits := rules.List{schema.ProcessStateExited}
	minute := schema.Duration(time.Minute)
	for i, c := range []rules.Config{
		{Event: rules.List{"EVENT"}},
		{Event: rules.List{"PROCESS_*", "TICK", "PROCESS_STATE_FROZE[N]"}, Severity: "page-me!"},
		{Event: append(rules.List{schema.ProcessStateBackoff}, exits...), Expected: p(false), Count: 5, Within: minute},
		{Event: exits, If: `exit.known and exit.code in [1, 2] or log.stderr contains "panic" or extra.foo == "x" or time.Hour() < 6`},
		{Event: exits, If: `event == "X" and host startsWith "web" and group + process + server != "" and from_state == "RUNNING" and (expected or not expected_known) and pid + tries > 0 and channel == type and len(data) > 3 and exit.core and exit.spawnerr == exit.signal and log.stdout == ""`},
		{State: rules.List{"EXITED", "FATAL"}, Expected: p(false), For: minute},
		{Quorum: 7, GroupBy: rules.List{"group"}},
		{Silent: minute, GroupBy: rules.List{"host"}, Hosts: rules.List{"web*", "a/b"}},
		{Loss: true, ResolveAfter: dur(0)},
		{Event: exits, Labels: map[string]string{"team": "{{.Group | upper}}"}, Annotations: map[string]string{
			"summary": `{{.Alert}} {{.Rule}} {{.Severity}} {{.Host}}/{{.Group}}/{{.Process}} {{.Status}} {{.Opened | date "15:04"}} {{.Duration | duration}} {{.Count}} {{.Labels}}
				{{with .Event}}{{.ID}} {{.Time}} {{.Event | lower}} {{.Reason | default "unknown"}} {{.Exit.Signal}} {{.Exit.Code}} {{.Log.Stderr | lastLines 3 | trim | truncate 80}} {{.Lost}} {{.Late}} {{.PID}}{{end}}
				{{range .Events}}{{.Process}} {{end}}{{json .Host}} {{replace "a" "b" .Host}}`,
		}},
		{Event: exits, MuteDuring: []rules.Interval{{
			Times: []rules.TimeRange{{Start: "00:00", End: "06:00"}, {Start: "22:00", End: "24:00"}}, Weekdays: rules.List{"monday:friday", "Sunday"},
			DaysOfMonth: rules.List{"1:5", "-3:-1", "20:-1"}, Months: rules.List{"january:march", "5", "10:12"}, Years: rules.List{"2026:2028", "2030"}, Location: "Europe/Berlin",
		}}},
	} {
		c.Name = "x"
		if _, err := rules.Compile([]rules.Config{c}, options()); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := rules.Compile(nil, rules.Options{}); err != nil {
		t.Error(err)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("x", "PROCESS_STATE", `exit.signal == "SIGKILL"`, "{{.Host}} {{.Event.Reason}}", "22:00", "24:00", "1:-1", "monday", "web*")
	f.Add("", "EVENT", "all(1..1000000000, true)", "{{range .Events}}{{end}}", "", "", "-1", "2026", "[")
	f.Fuzz(func(t *testing.T, name, event, condition, text, from, to, days, word, glob string) {
		if strings.Contains(text, "range") && strings.ContainsAny(text, "0123456789") {
			t.Skip() // counts as long as it says
		}
		c := rules.Config{
			Name: name, Event: rules.List{event}, If: condition, Hosts: rules.List{glob}, Annotations: map[string]string{"text": text},
			MuteDuring: []rules.Interval{{Times: []rules.TimeRange{{Start: from, End: to}}, DaysOfMonth: rules.List{days}, Weekdays: rules.List{word}, Months: rules.List{word}, Years: rules.List{days}}},
		}
		for _, edit := range []func(){func() {}, func() { c.MuteDuring = nil }, func() { c.If = "" }, func() { c.Annotations = nil }} {
			edit()
			s, err := rules.Compile([]rules.Config{c}, options())
			var e *rules.ConfigError
			if err != nil {
				if !errors.As(err, &e) || !strings.HasPrefix(e.Path, "[0]") {
					t.Fatalf("%#v", err)
				}
				continue
			}
			// What was found to be right must work.
			g := alerts.New(s)
			ce := exitOf()
			g.Apply(alerts.Message{Meta: alerts.Meta{Seq: 1, Stored: t0}, Host: "web1", Event: ce})
			g.Advance(t0.Add(24 * time.Hour))
			for _, n := range g.Take() {
				if strings.Contains(n.Alert.Annotations["text"], "<error") && !strings.Contains(text, "error") {
					t.Fatalf("%q failed: %q", text, n.Alert.Annotations["text"])
				}
			}
		}
	})
}
