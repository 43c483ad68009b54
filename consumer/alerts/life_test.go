package alerts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/rules"
	"supernats/schema"
)

// hungry makes an event one of a process that was killed because memory ran out.
func hungry(e *schema.Event) {
	e.Exit = &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel, OOM: &schema.OOM{Cgroup: "/api", Limit: 2 << 30, Peak: 2 << 30}}
	e.Ran, e.Last = p(187_442.031), &schema.Look{Time: schema.Time{Time: t0}, RSS: 1966 << 20, Threads: 9, Descriptors: 31, CPU: 0.5, Age: 187_440}
}

func TestConditionsOverTheLastLife(t *testing.T) {
	killed := func(e *schema.Event) { e.Exit = &schema.Exit{Signal: "SIGKILL"} }
	limitless := func(e *schema.Event) { hungry(e); e.Exit.OOM = &schema.OOM{Cgroup: "/", Peak: 1<<64 - 1} }
	for _, c := range []struct {
		condition string
		edit      func(*schema.Event)
		want      bool
	}{
		{condition: `exit.oom.known`, edit: hungry, want: true},
		{condition: `exit.oom.known`, edit: killed, want: false},
		{condition: `exit.signal == "SIGKILL" and not exit.oom.known`, edit: killed, want: true},
		{condition: `exit.oom.cgroup startsWith "/api" and exit.oom.limit == 2147483648 and exit.oom.peak >= exit.oom.limit`, edit: hungry, want: true},
		{condition: `exit.oom.limit == 0 and exit.oom.peak > 1000000000`, edit: limitless, want: true},
		{condition: `exit.source == "pidfd"`, edit: hungry, want: true},
		{condition: `exit.source == ""`, edit: killed, want: true},
		{condition: `ran_known and ran < 10`, edit: hungry, want: false},
		{condition: `ran > 3600 and last.known and last.rss_bytes > 1.5e9 and last.threads == 9 and last.fds < 32 and last.cpu_seconds == 0.5 and last.age_seconds < ran`, edit: hungry, want: true},
		{condition: `ran == 0 and not ran_known and not last.known and last.rss_peak_bytes == 0`, edit: killed, want: true},
	} {
		w := newWorld(t, options(), rules.Config{Name: "x", Event: rules.List{schema.ProcessStateExited}, If: c.condition})
		w.event(0, "EXITED", c.edit)
		if s := w.Stats()[0]; len(w.notes) == 1 != c.want || s.Errors != 0 {
			t.Errorf("%s: %q, %+v", c.condition, w.got, s)
		}
	}
}

func TestRulesOverALackOfMemory(t *testing.T) {
	killed := func(e *schema.Event) { e.Exit = &schema.Exit{Signal: "SIGKILL"} }
	nothing := func(*schema.Event) {}
	deaths := rules.List{schema.ProcessStateExited, schema.ProcessStateBackoff}
	for _, c := range []struct {
		event string
		oom   bool
		edit  func(*schema.Event)
		want  bool
	}{
		{event: "EXITED", oom: true, edit: hungry, want: true},
		{event: "BACKOFF", oom: true, edit: hungry, want: true},
		{event: "EXITED", oom: true, edit: killed, want: false},
		{event: "EXITED", oom: true, edit: nothing, want: false},
		{event: "EXITED", oom: false, edit: hungry, want: false},
		{event: "EXITED", oom: false, edit: killed, want: true},
		{event: "EXITED", oom: false, edit: nothing, want: true},
	} {
		w := newWorld(t, options(), rules.Config{Name: "x", Event: deaths, OOM: &c.oom})
		if w.event(0, c.event, c.edit); len(w.notes) == 1 != c.want {
			t.Errorf("oom: %t, %s: %q", c.oom, c.event, w.got)
		}
	}

	for _, c := range []struct {
		rule  rules.Config
		wrong string
	}{
		{rule: rules.Config{Name: "x", Event: rules.List{"PROCESS_STATE_RUNNING", "TICK"}, OOM: p(true)}, wrong: "[0].oom: memory runs out where a process dies"},
		{rule: rules.Config{Name: "x", State: rules.List{"EXITED"}, OOM: p(true)}, wrong: "[0].oom: found in a rule of kind state, allowed in rules of kind event"},
		{rule: rules.Config{Name: "x", Event: rules.List{"PROCESS_STATE"}, OOM: p(true)}, wrong: ""},
	} {
		_, err := rules.Compile([]rules.Config{c.rule}, options())
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%+v: %v, want %q", c.rule, err, c.wrong)
		}
	}
}

