package bridge_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A burst as large as supervisord's buffer is stored whole, once, in order.
func TestBurst(t *testing.T) {
	t.Parallel()
	const n, size = 20_000, 200
	s, js := startWeb1(t, "")
	waitStored(t, js, stream.AllEvents, 1)
	text := make([]string, n)
	for i := range text {
		text[i] = fmt.Sprintf("%05d ", i) + strings.Repeat("x", size-6)
	}
	start := time.Now()
	for i := 0; i < n; i += 1000 {
		if err := s.SendRemote("burst", text[i:i+1000]...); err != nil {
			t.Fatal(err)
		}
	}
	subject := schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "burst"}.String()
	msgs := waitStored(t, js, subject, n)
	t.Logf("%d events in %v", n, time.Since(start))
	if len(msgs) != n {
		t.Fatalf("%d events are stored, %d were sent", len(msgs), n)
	}
	var last uint64
	for i, m := range msgs {
		e := event(t, m)
		if *e.Data != text[i] {
			t.Fatalf("event %d is %q, sent was %q", i, *e.Data, text[i])
		}
		if e.Serial <= last {
			t.Fatalf("event %d has serial %d after %d", i, e.Serial, last)
		}
		last = e.Serial
	}
}

// NATS comes after supervisord, goes and comes again: nothing is missing.
func TestNATSComesLate(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	nats.Stop()
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--host", "web1"))
	send := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := s.SendRemote("n", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(0, 50)
	nats.Restart()
	js := nats.JetStream()
	subject := schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "n"}.String()
	waitStored(t, js, subject, 50)
	nats.Stop()
	send(50, 100)
	nats.Restart()
	for i, m := range waitStored(t, nats.JetStream(), subject, 100) {
		if e := event(t, m); *e.Data != fmt.Sprint(i) {
			t.Fatalf("event %d is %q", i, *e.Data)
		}
	}
	if len(stored(t, nats.JetStream(), stream.AllEvents)) < 100 {
		t.Error("the events of the start are missing")
	}
}

const lively = `
[program:crasher]
command=sh -c "sleep 1.2; exit 3"

[program:killed]
command=sh -c "sleep 1.5; kill -SEGV $$"

[program:flapper]
command=sh -c "exit 7"
startretries=1

[program:my.app-weird*>é]
command=sh -c "echo 进程退出; sleep 2; exit 9"
stdout_events_enabled=true

[program:garbled]
command=sh -c "printf '\344\270\n'; exec sleep 1000"
stdout_events_enabled=true

[program:worker]
command=sleep 1000
numprocs=2
process_name=%(program_name)s_%(process_num)02d
`

// What the stream holds is what supervisord's own log says, over crashes, a stop
// and a start, a change of the configuration, a reload and a shutdown.
func TestStreamMatchesLog(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	section := conf(t, "--nats-url", nats.URL, "--host", "web1.example.com")
	s := supervisordtest.Start(t, lively+section)
	js := nats.JetStream()
	s.WaitLog(t, "gave up: flapper", 1)
	s.WaitLog(t, "exited: crasher", 2)
	s.WaitLog(t, "exited: my.app-weird*>é", 1)
	s.WaitLog(t, "exited: killed", 1)
	s.MustCtl(t, "stop", "worker:worker_00")
	s.MustCtl(t, "start", "worker:worker_00")
	if err := supervisordtest.WriteConf(s.Dir, "supervisor",
		lively+section+supervisordtest.Program("late", "sleep 1000")); err != nil {
		t.Fatal(err)
	}
	s.MustCtl(t, "update")
	s.WaitLog(t, "success: late", 1)
	quiet(t, s, js, 1)
	s.MustCtl(t, "reload")
	s.WaitLog(t, "exited: crasher", 5)
	s.WaitLog(t, "gave up: flapper", 2)
	quiet(t, s, js, 2)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	count := map[string]int{}
	serials := map[uint64]bool{}
	var boots []string
	var last uint64
	for _, m := range stored(t, js, stream.AllEvents) {
		schematest.ValidateDocument(t, "event", m.Data())
		e := event(t, m)
		if e.Host != "web1.example.com" || !strings.HasPrefix(m.Subject(), "supervisor.event.web1=2Eexample=2Ecom.") ||
			m.Subject() != e.Subject() {
			t.Errorf("event of host %q is on %s", e.Host, m.Subject())
		}
		if e.Serial <= last && last > 0 || serials[e.Serial] {
			t.Errorf("serial %d comes after %d", e.Serial, last)
		}
		serials[e.Serial], last = true, e.Serial
		if !slices.Contains(boots, e.Boot) {
			boots = append(boots, e.Boot)
		}
		switch e.Event {
		case schema.ProcessStateExited:
			count[fmt.Sprintf("exited %s %v", e.Process, *e.Expected)]++
		case schema.ProcessStateBackoff:
			count["exited "+e.Process+" false"]++
		case schema.ProcessStateFatal:
			count["gave up "+e.Process]++
		case schema.ProcessStateRunning:
			count[fmt.Sprintf("success %s", e.Process)]++
		case schema.ProcessLogStdout:
			count[strings.TrimSpace(*e.Data)]++
		}
	}
	if len(boots) != 1 {
		t.Errorf("boots %q, want one: a reload is the same supervisord", boots)
	}
	for _, text := range []string{"进程退出", `Undecodable: b'\xe4\xb8\n'`} {
		if count[text] == 0 {
			t.Errorf("no PROCESS_LOG says %q", text)
		}
		delete(count, text)
	}
	want := logged(s.Log())
	// A listener that is being stopped hears nothing, not of itself either.
	for key, n := range count {
		if strings.HasSuffix(key, "supernats") {
			continue
		}
		if want[key] != n {
			t.Errorf("the stream has %q %d times, supervisord's log %d times", key, n, want[key])
		}
		delete(want, key)
	}
	for key, n := range want {
		if !strings.HasSuffix(key, "supernats") {
			t.Errorf("the stream lacks %q, which supervisord's log has %d times", key, n)
		}
	}
	for _, key := range []string{
		"exited crasher false", "gave up flapper", "success my.app-weird*>é", "success late", "exited killed false",
	} {
		if count[key] == 0 {
			t.Errorf("the stream has no %q", key)
		}
	}
}

// quiet stops what dies by itself, and waits until the stream holds all events so
// far: those that supervisord has not delivered when it stops its listeners never
// arrive.
func quiet(t *testing.T, s *supervisordtest.Supervisord, js jetstream.JetStream, n int) {
	t.Helper()
	for _, name := range []string{"crasher", "killed", "my.app-weird*>é"} {
		_, _ = s.Ctl("stop", name) // an error if it is dead just now
	}
	if err := s.SendRemote("quiet", ""); err != nil {
		t.Fatal(err)
	}
	waitStored(t, js, schema.Subject{
		Host: "web1.example.com", Event: schema.RemoteCommunication, Type: "quiet",
	}.String(), n)
}

var logLine = regexp.MustCompile(`(?m) (exited|gave up|success): (\S+) (?:\(.*; (not )?expected\))?`)

// logged counts deaths and starts in supervisord's log.
func logged(log string) map[string]int {
	count := map[string]int{}
	for _, m := range logLine.FindAllStringSubmatch(log, -1) {
		key := m[1] + " " + m[2]
		if m[1] == "exited" {
			key += fmt.Sprintf(" %v", m[3] == "")
		}
		count[key]++
	}
	return count
}
