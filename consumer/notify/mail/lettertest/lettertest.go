// Package lettertest has the notifications that the tests of mails are about.
package lettertest

import (
	"fmt"
	"time"

	"supernats/schema"
)

// Notification is one of a batch.
type Notification = schema.CloudEvent[*schema.Notification]

// EventID is that of the event of Firing.
const EventID = "web1/4f0c6d1e2a90b7c3/1234"

// Happened is when the first event happened; a mail is written a second later.
var Happened = time.Date(2026, 11, 21, 19, 0, 31, 833_512_000, time.UTC)

// At is a time after Happened.
func At(d time.Duration) schema.Time { return schema.Time{Time: Happened.Add(d)} }

// Code is the reason of a process that ended by itself.
func Code(n int) *schema.Exit { return &schema.Exit{Code: &n} }

// Batch is a batch.
func Batch(n ...*Notification) []*Notification { return n }

// Firing is the notification of one unexpected exit, changed by change.
func Firing(change ...func(*schema.Notification)) *Notification {
	a := &schema.Notification{
		Incident: "web1/api/api_00/unexpected-exit/1", Rule: "unexpected-exit", Severity: "critical",
		Host: "web1", Group: "api", Process: "api_00",
		Opened: At(0), Count: 1,
		Events: []schema.AlertEvent{{
			ID: EventID, Time: At(0), Seq: 77,
			Event: schema.ProcessStateExited, Server: "supervisor", FromState: schema.StateRunning, PID: 11167,
			Exit: Code(3),
		}},
		Labels: map[string]string{"address": "192.0.2.11"},
	}
	for _, f := range change {
		f(a)
	}
	return a.Envelope("web1/api/api_00/unexpected-exit/1/firing/1", schema.TypeAlertFiring, Happened)
}

// Note makes the nth notification of an alert.
func Note(typ string, n int, a schema.Notification) *Notification {
	if a.Incident == "" {
		a.Incident = a.Rule + "/" + a.Host + "/" + a.Group + "/" + a.Process
	}
	if a.Severity == "" {
		a.Severity = "critical"
	}
	if a.Opened.IsZero() {
		a.Opened = At(0)
	}
	return a.Envelope(fmt.Sprintf("%s/%d", a.Incident, n), typ, Happened.Add(time.Second))
}

// Exit is an unexpected exit.
func Exit(d time.Duration, x *schema.Exit) schema.AlertEvent {
	expected := false
	return schema.AlertEvent{
		ID: fmt.Sprintf("web1/4f0c6d1e2a90b7c3/%d", 1000+d.Milliseconds()), Time: At(d),
		Event: schema.ProcessStateExited, Server: "supervisor", FromState: schema.StateRunning, Expected: &expected,
		PID: 11167, Exit: x,
	}
}

// Of makes an event that says whose it is.
func Of(ev schema.AlertEvent, host, group, process string) schema.AlertEvent {
	ev.Host, ev.Group, ev.Process = host, group, process
	return ev
}

// Alert is a notification with no more than what is given.
func Alert(typ, rule, host, group, process string, events ...schema.AlertEvent) *Notification {
	return Note(typ, 1, schema.Notification{
		Rule: rule, Host: host, Group: group, Process: process, Count: len(events), Events: events,
	})
}

// Crash is the first notification of a crash.
func Crash(host, group, process string, d time.Duration, x *schema.Exit) *Notification {
	n := Alert(schema.TypeAlertFiring, "unexpected-exit", host, group, process, Exit(d, x))
	n.Data.Opened = At(d)
	return n
}

// Recovered is the notification that a process has recovered from its crashes. unsent
// are events that no other notification has.
func Recovered(host, group, process string, d time.Duration, count int, unsent ...schema.AlertEvent) *Notification {
	closed := At(d)
	return Note(schema.TypeAlertResolved, 2, schema.Notification{
		Rule: "unexpected-exit", Host: host, Group: group, Process: process,
		Closed: &closed, Count: count, Events: unsent,
	})
}

// Storm is n crashes of as many processes on hosts of three.
func Storm(n int) []*Notification {
	list := make([]*Notification, n)
	for i := range list {
		host, process := fmt.Sprintf("web%d", 1+i%3), fmt.Sprintf("worker_%03d", i)
		list[i] = Crash(host, "worker", process, time.Duration(i)*10*time.Millisecond, Code(1+i%3))
		list[i].Data.Events[0].Log = &schema.Log{Stderr: fmt.Sprintf("worker %d: database is gone\n", i)}
	}
	return list
}

// OutOfMemory is the reason of a process of which memory ran out.
func OutOfMemory() *schema.Exit {
	return &schema.Exit{
		Signal: "SIGKILL", Source: schema.ExitFromKernel,
		OOM: &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30},
	}
}

// Watched adds to an event what a bridge that watches processes knows.
func Watched(ev schema.AlertEvent, seconds float64) schema.AlertEvent {
	ev.Ran = &seconds
	ev.Last = &schema.Look{
		Time: schema.Time{Time: ev.Time.Add(-2200 * time.Millisecond)}, RSS: 1966 << 20, PeakRSS: 1997 << 20,
		CPU: 9120.44, Threads: 9, Descriptors: 31, Age: seconds - 2.2,
	}
	return ev
}

// Hungry is the notification of one lack of memory.
func Hungry() *Notification {
	return Firing(func(a *schema.Notification) {
		a.Group, a.Process = "importer", "importer"
		a.Events[0].Exit = OutOfMemory()
		a.Events[0] = Watched(a.Events[0], 187_442.031)
		a.State, a.Crashes = schema.StateExited, &schema.RecentCrashes{LastHour: 1, LastDay: 1}
	})
}

// HungryBatch is of several processes, one of which an older bridge reports.
func HungryBatch() []*Notification {
	a, b := Crash("web1", "", "importer", 0, OutOfMemory()), Crash("web2", "api", "api_00", time.Millisecond, Code(3))
	a.Data.Events[0] = Watched(a.Data.Events[0], 187_442.031)
	a.Data.State, a.Data.Crashes = schema.StateExited, &schema.RecentCrashes{LastHour: 1, LastDay: 1}
	b.Data.Events[0] = Watched(b.Data.Events[0], 0.25)
	return Batch(a, b, Crash("web3", "api", "api_00", 2*time.Millisecond, &schema.Exit{Signal: "SIGKILL"}))
}
