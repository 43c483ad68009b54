package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/checkup"
	"supernats/schema/stream/streamtest"
)

// all are all findings, those that are ok too.
func (in *installation) all() (found []checkup.Finding) {
	in.Helper()
	out, _ := exec.Command(in.program, "doctor", "-o", "json", "--supervisord-conf", in.dir+"/supervisord.conf").Output()
	if err := json.Unmarshal(out, &found); err != nil {
		in.Fatalf("%v: %s", err, out)
	}
	return found
}

// findingOf is the first finding of a check that contains a text.
func findingOf(found []checkup.Finding, check, text string) *checkup.Finding {
	i := slices.IndexFunc(found, func(f checkup.Finding) bool { return f.Check == check && strings.Contains(f.Message, text) })
	if i < 0 {
		return nil
	}
	return &found[i]
}

// Of two supervisords on one machine: that one has no bridge is said, and no failure; that
// both publish a process of one name under one host is a warning.
func TestDoctorOfSeveralSupervisords(t *testing.T) {
	needSupervisord(t)
	t.Parallel()
	nats := streamtest.Start(t)
	in := installOn(t, nats)
	supervisordtest.Wait(t, 20*time.Second, in.isRunning, "the bridge to run")
	other := supervisordtest.Start(t, supervisordtest.Program("app", "sleep 1000"))
	named := fmt.Sprintf("pid %d", other.PID())

	f := findingOf(in.all(), "others", named)
	if f == nil || f.Status != checkup.OK || !strings.Contains(f.Message, "without a bridge") {
		t.Errorf("one without a bridge: %+v", f)
	}

	sections, err := exec.Command(in.program, "conf", "--nats-url", nats.URL, "--host", in.host,
		"--spool-dir", in.spool, "--stderr-logfile", "/dev/null").Output()
	if err != nil {
		t.Fatal(err)
	}
	rival := supervisordtest.Start(t, string(sections)+supervisordtest.Program("app", "sleep 1000"))
	supervisordtest.Wait(t, 20*time.Second, func() bool { return rival.State("supernats") == "RUNNING" }, "the other bridge to run")
	f = findingOf(in.all(), "others", "publishes as host")
	if f == nil || f.Status != checkup.Warn || !strings.Contains(f.Message, "both have app:app") ||
		!strings.Contains(f.Fix, "another --host") {
		t.Errorf("one that publishes the same: %+v", f)
	}
}

// A socket that was removed is a failure, and a signal brings it back.
func TestDoctorOfASocketThatIsGone(t *testing.T) {
	needSupervisord(t)
	t.Parallel()
	nats := streamtest.Start(t)
	in := installOn(t, nats)
	supervisordtest.Wait(t, 20*time.Second, in.isRunning, "the bridge to run")
	socket := in.dir + "/supervisor.sock"
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	f := findingOf(in.all(), "rpc", "is gone")
	if f == nil || f.Status != checkup.Fail || !strings.HasPrefix(f.Fix, "kill -HUP ") {
		t.Fatalf("%+v", f)
	}
	command, _, _ := strings.Cut(f.Fix, " (")
	in.afterRestart(command, func() {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	supervisordtest.Wait(t, 30*time.Second, in.isRunning, "the bridge to run again")
	if f := findingOf(in.all(), "rpc", "is gone"); f != nil {
		t.Errorf("%+v", f)
	}
}

func needSupervisord(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
}
