package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/checkup"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A bridge that is started while NATS is away says so in its log, and the doctor does; as
// soon as NATS is there all arrives, and the doctor finds nothing.
func TestNATSIsAwayAtTheStart(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	t.Parallel()
	nats := streamtest.Start(t)
	nats.Stop()
	in := installOn(t, nats)
	supervisordtest.Wait(t, 20*time.Second, in.isRunning, "the bridge to run")

	found, _ := in.examine()
	i := slices.IndexFunc(found, func(f checkup.Finding) bool { return f.Check == "nats" })
	if i < 0 || found[i].Status != checkup.Fail || !strings.Contains(found[i].Message, "events wait in the spool") ||
		!strings.Contains(found[i].Fix, "start the server or open its port") {
		t.Errorf("%+v", found)
	}
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		text, _ := os.ReadFile(in.dir + "/bridge.log")
		return strings.Contains(string(text), "NATS")
	}, "the bridge to log that NATS is away")

	in.server.WaitLog(t, "success: app entered RUNNING", 1)
	in.server.KillProgram(t, "app")
	nats.Restart()
	js := nats.JetStream()
	subject := (&schema.Event{Host: in.host, Event: schema.ProcessStateExited, Group: "app", Process: "app"}).Subject()
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		return len(streamtest.Stored(t, js, stream.Events, subject)) > 0
	}, "the death that nobody took to arrive")
	if found, code := in.examine(); len(found) > 0 || code != 0 {
		t.Errorf("exit code %d: %+v", code, found)
	}
}

// A bridge whose log goes nowhere works as any other, and nothing is wrong with it.
func TestABridgeWithoutALog(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	t.Parallel()
	nats := streamtest.Start(t)
	for _, log := range []string{"/dev/null", "NONE"} {
		t.Run(log, func(t *testing.T) {
			t.Parallel()
			host := "nolog" + fmt.Sprint(len(log))
			sections, err := exec.Command(bin+"/supernats-bridge", "conf", "--nats-url", nats.URL, "--host", host,
				"--spool-dir", diskDir(t), "--stderr-logfile", log).Output()
			if err != nil {
				t.Fatal(err)
			}
			s := supervisordtest.Start(t, string(sections)+supervisordtest.Program("app", "sleep 1000", "startsecs=0"))
			js := nats.JetStream()
			arrives := func(event, process string) {
				t.Helper()
				subject := (&schema.Event{Host: host, Event: event, Group: process, Process: process}).Subject()
				supervisordtest.Wait(t, 30*time.Second, func() bool {
					return len(streamtest.Stored(t, js, stream.Events, subject)) > 0
				}, "%s of %s to arrive", event, process)
			}

			arrives(schema.ProcessStateRunning, "app")
			s.ReplaceProgram(t, "app")
			arrives(schema.ProcessStateExited, "app")
			s.ReplaceProgram(t, "supernats")
			s.ReplaceProgram(t, "app")
			subject := (&schema.Event{Host: host, Event: schema.ProcessStateExited, Group: "app", Process: "app"}).Subject()
			supervisordtest.Wait(t, 30*time.Second, func() bool {
				return len(streamtest.Stored(t, js, stream.Events, subject)) == 2
			}, "a death after a restart of the bridge to arrive")
		})
	}
}
