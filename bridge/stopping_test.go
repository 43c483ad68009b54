package bridge_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream/streamtest"
)

const idle = `
[program:web]
command=sleep 1000
`

// lastWord waits for the n-th record of a stop and returns its state of supervisord.
func lastWord(t *testing.T, js jetstream.JetStream, n int) string {
	t.Helper()
	return bridgeRecord(t, waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStopping), n)[n-1]).SupervisorState
}

func bridgeRecord(t *testing.T, m jetstream.Msg) *schema.Bridge {
	t.Helper()
	schematest.ValidateDocument(t, "bridge", m.Data())
	ce, err := schema.Unmarshal[*schema.Bridge](m.Data())
	if err != nil {
		t.Fatal(err)
	}
	return ce.Data
}

// The last record of a bridge says whether its supervisord goes down, whether or not
// an event reports it.
func TestLastRecordSaysWhy(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	js := nats.JetStream()
	section := conf(t, "--nats-url", nats.URL, "--host", "web1")
	listening := func(n int) {
		t.Helper()
		waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), n)
	}
	stops, starts := 0, 0
	check := func(what, want string) {
		t.Helper()
		stops++
		if got := lastWord(t, js, stops); got != want {
			t.Errorf("%s: supervisord is %q, want %q", what, got, want)
		}
	}

	for range 3 {
		s := supervisordtest.Start(t, idle+section)
		starts++
		listening(starts)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		check("SIGTERM", "STOPPING")
	}

	s := supervisordtest.Start(t, idle+section)
	starts++
	listening(starts)
	s.MustCtl(t, "stop", "supernats")
	check("stop of the section", "RUNNING")
	s.MustCtl(t, "start", "supernats")
	starts++
	listening(starts)
	s.MustCtl(t, "reload")
	check("reload", "STOPPING")
	starts++
	listening(starts)
	s.MustCtl(t, "shutdown")
	check("shutdown", "STOPPING")
}

// Without XML-RPC, and under a shell that does not pass signals on: a supervisord
// that is killed is seen to be gone, and nothing is reported where it cannot be known.
func TestLastRecordWithoutServer(t *testing.T) {
	nats := streamtest.Start(t)
	js := nats.JetStream()
	section := conf(t, "--nats-url", nats.URL, "--host", "web1")
	section = strings.Replace(section, "command=", "command=env -u SUPERVISOR_SERVER_URL ", 1)

	s := supervisordtest.Start(t, idle+section)
	waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), 1)
	s.MustCtl(t, "stop", "supernats")
	if got := lastWord(t, js, 1); got != "" {
		t.Errorf("stop of the section: supervisord is %q", got)
	}
	s.MustCtl(t, "start", "supernats")
	waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), 2)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := lastWord(t, js, 2); got != "GONE" {
		t.Errorf("kill -9: supervisord is %q", got)
	}
}

// All processes of a service are sent SIGTERM at once, and the bridge is the first.
func TestLastRecordOfAService(t *testing.T) {
	s, js := startWeb1(t, idle)
	waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), 1)
	if err := syscall.Kill(s.ProcessID(t, "supernats"), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := lastWord(t, js, 1); got != "STOPPING" {
		t.Errorf("supervisord is %q", got)
	}
}
