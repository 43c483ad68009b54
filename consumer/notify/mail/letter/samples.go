package letter

import (
	"sync"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// sample is a mail on which templates are tried.
type sample struct {
	name string
	data *Data
}

// samples are mails of every kind: what a template may rely on is in all of
// them.
var samples = sync.OnceValue(func() []sample {
	now := time.Date(2026, 11, 22, 19, 0, 31, 833_000_000, time.UTC)
	at := func(ago time.Duration) schema.Time { return schema.Time{Time: now.Add(-ago)} }
	three, no := 3, false
	exit := schema.AlertEvent{
		ID: "web1/4f0c6d1e2a90b7c3/1234", Time: at(time.Second), Seq: 77, Event: schema.ProcessStateExited,
		Server: "supervisor", FromState: "RUNNING", Expected: &no, PID: 11167, Exit: &schema.Exit{Code: &three},
	}
	of := func(process string, ago time.Duration) schema.AlertEvent {
		ev := exit
		ev.Host, ev.Group, ev.Process, ev.Time = "web1", "api", process, at(ago)
		return ev
	}
	late := exit
	late.Time, late.Late = at(3*time.Hour), true
	last := exit
	last.Log = &schema.Log{Stderr: "out of memory\n"}
	hungry := exit
	hungry.Exit = &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel, OOM: &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30}}
	hungry.Ran, hungry.Last = new(187_442.031), &schema.Look{Time: at(3 * time.Second), RSS: 2 << 30, PeakRSS: 2 << 30, CPU: 9120.4, Threads: 9, Descriptors: 31, Age: 187_440}
	lost := schema.AlertEvent{ID: "web1/4f0c6d1e2a90b7c3/loss/supernats/1", Time: at(time.Second), Event: "supernats.bridge.loss", Lost: 17}
	trouble := schema.AlertEvent{
		ID: "web1/trouble/disk-full/1", Time: at(time.Minute), Event: wording.EventTrouble,
		Cause: "disk-full", Text: "the file system of the spool has 3 MiB left", Fix: "make room in /var/lib/supernats",
	}
	closed := at(time.Second)
	alert := func(rule, group, process string, events ...schema.AlertEvent) schema.Notification {
		return schema.Notification{
			Incident: rule + "/1", Rule: rule, Severity: "critical", Host: "web1", Group: group, Process: process,
			Opened: at(4 * time.Hour), Count: len(events), Events: events,
		}
	}
	over := alert("unexpected-exit", "api", "api_00")
	over.Closed, over.Count = &closed, 17
	words := alert("down", "api", "api_00")
	words.Labels = map[string]string{"address": "192.0.2.11", "team": "payments"}
	words.Annotations = map[string]string{"summary": "api_00 is down", "description": "Look at\nthe runbook."}
	anywhere := alert("down", "", "", of("api_00", time.Second))
	anywhere.Host = ""

	var all []sample
	var batch []*notify.Notification
	add := func(name, typ string, a schema.Notification) {
		n := a.Envelope(a.Incident+"/1", typ, now)
		batch = append(batch, n)
		all = append(all, sample{name, newData(newReport(batch[len(batch)-1:]), notify.Identity{Instance: "mon1", Version: "1.2.3"}, now)})
	}
	add("an unexpected exit", schema.TypeAlertFiring, alert("unexpected-exit", "api", "api_00", last))
	add("a lack of memory", schema.TypeAlertFiring, alert("unexpected-exit", "api", "api_00", hungry))
	add("an update with two exits", schema.TypeAlertUpdate, alert("unexpected-exit", "api", "api_00", exit, exit))
	add("an update without events", schema.TypeAlertUpdate, alert("unexpected-exit", "api", "api_00"))
	add("a resolved alert", schema.TypeAlertResolved, over)
	add("late news", schema.TypeAlertFiring, alert("unexpected-exit", "api", "api_00", late))
	add("a silent host", schema.TypeAlertFiring, alert("host-silent", "", ""))
	add("lost events", schema.TypeAlertFiring, alert("loss", "", "", lost))
	add("a bridge in trouble", schema.TypeAlertFiring, alert("bridge-trouble", "", "", trouble))
	add("a state rule with annotations", schema.TypeAlertFiring, words)
	add("an alert about a group", schema.TypeAlertFiring, alert("unexpected-exit", "api", "", of("api_00", time.Minute), of("api_01", time.Second)))
	add("an alert about no host", schema.TypeAlertFiring, anywhere)
	return append(all, sample{"a digest", newData(newReport(batch), notify.Identity{Instance: "mon1", Version: "1.2.3"}, now)})
})
