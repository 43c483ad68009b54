package letter

import (
	"sync"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/wording"
	"supernats/schema"
)

// sampleTime is when the samples are written.
var sampleTime = time.Date(2026, 11, 22, 19, 0, 31, 833_000_000, time.UTC)

// Check tries templates of a configuration on mails of every kind, and returns an error for
// each one that fails.
func Check(own *custom.Templates) []error { return own.Check(samples()) }

// samples are mails of every kind: what a template may rely on is in all of them.
var samples = sync.OnceValue(func() []custom.Sample {
	from := notify.Identity{Instance: "mon1", Version: "1.2.3"}
	var all []custom.Sample
	var batch []*notify.Notification
	for _, n := range sampleNotifications() {
		envelope := n.alert.Envelope(n.alert.Incident+"/1", n.typ, sampleTime)
		batch = append(batch, envelope)
		data := newData(newReport([]*notify.Notification{envelope}), from, sampleTime)
		all = append(all, custom.Sample{Name: n.name, Data: data})
	}
	return append(all, custom.Sample{Name: "a digest", Data: newData(newReport(batch), from, sampleTime)})
})

// sampleNotification is one of those that the samples are about.
type sampleNotification struct {
	name, typ string
	alert     schema.Notification
}

func sampleNotifications() []sampleNotification {
	const firing, update, resolved = schema.TypeAlertFiring, schema.TypeAlertUpdate, schema.TypeAlertResolved
	const exits = "unexpected-exit"

	exit := sampleExit(time.Second)
	late := sampleExit(3 * time.Hour)
	late.Late = true
	withLog := sampleExit(time.Second)
	withLog.Log = &schema.Log{Stderr: "out of memory\n"}

	over := sampleAlert(exits, "api", "api_00")
	over.Closed, over.Count = &schema.Time{Time: sampleTime.Add(-time.Second)}, 17
	worded := sampleAlert("down", "api", "api_00")
	worded.Labels = map[string]string{"address": "192.0.2.11", "team": "payments"}
	worded.Annotations = map[string]string{"summary": "api_00 is down", "description": "Look at\nthe runbook."}
	anywhere := sampleAlert("down", "", "", sampleOf("api_00", time.Second))
	anywhere.Host = ""

	return []sampleNotification{
		{"an unexpected exit", firing, sampleAlert(exits, "api", "api_00", withLog)},
		{"a lack of memory", firing, sampleAlert(exits, "api", "api_00", sampleOutOfMemory())},
		{"an update with two exits", update, sampleAlert(exits, "api", "api_00", exit, exit)},
		{"an update without events", update, sampleAlert(exits, "api", "api_00")},
		{"a resolved alert", resolved, over},
		{"late news", firing, sampleAlert(exits, "api", "api_00", late)},
		{"a silent host", firing, sampleAlert("host-silent", "", "")},
		{"lost events", firing, sampleAlert("loss", "", "", sampleLoss())},
		{"a bridge in trouble", firing, sampleAlert("bridge-trouble", "", "", sampleTrouble())},
		{"a state rule with annotations", firing, worded},
		{
			"an alert about a group", firing,
			sampleAlert(exits, "api", "", sampleOf("api_00", time.Minute), sampleOf("api_01", time.Second)),
		},
		{"an alert about no host", firing, anywhere},
	}
}

// sampleAlert is one about web1 that has been open for four hours.
func sampleAlert(rule, group, process string, events ...schema.AlertEvent) schema.Notification {
	return schema.Notification{
		Incident: rule + "/1", Rule: rule, Severity: "critical", Host: "web1", Group: group, Process: process,
		Opened: schema.Time{Time: sampleTime.Add(-4 * time.Hour)}, Count: len(events), Events: events,
	}
}

func sampleExit(ago time.Duration) schema.AlertEvent {
	code, expected := 3, false
	return schema.AlertEvent{
		ID: "web1/4f0c6d1e2a90b7c3/1234", Time: schema.Time{Time: sampleTime.Add(-ago)}, Seq: 77,
		Event: schema.ProcessStateExited, Server: "supervisor", FromState: schema.StateRunning, Expected: &expected,
		PID: 11167, Exit: &schema.Exit{Code: &code},
	}
}

// sampleOf is the exit of a process that the alert does not name.
func sampleOf(process string, ago time.Duration) schema.AlertEvent {
	ev := sampleExit(ago)
	ev.Host, ev.Group, ev.Process = "web1", "api", process
	return ev
}

func sampleOutOfMemory() schema.AlertEvent {
	ev := sampleExit(time.Second)
	ev.Exit = &schema.Exit{
		Signal: "SIGKILL", Source: schema.ExitFromKernel,
		OOM: &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30},
	}
	ev.Ran = new(187_442.031)
	ev.Last = &schema.Look{
		Time: schema.Time{Time: sampleTime.Add(-3 * time.Second)}, RSS: 2 << 30, PeakRSS: 2 << 30,
		CPU: 9120.4, Threads: 9, Descriptors: 31, Age: 187_440,
	}
	return ev
}

func sampleLoss() schema.AlertEvent {
	return schema.AlertEvent{
		ID: "web1/4f0c6d1e2a90b7c3/loss/supernats/1", Time: schema.Time{Time: sampleTime.Add(-time.Second)},
		Event: wording.EventLoss, Lost: 17,
	}
}

func sampleTrouble() schema.AlertEvent {
	return schema.AlertEvent{
		ID: "web1/trouble/disk-full/1", Time: schema.Time{Time: sampleTime.Add(-time.Minute)},
		Event: wording.EventTrouble, Cause: "disk-full",
		Text: "the file system of the spool has 3 MiB left", Fix: "make room in /var/lib/supernats",
	}
}
