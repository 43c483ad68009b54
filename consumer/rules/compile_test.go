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
		{with(func(c *rules.Config) { c.Name = "" }), "[1].name", "missing"},
		{with(func(c *rules.Config) { c.Name = "ok" }), "[1].name", `found "ok", which is the name of rules[0] too`},
		{with(func(c *rules.Config) { c.Name = "a b" }), "[1].name", "without spaces"},
		{with(func(c *rules.Config) { c.Name = "a/b" }), "[1].name", "'/'"},
		{with(func(c *rules.Config) { c.Name = strings.Repeat("x", 65) }), "[1].name", "64"},
		{with(func(c *rules.Config) { c.Name = "\xff" }), "[1].name", "found"},
		{with(func(c *rules.Config) { c.Severity = "very bad" }), "[1].severity", `found "very bad", allowed is one word`},

		{with(func(c *rules.Config) { c.Event = nil }), "[1]", "one of event, state, quorum, silent, loss and trouble"},
		{with(func(c *rules.Config) { c.State = rules.List{"FATAL"} }), "[1].state", "found event and state in one rule"},
		{with(func(c *rules.Config) { c.Loss, c.Silent = true, long }), "[1].silent", "event and silent and loss"},
		{[]rules.Config{{Name: "x", State: rules.List{"FATAL"}, Quorum: 3}}, "[0].quorum", "write a rule for each"},
		{[]rules.Config{{Name: "x", Loss: true, Expected: p(true)}}, "[0].expected", "kind loss, allowed in rules of kind event and state"},
		{[]rules.Config{{Name: "x", Loss: true, If: "true"}}, "[0].if", "kind loss"},
		{[]rules.Config{{Name: "x", Loss: true, Trouble: rules.List{"true"}}}, "[0].trouble", "loss and trouble"},
		{[]rules.Config{{Name: "x", Trouble: rules.List{"false"}}}, "[0].trouble", "found false, allowed is true alone, or causes"},
		{[]rules.Config{{Name: "x", Trouble: rules.List{"disk-full", "true"}}}, "[0].trouble[1]", "found true"},
		{[]rules.Config{{Name: "x", Trouble: rules.List{"disk-[full"}}}, "[0].trouble", "allowed are names with"},
		{[]rules.Config{{Name: "x", Trouble: rules.List{"true"}, Processes: rules.List{"a"}}}, "[0].processes", "kind trouble"},
		{[]rules.Config{{Name: "x", Trouble: rules.List{"true"}, GroupBy: rules.List{"process"}}}, "[0].group_by", "kind trouble are host"},
		{[]rules.Config{{Name: "x", State: rules.List{"FATAL"}, Count: 2}}, "[0].count", "kind state"},
		{[]rules.Config{{Name: "x", State: rules.List{"FATAL"}, Within: long}}, "[0].within", "kind state"},
		{with(func(c *rules.Config) { c.For = long }), "[1].for", "kind state and quorum"},
		{[]rules.Config{{Name: "x", Silent: long, Groups: rules.List{"a"}}}, "[0].groups", "kind silent"},
		{[]rules.Config{{Name: "x", Silent: long, Processes: rules.List{"a"}}}, "[0].processes", "kind silent"},
		{[]rules.Config{{Name: "x", Silent: long, ResolveAfter: dur(1)}}, "[0].resolve_after", "kind silent"},

		{with(func(c *rules.Config) { c.Event = rules.List{"PROCESS_STATE_EXITTED"} }), "[1].event", `"PROCESS_STATE_EXITTED", allowed are supervisor's names (abstract ones too) and globs of names; did you mean PROCESS_STATE_EXITED?`},
		{with(func(c *rules.Config) { c.Event = rules.List{schema.Tick5, "tick_60"} }), "[1].event[1]", "did you mean TICK_60?"},
		{with(func(c *rules.Config) { c.Event = rules.List{"xyz"} }), "[1].event", "globs of names"},
		{with(func(c *rules.Config) { c.Event = rules.List{""} }), "[1].event", `found ""`},
		{with(func(c *rules.Config) { c.Event = rules.List{"PROCESS_STATE_.*"} }), "[1].event", "looks like a regular expression"},
		{with(func(c *rules.Config) { c.Event = rules.List{"*(EXITED|FATAL)"} }), "[1].event", "looks like a regular expression"},
		{with(func(c *rules.Config) { c.Event = rules.List{"PROCESS_[STATE"} }), "[1].event", "[a-z]"},
		{[]rules.Config{{Name: "x", State: rules.List{"RUNNING", "FATLA"}}}, "[0].state[1]", `found "FATLA", allowed are STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, UNKNOWN; did you mean FATAL?`},
		{with(func(c *rules.Config) { c.Hosts = rules.List{"web[1"} }), "[1].hosts", `found "web[1", allowed are names with *, ?, [a-z] and {a,b}`},
		{with(func(c *rules.Config) { c.Groups = rules.List{"a", ""} }), "[1].groups[1]", `found ""`},
		{with(func(c *rules.Config) { c.Processes = rules.List{"{a"} }), "[1].processes", "{a,b}"},

		{with(func(c *rules.Config) { c.Event, c.Expected = rules.List{"TICK"}, p(true) }), "[1].expected", "only an exit is expected or not"},
		{[]rules.Config{{Name: "x", State: rules.List{"FATAL"}, Expected: p(true)}}, "[0].expected", "EXITED in state"},
		{with(func(c *rules.Config) { c.Count = 3 }), "[1].count", "without within"},
		{with(func(c *rules.Config) { c.Within = long }), "[1].within", "without count"},
		{with(func(c *rules.Config) { c.Count, c.Within = -1, long }), "[1].count", "found -1, allowed are 1 to 500"},
		{with(func(c *rules.Config) { c.Count, c.Within = 501, long }), "[1].count", "found 501"},
		{with(func(c *rules.Config) { c.Count, c.Within = 2, -1 }), "[1].within", "above zero"},
		{[]rules.Config{{Name: "x", State: rules.List{"FATAL"}, For: -1}}, "[0].for", "found -1ns"},
		{[]rules.Config{{Name: "x", Quorum: -1}}, "[0].quorum", "found -1"},
		{[]rules.Config{{Name: "x", Silent: -1}}, "[0].silent", "above zero"},
		{with(func(c *rules.Config) { c.GroupWait = dur(-1) }), "[1].group_wait", "not negative"},
		{with(func(c *rules.Config) { c.GroupInterval = dur(-1) }), "[1].group_interval", "not negative"},
		{with(func(c *rules.Config) { c.RepeatInterval = dur(-1) }), "[1].repeat_interval", "not negative"},
		{with(func(c *rules.Config) { c.GroupInterval = dur(0) }), "[1].group_interval", "above zero: every event"},
		{with(func(c *rules.Config) { c.RepeatInterval = dur(0) }), "[1].repeat_interval", "above zero: an open alert"},
		{with(func(c *rules.Config) { c.ResolveAfter = dur(-1) }), "[1].resolve_after", "not negative"},

		{with(func(c *rules.Config) { c.If = "exit.signal ==" }), "[1].if", "line 1, column"},
		{with(func(c *rules.Config) { c.If = `exit.signl == "SIGKILL"` }), "[1].if", "line 1, column 6: exit has no field signl"},
		{with(func(c *rules.Config) { c.If = "true and\n  exitcode == 3" }), "[1].if", "line 2, column 3: unknown name exitcode"},
		{with(func(c *rules.Config) { c.If = "exit.code" }), "[1].if", "expected bool, but got int"},
		{with(func(c *rules.Config) { c.If = `pid == "3"` }), "[1].if", "column"},
		{with(func(c *rules.Config) { c.If = strings.Repeat("pid == 1 or ", 1000) + "true" }), "[1].if", "nodes"},

		{with(func(c *rules.Config) { c.GroupBy = rules.List{"host", "server"} }), "[1].group_by[1]", `found "server", allowed for a rule of kind event are host, group, process`},
		{[]rules.Config{{Name: "x", Quorum: 1, GroupBy: rules.List{"process"}}}, "[0].group_by", "allowed for a rule of kind quorum are host, group"},
		{[]rules.Config{{Name: "x", Silent: long, GroupBy: rules.List{"group"}}}, "[0].group_by", "silent"},

		{with(func(c *rules.Config) { c.Labels = map[string]string{"a": "", "9a": ""} }), "[1].labels", `the name "9a"`},
		{with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{.Host"} }), "[1].annotations.text", "unclosed action"},
		{with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{.Hosst}}"} }), "[1].annotations.text", "can't evaluate field Hosst"},
		{with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{nothing .Host}}"} }), "[1].annotations.text", "not defined"},
		{with(func(c *rules.Config) { c.Annotations = map[string]string{"text": "{{.Labels.team}}"} }), "[1].annotations.text", "no entry"},
		{with(func(c *rules.Config) {
			c.Annotations = map[string]string{"text": "{{(index .Events 0).ID}}"}
		}), "[1].annotations.text", "out of range"},
		{with(func(c *rules.Config) {
			c.Annotations = map[string]string{"text": `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`}
		}), "[1].annotations.text", "depth"},
		{with(func(c *rules.Config) { c.Labels = map[string]string{"x": "{{range 999999}}x{{end}}"} }), "[1].labels.x", "longer than"},

		{interval(rules.Interval{}), "[1].mute_during[1]", "is empty"},
		{interval(rules.Interval{Location: "UTC"}), "[1].mute_during[1]", "is empty"},
		{interval(rules.Interval{Times: []rules.TimeRange{{Start: "22:00", End: "06:00"}}}), "[1].mute_during[1].times[0].end_time", "write a range over midnight as two"},
		{interval(rules.Interval{Times: []rules.TimeRange{{Start: "06:00", End: "06:00"}}}), "[1].mute_during[1].times[0].end_time", "later time"},
		{interval(rules.Interval{Times: []rules.TimeRange{{"6:00", "07:00"}}}), "[1].mute_during[1].times[0].start_time", `found "6:00", allowed are times of the day, 00:00 to 24:00`},
		{interval(rules.Interval{Times: []rules.TimeRange{{Start: "06:00", End: "24:01"}}}), "[1].mute_during[1].times[0].end_time", `found "24:01"`},
		{interval(rules.Interval{Times: []rules.TimeRange{{Start: "06:60", End: "24:00"}}}), "[1].mute_during[1].times[0].start_time", `found "06:60"`},
		{interval(rules.Interval{Times: []rules.TimeRange{{"", "24:00"}}}), "[1].mute_during[1].times[0].start_time", `found ""`},
		{interval(rules.Interval{Weekdays: rules.List{"mon"}}), "[1].mute_during[1].weekdays", "sunday to saturday"},
		{interval(rules.Interval{Weekdays: rules.List{"sunday", "friday:monday"}}), "[1].mute_during[1].weekdays[1]", "write it as two"},
		{interval(rules.Interval{DaysOfMonth: rules.List{"0"}}), "[1].mute_during[1].days_of_month", "1 to 31, -1 to -31"},
		{interval(rules.Interval{DaysOfMonth: rules.List{"5:1"}}), "[1].mute_during[1].days_of_month", "end is before its beginning"},
		{interval(rules.Interval{DaysOfMonth: rules.List{"-1:-3"}}), "[1].mute_during[1].days_of_month", "end is before its beginning"},
		{interval(rules.Interval{DaysOfMonth: rules.List{"-1:5"}}), "[1].mute_during[1].days_of_month", "from the end of a month"},
		{interval(rules.Interval{Months: rules.List{"13"}}), "[1].mute_during[1].months", "january to december"},
		{interval(rules.Interval{Years: rules.List{"20x6"}}), "[1].mute_during[1].years", `found "20x6"`},
		{interval(rules.Interval{Weekdays: rules.List{"monday"}, Location: "Europe/Berlon"}), "[1].mute_during[1].location", "time zone database"},

		{with(func(c *rules.Config) { c.InhibitedBy = rules.List{"okk"} }), "[1].inhibited_by", `found "okk", which is no rule; did you mean ok?`},
		{with(func(c *rules.Config) { c.InhibitedBy = rules.List{"x"} }), "[1].inhibited_by", "x is inhibited by x"},
		{[]rules.Config{
			{Name: "a", Loss: true, InhibitedBy: rules.List{"b"}},
			{Name: "b", Loss: true, InhibitedBy: rules.List{"c"}},
			{Name: "c", Loss: true, InhibitedBy: rules.List{"b"}},
		}, "[1].inhibited_by", "b is inhibited by c is inhibited by b"},
		{[]rules.Config{ok, {Name: "g", Event: exits, GroupBy: rules.List{"group"}, InhibitedBy: rules.List{"ok"}}}, "[1].inhibited_by", "add host to its group_by"},
		{[]rules.Config{{Name: "g", Event: exits, GroupBy: rules.List{"group"}}, {Name: "x", Event: exits, InhibitedBy: rules.List{"g"}}}, "[1].inhibited_by", "no single host"},
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
