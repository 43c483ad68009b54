package bridge_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
	"supernats/schema/schematest"
)

// What happens while supervisord has no section of the bridge is reported, and
// nothing is where the events arrive: after a stop and a start, a kill -9, a reload.
func TestSectionRemovedAndAdded(t *testing.T) {
	t.Parallel()
	s, js := startWeb1(t, `
[program:web]
command=sleep 1000

[program:api]
command=sleep 1000

[program:job]
command=sh -c "exec sleep 1000"
autostart=false
`)
	started := func(n int) {
		t.Helper()
		waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), n)
		waitStored(t, js, schema.SnapshotSubject("web1"), n)
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
	s.ReplaceProgram(t, "web")
	s.MustCtl(t, "start", "supernats")
	started(2)
	s.KillProgram(t, "supernats")
	s.ReplaceProgram(t, "web")
	started(3)

	// Nobody listens.
	call("supervisor.stopProcessGroup")
	s.ReplaceProgram(t, "web")
	call("supervisor.removeProcessGroup")
	s.ReplaceProgram(t, "api")
	s.MustCtl(t, "start", "job")
	call("supervisor.addProcessGroup")
	started(4)
	msgs := waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeLoss), 1)
	schematest.ValidateDocument(t, "bridge", msgs[0].Data())
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
	s.KillProgram(t, "supernats")
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
