package state_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// death is the end of a life of api_00 of which everything is known.
func death(event string, serial uint64, seconds float64) *schema.Event {
	e := step{event: event, boot: "a", serial: serial}.envelope(1).Data
	if event == "EXITED" {
		e.PID, e.Expected = 100, p(false)
	}
	e.Exit = &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel, OOM: &schema.OOM{Cgroup: "/api", Limit: 2, Peak: 1}}
	e.Ran, e.Last = p(seconds), &schema.Look{Time: at(0), RSS: 7, CPU: 0.5, Age: seconds}
	return e
}

// The record keeps how the last life ended that did so by itself, and how long it
// lasted: never one of one and the other of another.
func TestTheLastLife(t *testing.T) {
	oom := death("EXITED", 1, 3.25)
	runs := func(serial uint64) step { return step{event: "RUNNING", boot: "a", serial: serial, pid: 101} }
	type kept struct {
		Exit *schema.Exit
		Ran  *float64
		Last *schema.Look
	}
	all, none := kept{oom.Exit, oom.Ran, oom.Last}, kept{}
	later := death("BACKOFF", 3, 0.125)
	code := &schema.Exit{Code: p(3)}
	for name, c := range map[string]struct {
		steps []any
		want  kept
	}{
		"a crash":                             {steps: []any{oom}, want: all},
		"and it runs again":                   {steps: []any{oom, runs(2)}, want: all},
		"and somebody stops it":               {steps: []any{oom, runs(2), step{event: "STOPPED", boot: "a", serial: 3, pid: 101}}, want: all},
		"another crash, of an older bridge":   {steps: []any{oom, runs(2), step{event: "EXITED", boot: "a", serial: 3, pid: 101, expected: p(false), exit: code}}, want: kept{Exit: code}},
		"an exit of which nothing is known":   {steps: []any{oom, runs(2), step{event: "EXITED", boot: "a", serial: 3, pid: 101, expected: p(true)}}, want: none},
		"BACKOFF":                             {steps: []any{later}, want: kept{later.Exit, later.Ran, later.Last}},
		"FATAL that only says what it is":     {steps: []any{later, step{event: "FATAL", boot: "a", serial: 4}}, want: kept{later.Exit, later.Ran, later.Last}},
		"FATAL with a reason":                 {steps: []any{later, step{event: "FATAL", boot: "a", serial: 4, exit: code}}, want: kept{code, later.Ran, later.Last}},
		"FATAL with a life":                   {steps: []any{later, death("FATAL", 4, 9)}, want: kept{later.Exit, p(9.0), death("FATAL", 4, 9).Last}},
		"a table shows an exit of later":      {steps: []any{oom, runs(2), table(3, row("EXITED"))}, want: kept{Exit: &schema.Exit{Code: p(0)}}},
		"a table shows a BACKOFF of later":    {steps: []any{oom, runs(2), table(3, row("BACKOFF"))}, want: none},
		"a table shows the FATAL that is due": {steps: []any{later, table(4, row("FATAL"))}, want: kept{later.Exit, later.Ran, later.Last}},
		"a table shows that it runs":          {steps: []any{oom, table(3, row("RUNNING"))}, want: all},
	} {
		t.Run(name, func(t *testing.T) {
			r := history(c.steps...).State("web1", "api", "api_00")
			if r == nil {
				t.Fatal("no record")
			}
			if d := cmp.Diff(c.want, kept{r.Exit, r.Ran, r.Last}); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// What the record keeps is no part of the event, which is part of a whole payload.
func TestARecordKeepsNoPartOfAnEvent(t *testing.T) {
	e := death("EXITED", 1, 3.25)
	r := history(e).State("web1", "api", "api_00")
	before, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	*e.Ran, e.Last.RSS, e.Exit.OOM.Limit, e.Exit.Signal = 0, 0, 0, ""
	after, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(before), string(after)); d != "" {
		t.Error(d)
	}
}
