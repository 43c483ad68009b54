package bridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/schematest"
	"supernats/schema/stream/streamtest"
)

// While NATS is away the bridge is killed again and again: what it answered is in
// its spool, and gets into the stream once and in order.
func TestKilledDuringAnOutage(t *testing.T) {
	t.Parallel()
	const rounds, each = 10, 100
	nats := streamtest.Start(t)
	nats.Stop()
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--host", "web1"))
	for round := range rounds {
		var data []string
		for i := range each {
			data = append(data, fmt.Sprint(round*each+i))
		}
		if err := s.SendRemote("n", data...); err != nil {
			t.Fatal(err)
		}
		s.ReplaceProgram(t, "supernats")
	}
	nats.Restart()
	subject := schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "n"}.String()
	msgs := waitStored(t, nats.JetStream(), subject, rounds*each)
	for i, m := range msgs {
		if e := event(t, m); *e.Data != fmt.Sprint(i) {
			t.Fatalf("event %d is %q", i, *e.Data)
		}
	}
	if len(msgs) != rounds*each {
		t.Errorf("%d events are stored, %d were sent", len(msgs), rounds*each)
	}
}

// What supervisord's small buffer dropped is reported exactly.
func TestOverflowIsCounted(t *testing.T) {
	t.Parallel()
	const sent = 1000
	nats := streamtest.Start(t)
	address := freeAddress(t)
	s := supervisordtest.Start(t, small(t, "--nats-url", nats.URL, "--host", "web1", "--listen", address))
	js := nats.JetStream()
	if err := s.SendRemote("first", "x"); err != nil {
		t.Fatal(err)
	}
	waitStored(t, js, schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "first"}.String(), 1)
	data := make([]string, sent)
	if err := s.SendRemote("burst", data...); err != nil {
		t.Fatal(err)
	}
	lost := addUp(t, s, js, "burst", sent)
	counted := scrape(t, address, "supernats_bridge_lost_events_total")
	if got := counted[`supernats_bridge_lost_events_total{cause="supervisord-buffer"}`]; got != float64(lost) {
		t.Errorf("%d are reported as lost, the metrics say %v", lost, counted)
	}
}

// addUp waits until what is stored of the events of one type, and what is reported
// as lost, are all that was sent; supervisord's log knows too what it dropped.
func addUp(t *testing.T, s *supervisordtest.Supervisord, js jetstream.JetStream, typ string, sent uint64) (lost uint64) {
	t.Helper()
	subject := schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: typ}.String()
	var kept uint64
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		kept, lost = uint64(pending(js, subject)), 0
		for _, m := range stored(t, js, schema.BridgeSubject("web1", schema.BridgeLoss)) {
			schematest.ValidateDocument(t, "bridge", m.Data())
			ce, err := schema.Unmarshal[*schema.Loss](m.Data())
			if err != nil || ce.Data.Cause != "supervisord-buffer" || ce.Data.Pool != "supernats" ||
				ce.Data.LastPoolSerial == nil {
				t.Fatalf("%v\n%s", err, m.Data())
			}
			lost += ce.Data.Count
		}
		return kept+lost >= sent
	}, "events and losses to add up to %d", sent)
	time.Sleep(1500 * time.Millisecond) // nothing more is reported
	if now := pending(js, subject); uint64(now) != kept {
		t.Errorf("%d are stored, and then %d", kept, now)
	}
	if kept+lost != sent || lost == 0 {
		t.Errorf("%d are stored and %d reported as lost, %d were sent", kept, lost, sent)
	}
	if n := strings.Count(s.Log(), "event buffer overflowed"); uint64(n) != lost {
		t.Errorf("%d are reported as lost, supervisord's log has %d", lost, n)
	}
	t.Logf("%d stored, %d lost", kept, lost)
	return lost
}

// small is the section with a buffer of ten, for remote events alone.
func small(t *testing.T, flags ...string) string {
	return strings.NewReplacer("buffer_size=65536", "buffer_size=10", "events=EVENT", "events=REMOTE_COMMUNICATION").Replace(conf(t, flags...))
}

