package lettertest

import (
	"strings"
	"time"

	"supernats/schema"
)

// Mixed is a bit of everything.
func Mixed() []*Notification {
	down := Note(schema.TypeAlertFiring, 1, schema.Notification{
		Rule: "down", Severity: "warning", Host: "web1", Group: "api", Process: "api_00",
		Annotations: map[string]string{
			"summary": "down for a minute", "description": "Runbook: https://wiki.example.com/api",
		},
	})
	update := Note(schema.TypeAlertUpdate, 2, schema.Notification{
		Rule: "unexpected-exit", Host: "web2", Group: "crasher", Process: "crasher", Count: 4,
		Events: []schema.AlertEvent{
			Exit(60*time.Second, Code(3)), Exit(120*time.Second, Code(3)),
			Exit(180*time.Second, &schema.Exit{Signal: "SIGKILL"}),
		},
	})
	late := Crash("web3", "", "importer", -3*time.Hour, &schema.Exit{Signal: "SIGSEGV", Core: true})
	late.Data.Events[0].Late = true
	fatal := Note(schema.TypeAlertFiring, 1, schema.Notification{
		Rule: "fatal", Host: "web2", Group: "x", Process: "x", Count: 1,
		Events: []schema.AlertEvent{{
			ID: "x", Time: At(0), Event: schema.ProcessStateFatal,
			Exit: &schema.Exit{SpawnErr: "can't find command '/opt/x'"},
		}},
	})
	loss := Note(schema.TypeAlertFiring, 1, schema.Notification{
		Rule: "loss", Severity: "warning", Host: "web1", Count: 1,
		Events: []schema.AlertEvent{{
			ID: "web1/b/loss/supernats/1", Time: At(0), Event: "supernats.bridge.loss", Lost: 17,
		}},
	})

	return Batch(
		down,
		Note(schema.TypeAlertFiring, 1, schema.Notification{Rule: "host-silent", Host: "web9"}),
		Crash("web1", "api", "api_00", 0, Code(3)),
		Crash("web1", "api", "api_01", 40*time.Millisecond, Code(3)),
		Crash("web2", "api", "api_00", 45*time.Millisecond, nil),
		update, late, fatal, loss,
		Recovered("web1", "crasher", "crasher", 270*time.Second, 17, Exit(time.Minute, Code(3))),
		Recovered("web1", "worker", "worker_01", 270*time.Second, 1),
	)
}

// Sample is a batch with a golden mail.
type Sample struct {
	Name  string
	Batch []*Notification
}

// Samples are batches of every kind.
func Samples() []Sample {
	silent := Firing(func(a *schema.Notification) {
		a.Rule, a.Group, a.Process, a.Events, a.Labels = "host-silent", "", "", nil, nil
	})
	quorum := Note(schema.TypeAlertFiring, 1, schema.Notification{
		Rule: "api-quorum", Host: "web1", Group: "api", Annotations: map[string]string{
			"summary":     "fewer than 7 of 8 are running",
			"description": "Customers wait.\nRunbook: https://wiki.example.com/api",
		},
	})

	return []Sample{
		{Name: "exit", Batch: Batch(crashWithLogs())},
		{Name: "several", Batch: Batch(severalEvents())},
		{Name: "resolved", Batch: Batch(resolved())},
		{Name: "silent", Batch: Batch(silent)},
		{Name: "digest", Batch: Mixed()},
		{Name: "quorum", Batch: Batch(quorum)},
		{Name: "update", Batch: Batch(updateOfGroup())},
		{Name: "loop", Batch: Batch(crashLoop())},
		{Name: "memory", Batch: Batch(Hungry())},
		{Name: "memories", Batch: HungryBatch()},
	}
}

func crashWithLogs() *Notification {
	return Firing(func(a *schema.Notification) {
		a.Events[0].Log = &schema.Log{
			Stdout: "listening on :8080\n",
			Stderr: "Traceback (most recent call last):\n  File \"api.py\", line 3\n\tresult = 1 / 0\n" +
				"\x1b[31mZeroDivisionError\x1b[0m: division by zero – 进程退出\n",
		}
		a.State, a.StateSince = schema.StateExited, &a.Events[0].Time
		a.Crashes = &schema.RecentCrashes{LastHour: 1, LastDay: 2}
	})
}

