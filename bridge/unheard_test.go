package bridge_test

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream/streamtest"
)

// What happens while supervisord has no section of the bridge is reported, and
// nothing is where the events arrive: after a stop and a start, a kill -9, a reload.
func TestSectionRemovedAndAdded(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	s := supervisordtest.Start(t, `
[program:web]
command=sleep 1000

[program:api]
command=sleep 1000

[program:job]
command=sh -c "exec sleep 1000"
autostart=false
`+conf(t, "--nats-url", nats.URL, "--host", "web1"))
	js := nats.JetStream()
	started := func(n int) {
		t.Helper()
		waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), n)
		waitStored(t, js, schema.SnapshotSubject("web1"), n)
	}
	kill := func(name string) {
		t.Helper()
		pid, err := strconv.Atoi(strings.TrimSpace(s.MustCtl(t, "pid", name)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(name string) {
		t.Helper()
		old := s.MustCtl(t, "pid", name)
		kill(name)
		supervisordtest.Wait(t, 20*time.Second, func() bool {
			pid, _ := s.Ctl("pid", name) // fails while there is none
			return pid != old && strings.TrimSpace(pid) != "0"
		}, "%s to come back", name)
	}
	call := func(method string) {
		t.Helper()
		if _, err := s.Call(method, "supernats"); err != nil {
			t.Fatal(err)
		}
	}
	losses := func() int { return pending(js, schema.BridgeSubject("web1", schema.BridgeLoss)) }
	started(1)

	// The pool lives on.
	s.MustCtl(t, "stop", "supernats")
	restart("web")
	s.MustCtl(t, "start", "supernats")
	started(2)
	kill("supernats")
	restart("web")
	started(3)

	// Nobody listens.
	call("supervisor.stopProcessGroup")
	restart("web")
	call("supervisor.removeProcessGroup")
	restart("api")
	s.MustCtl(t, "start", "job")
	call("supervisor.addProcessGroup")
	started(4)
	msgs := waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeLoss), 1)
	validatorOf(t, "bridge")(msgs[0].Data())
	ce, err := schema.Unmarshal[*schema.Loss](msgs[0].Data())
	if err != nil {
		t.Fatal(err)
	}
	want := []schema.LossProcess{
		{Group: "api", Process: "api", Starts: 1, Exits: 1},
		{Group: "web", Process: "web", Starts: 1, Exits: 1},
		{Group: "job", Process: "job", Starts: 1},
	}
	if ce.Data.Cause != schema.LossNotListening || ce.Data.Count != 5 || !cmp.Equal(ce.Data.Processes, want) {
		t.Errorf("loss is %+v", ce.Data)
	}

	// The same without anything in between, and after a kill -9 of it.
	kill("supernats")
	started(5)
	call("supervisor.stopProcessGroup")
	call("supervisor.removeProcessGroup")
	call("supervisor.addProcessGroup")
	started(6)

	// A reload starts every process again.
	s.MustCtl(t, "reload")
	started(7)
	time.Sleep(3 * time.Second) // longer than it takes to compare
	if n := losses(); n != 1 {
		t.Errorf("%d losses are reported, want 1", n)
	}
}
