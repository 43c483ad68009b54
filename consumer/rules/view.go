package rules

import (
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

// View is what templates see: the alert and, as Event, the last event that matched. What is
// not known is the zero value of its type. Only Exit.OOM and Last of an event may be nil:
// a template has to ask for them.
type View struct {
	Alert, Rule, Severity, Host, Group, Process string
	// Status is firing or resolved.
	Status string
	Opened time.Time
	// Duration is how long it has been open.
	Duration time.Duration
	Count    int
	// Event is the last event of Events or, if there is none, that of the alert.
	Event  ViewEvent
	Events []ViewEvent
	// Labels are those of the rule; in the templates of labels there are none.
	Labels map[string]string
}

// ViewEvent is one event in a template.
type ViewEvent struct {
	ID, Event, Host, Group, Process, FromState string
	Time                                       time.Time
	Expected, Late                             bool
	PID                                        int
	Lost                                       uint64
	// Cause, Text and Fix are those of a trouble; a loss has a Cause too.
	Cause, Text, Fix string
	Exit             ViewExit
	Log              logs
	// Reason is Exit in words: "exit code 3", "SIGKILL, core dumped", "SIGKILL, out of
	// memory at 2.0 of 2 GiB".
	Reason string
	// Ran is how long this life of the process lasted, 0 where that is not known.
	Ran time.Duration
	// Last is the last look at it, nil where there was none: {{with .Event.Last}}.
	Last *schema.Look
}

// ViewExit is the reason of a death in a template.
type ViewExit struct {
	Known    bool
	Code     int
	Signal   string
	Core     bool
	SpawnErr string
	// Source is pidfd or log, empty where the bridge does not say.
	Source string
	// OOM is nil unless memory ran out: {{with .Event.Exit.OOM}}{{.Cgroup}} has
	// {{bytes .Limit}}{{end}}. By itself it is "out of memory at 2.0 of 2 GiB".
	OOM *schema.OOM
}

// ViewOf is what the record of an alert shows at a time, with the events of one
// notification.
func ViewOf(rec *schema.Alert, events []schema.AlertEvent, at time.Time) *View {
	v := &View{
		Alert: rec.Incident, Rule: rec.Rule, Severity: rec.Severity,
		Host: rec.Host, Group: Uncrowded(rec.Group), Process: Uncrowded(rec.Process),
		Status: "firing", Opened: rec.Opened.Time, Duration: at.Sub(rec.Opened.Time), Count: rec.Count,
		Labels: map[string]string{},
	}
	if rec.Closed != nil {
		v.Status = "resolved"
	}

	for i := range events {
		v.Events = append(v.Events, viewEvent(&events[i]))
	}
	if n := len(v.Events); n > 0 {
		v.Event = v.Events[n-1]
	} else if rec.Last != nil {
		v.Event = viewEvent(rec.Last)
	}
	return v
}

func viewEvent(e *schema.AlertEvent) ViewEvent {
	v := ViewEvent{
		ID: e.ID, Event: e.Event, Host: e.Host, Group: e.Group, Process: e.Process, FromState: e.FromState,
		Time: e.Time.Time, Expected: e.Expected != nil && *e.Expected, Late: e.Late, PID: e.PID, Lost: e.Lost,
		Cause: e.Cause, Text: e.Text, Fix: e.Fix,
	}

	if x := e.Exit; x != nil {
		v.Exit = ViewExit{
			Known: true, Signal: x.Signal, Core: x.Core, SpawnErr: x.SpawnErr, Source: x.Source, OOM: x.OOM,
		}
		if x.Code != nil {
			v.Exit.Code = *x.Code
		}
		v.Reason = wording.Reason(x)
	}
	if e.Log != nil {
		v.Log = logs(*e.Log)
	}
	if e.Ran != nil {
		v.Ran = schema.Lasted(*e.Ran)
	}
	v.Last = e.Last
	return v
}

// samples are alerts on which templates are tried: one with everything that there can be,
// and one with as little as possible.
func samples(names []string) []*View {
	labels := map[string]string{}
	for _, name := range names {
		labels[name] = "text"
	}

	code := 3
	no := false
	ran := 187_442.031
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	e := viewEvent(&schema.AlertEvent{
		ID: "web1/4f0c6d1e2a90b7c3/1234", Time: schema.Time{Time: at}, Seq: 1, Event: schema.ProcessStateExited,
		Host: "web1", Group: "api", Process: "api_00", FromState: schema.StateRunning, Expected: &no, PID: 1,
		Exit: &schema.Exit{Code: &code, Signal: "SIGKILL", OOM: &schema.OOM{Cgroup: "/a", Limit: 1, Peak: 1}},
		Log:  &schema.Log{Stdout: "text\n", Stderr: "text\n"},
		Ran:  &ran, Last: &schema.Look{Time: schema.Time{Time: at}, RSS: 1},
	})

	return []*View{
		{
			Alert: "rule/" + e.ID, Rule: "rule", Severity: "critical", Host: e.Host, Group: e.Group, Process: e.Process,
			Status: "firing", Opened: at, Count: 1, Event: e, Events: []ViewEvent{e}, Labels: labels,
		},
		{Status: "resolved", Labels: labels},
	}
}
