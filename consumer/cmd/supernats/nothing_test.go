package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
)

// A table without a row says why it has none.
func TestNothingToShow(t *testing.T) {
	i := newInstallation(t)
	i.state(schema.ProcessRecord{Host: "web1", Group: "api", Process: "api", State: schema.StateRunning})
	for _, tt := range []struct{ args, want string }{
		{args: "ps --down", want: "nothing is down (of 1 process)\n"},
		{args: "ps --down nobody", want: "no process is known that matches"},
		{args: "replay --host nobody", want: "supernats: no event is stored that matches\n"},
	} {
		args := append(strings.Fields(tt.args), "-o", "table", "--nats-url", i.url)
		out, errs, code := supernats(t, args...)
		if code != program.ExitDone || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: %d %q %q, want %q", tt.args, code, out, errs, tt.want)
		}
	}
}

// Bridges of one host with several versions are seen.
func TestHostsShowsAllVersions(t *testing.T) {
	i := newInstallation(t)
	now := i.ago(time.Second)
	i.host(schema.HostRecord{
		Host: "web1", BridgeVersion: "v1.2.3", Boot: "b", LastSeen: now,
		Lives: []schema.HostLife{{Boot: "a", LastSeen: now, Ended: &now}, {Boot: "b", LastSeen: now}},
		Bridges: []schema.HostBridge{
			{Pool: "supernats", Boot: "a", Version: "v0.9.0", LastSeen: now},
			{Pool: "supernats", Boot: "b", Version: "v1.2.3", LastSeen: now},
			{Pool: "supernats-logs", Boot: "b", Version: "v1.0.0", LastSeen: now},
		},
	})
	if out := i.run("hosts", "-o", "table"); !strings.Contains(out, "  v1.0.0, v1.2.3  ") {
		t.Error(out)
	}
}

// Why an alert was not notified is on a screen of any width.
func TestMutedAlertsOnNarrowScreen(t *testing.T) {
	i := newInstallation(t)
	i.trouble()
	if screen := i.onScreen(80, nil, "alerts"); !strings.Contains(screen, "MUTED") || !strings.Contains(screen, "by m1") {
		t.Error(screen)
	}
}

// A flag that names the server makes no setting of the file useless.
func TestDoctorWithURLOnTheDaemonsMachine(t *testing.T) {
	i := newInstallation(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nats.conf": "port: 4222\n", "c.yaml": "embedded: {config: " + dir + "/nats.conf}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	out, errs, _ := supernats(t, "doctor", "-c", dir+"/c.yaml", "-o", "table", "--nats-url", i.url)
	if strings.Contains(out+errs, "is not used") || !strings.Contains(out, "config") {
		t.Error(out, errs)
	}
}

// On an idle system the daemon is not behind: what changes no record is acknowledged later.
func TestDoctorOfReadEvents(t *testing.T) {
	i := well(t)
	i.event(schema.Event{Host: "web1"}, func(e *schema.Event) { e.Event, e.When = schema.Tick5, new(int64(1201063880)) })
	c, err := i.js.Consumer(t.Context(), stream.Events, "supernats")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}

	const want = "ok events: `supernats consume` has read all events, and acknowledges 1 message within seconds"
	if lines := i.doctor(program.ExitDone); !slices.Contains(lines, want) {
		t.Errorf("%q", lines)
	}
}
