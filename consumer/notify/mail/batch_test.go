package mail

import (
	"fmt"
	"time"

	"supernats/schema"
)

type notification = schema.CloudEvent[*schema.Notification]

func at(d time.Duration) schema.Time { return schema.Time{Time: happened.Add(d)} }

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// note makes the nth notification of an alert.
func note(typ string, n int, a schema.Notification) *notification {
	if a.Incident == "" {
		a.Incident = a.Rule + "/" + a.Host + "/" + a.Group + "/" + a.Process
	}
	if a.Severity == "" {
		a.Severity = "critical"
	}
	if a.Opened.IsZero() {
		a.Opened = at(0)
	}
	return a.Envelope(fmt.Sprintf("%s/%d", a.Incident, n), typ, happened.Add(time.Second))
}

func exit(d time.Duration, x *schema.Exit) schema.AlertEvent {
	return schema.AlertEvent{
		ID: fmt.Sprintf("web1/4f0c6d1e2a90b7c3/%d", 1000+d.Milliseconds()), Time: at(d), Event: schema.ProcessStateExited,
		Server: "supervisor", FromState: "RUNNING", Expected: no(), PID: 11167, Exit: x,
	}
}

// of makes an event that says whose it is.
func of(ev schema.AlertEvent, host, group, process string) schema.AlertEvent {
	ev.Host, ev.Group, ev.Process = host, group, process
	return ev
}

func crash(host, group, process string, d time.Duration, x *schema.Exit) *notification {
	return note(schema.TypeAlertFiring, 1, schema.Notification{
		Rule: "unexpected-exit", Host: host, Group: group, Process: process, Opened: at(d), Count: 1,
		Events: []schema.AlertEvent{exit(d, x)},
	})
}

// wellAfter is the resolved notification of a crash.
func wellAfter(host, group, process string, d time.Duration, count int, unsent ...schema.AlertEvent) *notification {
	closed := at(d)
	return note(schema.TypeAlertResolved, 2, schema.Notification{
		Rule: "unexpected-exit", Host: host, Group: group, Process: process,
		Closed: &closed, Count: count, Events: unsent,
	})
}

// storm is n crashes of as many processes on hosts of three.
func storm(n int) []*notification {
	list := make([]*notification, n)
	for i := range list {
		list[i] = crash(fmt.Sprintf("web%d", 1+i%3), "worker", fmt.Sprintf("worker_%03d", i), time.Duration(i)*10*time.Millisecond, code(1+i%3))
		list[i].Data.Events[0].Log = &schema.Log{Stderr: fmt.Sprintf("worker %d: database is gone\n", i)}
	}
	return list
}

// mixed is a bit of everything.
func mixed() []*notification {
	down := note(schema.TypeAlertFiring, 1, schema.Notification{Rule: "down", Severity: "warning", Host: "web1", Group: "api", Process: "api_00", Annotations: map[string]string{"summary": "down for a minute", "description": "Runbook: https://wiki.example.com/api"}})
	crash4 := note(schema.TypeAlertUpdate, 2, schema.Notification{Rule: "unexpected-exit", Host: "web2", Group: "crasher", Process: "crasher", Count: 4, Events: []schema.AlertEvent{exit(60*time.Second, code(3)), exit(120*time.Second, code(3)), exit(180*time.Second, &schema.Exit{Signal: "SIGKILL"})}})
	late := crash("web3", "", "importer", -3*time.Hour, &schema.Exit{Signal: "SIGSEGV", Core: true})
	late.Data.Events[0].Late = true
	return batch(
		down,
		note(schema.TypeAlertFiring, 1, schema.Notification{Rule: "host-silent", Host: "web9"}),
		crash("web1", "api", "api_00", 0, code(3)), crash("web1", "api", "api_01", 40*time.Millisecond, code(3)), crash("web2", "api", "api_00", 45*time.Millisecond, nil),
		crash4, late,
		note(schema.TypeAlertFiring, 1, schema.Notification{Rule: "fatal", Host: "web2", Group: "x", Process: "x", Count: 1, Events: []schema.AlertEvent{{ID: "x", Time: at(0), Event: schema.ProcessStateFatal, Exit: &schema.Exit{SpawnErr: "can't find command '/opt/x'"}}}}),
		note(schema.TypeAlertFiring, 1, schema.Notification{Rule: "loss", Severity: "warning", Host: "web1", Count: 1, Events: []schema.AlertEvent{{ID: "web1/b/loss/supernats/1", Time: at(0), Event: "supernats.bridge.loss", Lost: 17}}}),
		wellAfter("web1", "crasher", "crasher", 270*time.Second, 17, exit(time.Minute, code(3))),
		wellAfter("web1", "worker", "worker_01", 270*time.Second, 1),
	)
}