func severalEvents() *Notification {
	return Firing(func(a *schema.Notification) {
		a.Count = 7
		a.Events = []schema.AlertEvent{
			{ID: "web1/b/1", Time: At(-2 * time.Hour), Event: schema.ProcessStateExited, PID: 11, Exit: Code(3)},
			{
				ID: "web1/b/2", Time: At(-time.Hour), Event: schema.ProcessStateExited, PID: 12,
				Log: &schema.Log{Stderr: "out of memory"},
			},
			{
				ID: "web1/b/3", Time: At(-30 * time.Minute), Event: schema.ProcessStateFatal,
				FromState: schema.StateBackoff, Server: "supervisor",
				Exit: &schema.Exit{SpawnErr: "can't find command 'api'"},
			},
		}

		a.Opened = a.Events[0].Time
		a.State, a.StateSince = schema.StateFatal, &a.Events[2].Time
		a.Labels["team"] = "payments"
		a.Annotations = map[string]string{"runbook": "https://wiki.example.com/api?x=1&y=2"}
	})
}

// crashLoop is a process that has crashed again and again.
func crashLoop() *Notification {
	n := crashWithLogs()
	n.Type, n.Time = schema.TypeAlertUpdate, At(9*time.Minute)
	n.Data.Opened, n.Data.Count = At(-20*time.Minute), 24
	n.Data.Events[0] = Watched(n.Data.Events[0], 41.2)
	n.Data.Events[0].Time = At(9*time.Minute - time.Second)
	since := At(9*time.Minute + 200*time.Millisecond)
	n.Data.State, n.Data.StateSince = schema.StateRunning, &since
	n.Data.Crashes = &schema.RecentCrashes{LastHour: 24, LastDay: 312}
	n.Data.Recurring = &schema.Recurring{Times: 22, Since: At(0), RunMS: 40_000}
	return n
}

func resolved() *Notification {
	closed := At(5 * time.Minute)
	since := At(4*time.Minute + 30*time.Second)
	n := Firing(func(a *schema.Notification) {
		a.Events, a.Closed, a.Count = nil, &closed, 3
		a.State, a.StateSince = schema.StateRunning, &since
		a.Crashes = &schema.RecentCrashes{LastHour: 3, LastDay: 3}
	})
	n.Type, n.Time = schema.TypeAlertResolved, closed
	return n
}

func updateOfGroup() *Notification {
	return Note(schema.TypeAlertUpdate, 2, schema.Notification{
		Rule: "unexpected-exit", Host: "web1", Group: "api", Count: 4,
		Annotations: map[string]string{"summary": "api is shaky"},
		Events: []schema.AlertEvent{
			Of(Exit(time.Minute, Code(3)), "", "", "api_00"),
			Of(Exit(2*time.Minute, Code(3)), "", "", "api_01"),
			Of(Exit(3*time.Minute, &schema.Exit{Signal: "SIGKILL"}), "", "", "api_01"),
		},
	})
}

// Big are batches of many events and long logs.
func Big() map[string][]*Notification {
	loops := Storm(5)
	for i, n := range loops {
		first := n.Data.Events[0]
		n.Data.Events = nil
		for j := range 500 {
			ev := first
			ev.Time = At(time.Duration(i*500+j) * time.Millisecond)
			n.Data.Events = append(n.Data.Events, ev)
		}
		n.Data.Count = 500
	}

	logs := Storm(100)
	for _, n := range logs {
		n.Data.Events[0].Log = &schema.Log{
			Stderr: strings.Repeat("a line of a log\n", 256), Stdout: strings.Repeat("x\x00", 2048),
		}
	}

	return map[string][]*Notification{
		"1000 alerts": Storm(1000), "10000 alerts": Storm(10_000), "5 alerts of 500": loops, "100 logs": logs,
	}
}
