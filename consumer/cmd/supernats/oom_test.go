package main

import (
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

// hungry is a process that was killed because memory ran out, as a bridge that watches
// processes reports it, beside one that is as older bridges report it.
func (i *installation) hungry() {
	exit := &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel, OOM: &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30}}
	ran, last := new(187_442.031), &schema.Look{Time: i.ago(23*time.Minute + 30*time.Second), RSS: 1966 << 20, Threads: 9}
	i.state(schema.ProcessRecord{
		Host: "web1", Group: "importer", Process: "importer", State: "RUNNING", Since: i.ago(23 * time.Minute), PID: 7, Starts: 2, Exits: 1, UnexpectedExits: 1,
		LastExit: new(i.ago(23*time.Minute + 20*time.Second)), Expected: new(false), Exit: exit, Ran: ran, Last: last,
	})
	i.state(schema.ProcessRecord{
		Host: "web1", Group: "api", Process: "api_00", State: "RUNNING", Since: i.ago(23 * time.Minute), PID: 8, Starts: 2, Exits: 1, UnexpectedExits: 1,
		LastExit: new(i.ago(23*time.Minute + 20*time.Second)), Expected: new(false), Exit: &schema.Exit{Signal: "SIGKILL"},
	})
	i.alert(schema.Alert{
		Incident: "new", Rule: "unexpected-exit", Severity: "critical", Host: "web1", Group: "importer", Process: "importer", Phase: schema.PhaseFiring,
		Opened: at(1), Count: 1, Notified: new(at(1)), Notifications: 1,
		Last: &schema.AlertEvent{ID: "web1/b/1", Time: at(1), Event: schema.ProcessStateExited, Exit: exit, Ran: ran, Last: last},
	})
	for _, x := range []*schema.Exit{exit, {Signal: "SIGKILL"}} {
		i.event(schema.Event{Host: "web1", Group: "importer", Process: "importer"}, func(e *schema.Event) {
			e.Event, e.FromState, e.PID, e.Expected, e.Exit = schema.ProcessStateExited, "RUNNING", 7, new(false), x
			if x == exit {
				e.Ran, e.Last = ran, last
			}
		})
	}
}

func TestALackOfMemoryIsSeen(t *testing.T) {
	i := newInstallation(t)
	i.hungry()

	for _, c := range []struct {
		args []string
		want []string
	}{
		{args: []string{"ps"}, want: []string{"23m ago, SIGKILL, out of memory\n", "23m ago, SIGKILL\n"}},
		{args: []string{"alerts"}, want: []string{"(ran 2 d 4 h, SIGKILL, out of memory)"}},
		{
			args: []string{"replay"},
			want: []string{"unexpected, SIGKILL, out of memory at 2.0 of 2 GiB, from RUNNING, pid 7, ran 2 d 4 h\n", "unexpected, SIGKILL, from RUNNING, pid 7\n"},
		},
	} {
		got := i.run(append(c.args, "-o", "table")...)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%v: no %q in\n%s", c.args, want, got)
			}
		}
	}
	// What a script reads has all of it.
	for _, command := range []string{"ps", "alerts", "replay"} {
		got := i.run(command, "-o", "jsonl")
		for _, want := range []string{`"oom":{"cgroup":"/system.slice/supervisor.service","limit":2147483648,"peak":2147483648}`, `"ran":187442.031`, `"rss_bytes":2061500416`} {
			if strings.Count(got, want) != 1 {
				t.Errorf("%s: not one %s in\n%s", command, want, got)
			}
		}
	}
}

func TestALackOfMemoryOn80Columns(t *testing.T) {
	i := newInstallation(t)
	i.hungry()
	for _, args := range [][]string{{"ps"}, {"alerts"}, {"replay"}, {"tail", "--since", "2h", "--limit", "2"}} {
		screen := i.onScreen(80, nil, args...)
		shows(t, screen, 80)
		if !strings.Contains(strings.Join(strings.Fields(screen), " "), "out of memory") {
			t.Errorf("%v: no word of memory in\n%s", args, screen)
		}
		if t.Failed() || testing.Verbose() {
			t.Log("\n" + screen)
		}
	}
}
