package page_test

import (
	"fmt"
	"time"

	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
)

// minutesAgo is a time before now.
func minutesAgo(n float64) schema.Time {
	return schema.Time{Time: time.Now().UTC().Add(-time.Duration(n * float64(time.Minute))).Truncate(time.Microsecond)}
}

// Incidents of a furnished house, beside that which furnish returns.
const (
	acknowledgedIncident = "/alerts/backoff-web12-api_01"
	pastIncident         = "/alerts/unexpected-exit-web10-api_00"
)

// furnish fills a house with a fleet in which several things are wrong, and returns the path
// of an incident: a process that crashed some times.
func (h *house) furnish(crashes int) (incident string) {
	h.Helper()
	h.hasHost("web3", func(r *schema.HostRecord) { r.Running, r.Down, r.Stopped = 2, 1, 1 })
	h.hasProcess("web3", "api", "api_00", schema.StateRunning)
	h.hasProcess("web3", "api", "api_01", schema.StateRunning)
	h.hasProcess("web3", "api", "api_02", schema.StateFatal, func(r *schema.ProcessRecord) {
		r.Since, r.Starts, r.Fatals, r.Exit = minutesAgo(4), 4, 1, &schema.Exit{Code: new(1)}
	})
	h.hasProcess("web3", "batch", "nightly", schema.StateStopped,
		func(r *schema.ProcessRecord) { r.Since = minutesAgo(540) })
	h.hasHost("db1", func(r *schema.HostRecord) { r.Running = 1 })
	h.hasProcess("db1", "sync", "sync", schema.StateRunning, func(r *schema.ProcessRecord) {
		oom := &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30}
		r.Starts, r.Exits, r.UnexpectedExits, r.PID = 23, 22, 22, 8431
		r.Exit, r.Ran = &schema.Exit{Signal: "SIGKILL", OOM: oom}, new(41.0)
		at := minutesAgo(0.3)
		r.LastExit, r.Since, r.Seq = &at, minutesAgo(0.2), 99
	})
	h.hasHost("web7", func(r *schema.HostRecord) { r.LastSeen, r.Running, r.Stopped = minutesAgo(12), 17, 1 })
	h.hasHost("cache-eu-central-1.internal.example.com", func(r *schema.HostRecord) {
		at := minutesAgo(90)
		r.Lost, r.LastLoss = 14, &at
		r.Bridges = []schema.HostBridge{{Pool: "supernats", LastLoss: &at, LossCause: schema.LossBuffer}}
	})
	for i := range 6 {
		name := fmt.Sprintf("web%02d", 10+i)
		h.hasHost(name, func(r *schema.HostRecord) { r.Running = 2 })
		for j := range 2 {
			h.hasProcess(name, "api", fmt.Sprintf("api_%02d", j), schema.StateRunning)
		}
	}

	h.hasAlert("fatal", "critical", "web3", "api", "api_02", func(a *schema.Alert) {
		a.Opened, a.Last.Event, a.Last.Exit, a.Last.Ran = minutesAgo(4), schema.ProcessStateFatal, &schema.Exit{Code: new(1)}, nil
	})
	h.hasAlert("host-silent", "warning", "web7", "", "", func(a *schema.Alert) {
		a.Kind, a.Last, a.Opened = schema.KindSilent, nil, minutesAgo(9)
	})
	h.hasAlert("unexpected-exit", "warning", "web10", "api", "api_00", func(a *schema.Alert) {
		closed := minutesAgo(30)
		a.Phase, a.Opened, a.Closed, a.Count = schema.PhaseResolved, minutesAgo(55), &closed, 2
	})
	a := h.hasAlert("unexpected-exit", "warning", "db1", "sync", "sync", func(a *schema.Alert) {
		oom := &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30}
		a.Opened, a.Count, a.Last.Exit = minutesAgo(15), 22, &schema.Exit{Signal: "SIGKILL", OOM: oom}
		a.Annotations = map[string]string{"runbook": "https://wiki.example.com/sync", "team": "storage"}
		a.Notifications = 2
	})
	h.hasAlert("backoff", "warning", "web12", "api", "api_01", func(a *schema.Alert) {
		until := minutesAgo(-460)
		a.Opened, a.Last.Event, a.Notifications = minutesAgo(25), schema.ProcessStateBackoff, 1
		a.Acknowledged = &schema.Acknowledgement{By: "anna", Reason: "rolling back 1.4.2", Since: minutesAgo(20), Until: &until}
	})
	h.crashes(crashes)
	h.put(stream.MutesBucket, "1m2n3p4q5r", &schema.Mute{
		ID: "1m2n3p4q5r", Hosts: []string{"web1*"}, Rules: []string{"unexpected-exit"}, Author: "anna",
		Comment: "rolling out 1.4.2",
		Created: minutesAgo(20), Expires: minutesAgo(-100),
	})
	h.Until("all is seen", func() bool {
		s := h.live.Snapshot()
		return len(s.Alerts) == 5 && len(s.Hosts) == 10 && len(s.Mutes) == 1 && s.Host("web15") != nil && len(s.Host("web15").Processes) == 2
	})
	return site.AlertPath(a.Incident)
}

// crashes publishes the events of a process that crashes again and again, and what was
// notified of it.
func (h *house) crashes(n int) {
	h.Helper()
	for i := range n {
		at := minutesAgo(15 - float64(i)*14.3/float64(n))
		of := func(e *schema.Event) { e.Host, e.Group, e.Process, e.PID = "db1", "sync", "sync", 8000+i }
		crash := h.Crash(of, func(e *schema.Event) {
			e.FromState, e.Ran = schema.StateRunning, new(38.5)
			e.Exit = &schema.Exit{
				Signal: "SIGKILL",
				OOM:    &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30},
			}
			e.Log = &schema.Log{Stderr: "Traceback (most recent call last):\n  File \"/srv/sync/main.py\", line 42, in <module>\n    rows = load(path)\nMemoryError\n"}
		})
		h.PublishAt(at.Time, crash)
		h.PublishAt(at.Add(time.Second),
			h.Event(schema.ProcessStateRunning, of, func(e *schema.Event) { e.FromState = schema.StateStarting }))
	}

	notification := &schema.Notification{
		Incident: "unexpected-exit-db1-sync", Rule: "unexpected-exit", Severity: "warning", Host: "db1",
		Group: "sync", Process: "sync",
		Opened: minutesAgo(15), Count: 1,
	}
	for i, typ := range []string{schema.TypeAlertFiring, schema.TypeAlertUpdate} {
		at := minutesAgo(15 - 10*float64(i))
		notification.Count = 1 + 15*i
		text, err := schema.Marshal(notification.Envelope(fmt.Sprintf("n-%d", i), typ, at.Time))
		if err != nil {
			h.Fatal(err)
		}
		h.PublishRaw(notification.Subject(), string(text))
	}
}