// What an alert lists has all of it, after a restart too; templates may ask.
func TestAlertsHaveTheLastLife(t *testing.T) {
	w := newWorld(t, options(), rules.Config{
		Name: "exit", Event: rules.List{schema.ProcessStateExited}, GroupInterval: dur(1),
		Annotations: map[string]string{
			"text": `{{.Event.Reason}}{{with .Event.Exit.OOM}}: {{.}}, {{.Cgroup}} has {{bytes .Limit}}{{end}}` +
				`{{if .Event.Ran}}, after {{duration .Event.Ran}}{{end}}{{with .Event.Last}}, {{bytes .RSS}} of memory{{end}}`,
			"each": `{{range .Events}}{{if .Exit.OOM}}{{.PID}} {{end}}{{end}}`,
		},
	})
	w.event(0, "EXITED", hungry)
	w.event(time.Minute, "EXITED", func(e *schema.Event) { e.Exit, e.Ran = &schema.Exit{Code: p(3)}, p(0.25) })
	w.restart()
	w.event(time.Minute, "EXITED", func(e *schema.Event) { e.Exit = &schema.Exit{Code: p(3)} })

	want := []string{
		"SIGKILL, out of memory at 2.0 of 2 GiB: out of memory at 2.0 of 2 GiB, /api has 2.0 GiB, after 52h4m2s, 1.9 GiB of memory",
		"exit code 3, after 250ms",
		"exit code 3",
	}
	if len(w.notes) != len(want) {
		t.Fatalf("%d notifications: %q", len(w.notes), w.got)
	}
	for i, n := range w.notes {
		if got := n.Alert.Annotations["text"]; got != want[i] {
			t.Errorf("%d: %q, want %q", i, got, want[i])
		}
	}
	e := &schema.Event{}
	hungry(e)
	first := w.notes[0].Alert
	if d := cmp.Diff([]any{e.Exit, e.Ran, e.Last}, []any{first.Events[0].Exit, first.Events[0].Ran, first.Events[0].Last}); d != "" {
		t.Errorf("the event of the alert (-want +got):\n%s", d)
	}
	if first.Annotations["each"] != "0 " {
		t.Errorf("each: %q", first.Annotations["each"])
	}
}

// A rule over states reports what the record has.
func TestStatesHaveTheLastLife(t *testing.T) {
	w := newWorld(t, options(), rules.Config{Name: "down", State: rules.List{"EXITED"}})
	e := &schema.Event{}
	hungry(e)
	m := w.meta(0)
	w.hostSeen("web1")
	s := schema.ProcessRecord{
		Host: "web1", Group: "api", Process: "api_00", State: "EXITED", Since: schema.Time{Time: m.Stored}, Expected: p(false),
		Exit: e.Exit, Ran: e.Ran, Last: e.Last, Seq: m.Seq, Updated: schema.Time{Time: m.Stored}, Boot: "4f0c6d1e2a90b7c3", Serial: 1,
	}
	w.applyProcess(m, &s)
	w.take()
	if len(w.notes) != 1 {
		t.Fatalf("%d notifications", len(w.notes))
	}
	got := w.notes[0].Alert.Events[0]
	if d := cmp.Diff([]any{e.Exit, e.Ran, e.Last}, []any{got.Exit, got.Ran, got.Last}); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestTemplatesThatTakeItForGranted(t *testing.T) {
	for source, wrong := range map[string]string{
		`{{.Event.Exit.OOM.Limit}}`: "nil pointer", `{{.Event.Last.RSS}}`: "nil pointer",
		`{{.Event.Exit.Memory}}`: "can't evaluate field Memory in Exit", `{{bytes .Host}}`: "want a number of bytes",
	} {
		_, err := rules.Compile([]rules.Config{{Name: "x", Event: rules.List{schema.ProcessStateExited}, Annotations: map[string]string{"text": source}}}, options())
		if err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", source, err, wrong)
		}
	}
}