// What supervisord's buffer did not hold while no bridge was running is counted too.
func TestOverflowWhileAway(t *testing.T) {
	t.Parallel()
	const sent = 1000
	burst := make([]string, sent)
	for _, tc := range []struct {
		name string
		away func(t *testing.T, s *supervisordtest.Supervisord)
	}{
		{name: "stopped", away: func(t *testing.T, s *supervisordtest.Supervisord) {
			s.MustCtl(t, "stop", "supernats:supernats")
			if err := s.SendRemote("burst", burst...); err != nil {
				t.Fatal(err)
			}
			s.MustCtl(t, "start", "supernats:supernats")
		}},
		{name: "killed", away: func(t *testing.T, s *supervisordtest.Supervisord) {
			s.KillProgram(t, "supernats")
			if err := s.SendRemote("burst", burst...); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "killed while it is busy, again and again", away: func(t *testing.T, s *supervisordtest.Supervisord) {
			for i := 0; i < sent; i += 100 {
				if err := syscall.Kill(s.ProcessID(t, "supernats"), syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				if err := s.SendRemote("burst", burst[:100]...); err != nil {
					t.Fatal(err)
				}
				s.ReplaceProgram(t, "supernats")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nats := streamtest.Start(t)
			s := supervisordtest.Start(t, small(t, "--nats-url", nats.URL, "--host", "web1"))
			if err := s.SendRemote("first", "x"); err != nil {
				t.Fatal(err)
			}
			waitStored(t, nats.JetStream(), schema.Subject{
				Host: "web1", Event: schema.RemoteCommunication, Type: "first",
			}.String(), 1)
			tc.away(t, s)
			addUp(t, s, nats.JetStream(), "burst", sent)
		})
	}
}

// So is what it did not hold before the first event of its life was read, be the
// spool a new one or not.
func TestOverflowAtStart(t *testing.T) {
	t.Parallel()
	const sent = 1000
	nats := streamtest.Start(t)
	js := nats.JetStream()
	// A file is in the way of the spool until the buffer has overflowed.
	dir := filepath.Join(t.TempDir(), "not", "yet")
	section := small(t, "--nats-url", nats.URL, "--host", "web1", "--spool-dir", dir)
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := supervisordtest.Start(t, section)
	if err := s.SendRemote("burst", make([]string, sent)...); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	addUp(t, s, js, "burst", sent)
}

// A spool that cannot be made yet is no reason to exit: it is tried again, and
// supervisord buffers meanwhile.
func TestSpoolComesLater(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "yet")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil { // a file is in the way
		t.Fatal(err)
	}
	s, js := startWeb1(t, "", "--spool-dir", dir)
	if err := s.SendRemote("n", "0", "1", "2"); err != nil {
		t.Fatal(err)
	}
	pid := s.ProcessID(t, "supernats")
	if err := os.Remove(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	waitStored(t, js, schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "n"}.String(), 3)
	if now := s.ProcessID(t, "supernats"); now != pid {
		t.Errorf("the bridge had pid %d and has %d", pid, now)
	}
}

// `supernats-bridge spool` shows what waits while a bridge is running on it.
func TestSpoolCommand(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	nats.Stop()
	dir := t.TempDir()
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--host", "web1", "--spool-dir", dir))
	if err := s.SendRemote("n", "first", "last\nof two"); err != nil {
		t.Fatal(err)
	}
	spool := func(flags ...string) string {
		out, err := exec.Command(program, append([]string{"spool", "--spool-dir", dir, "--host", "web1"}, flags...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	var events []*schema.Event
	supervisordtest.Wait(t, 10*time.Second, func() bool {
		if _, err := os.Stat(filepath.Join(dir, "checkpoint")); err != nil {
			return false
		}
		events = nil
		for line := range strings.Lines(spool("--dump")) {
			if ce, err := codec.UnmarshalEvent([]byte(line)); err == nil && ce.Data.Type == "n" {
				events = append(events, ce.Data)
			}
		}
		return len(events) == 2
	}, "two events in the spool")
	if *events[0].Data != "first" || *events[1].Data != "last\nof two" {
		t.Errorf("events %q and %q", *events[0].Data, *events[1].Data)
	}
	for _, want := range []string{
		"spool      " + dir + "\n", "segments   1\n", " waiting for JetStream\n", "oldest     1  20", "newest     ",
	} {
		if text := spool(); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	none := exec.Command(program, "spool", "--spool-dir", dir+"/none")
	if out, _ := none.CombinedOutput(); none.ProcessState.ExitCode() != 1 ||
		!strings.Contains(string(out), "there is no spool") {
		t.Errorf("exit code %d\n%s", none.ProcessState.ExitCode(), out)
	}
}
