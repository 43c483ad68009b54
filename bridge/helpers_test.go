package bridge_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/program/programtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// program is supernats-bridge, built once for all tests.
var program string

func TestMain(m *testing.M) {
	built := func(dir string) { program = filepath.Join(dir, "supernats-bridge") }
	os.Exit(programtest.Main(m, built, "./cmd/supernats-bridge"))
}

// conf is the one section that `supernats-bridge conf` prints for the flags, with a
// spool of its own.
func conf(tb testing.TB, flags ...string) string {
	tb.Helper()
	out, err := exec.Command(program, append([]string{
		"conf", "--one-section", "--stderr-logfile", stderrFile, "--spool-dir", tb.TempDir(),
	}, flags...)...).Output()
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

// startWeb1 runs the host web1 for the length of a test: a supervisord with the bridge and
// more sections, whose bridge publishes to a server of its own, js.
func startWeb1(tb testing.TB, sections string, flags ...string) (s *supervisordtest.Supervisord, js jetstream.JetStream) {
	tb.Helper()
	server := streamtest.Start(tb)
	flags = append([]string{"--nats-url", server.URL, "--host", "web1"}, flags...)
	return supervisordtest.Start(tb, conf(tb, flags...)+sections), server.JetStream()
}

// stored reads all that the stream holds below subject; nothing if there is no stream yet.
func stored(tb testing.TB, js jetstream.JetStream, subject string) []jetstream.Msg {
	tb.Helper()
	return streamtest.Stored(tb, js, stream.Events, subject)
}

// waitStored waits until the stream holds n messages below subject.
func waitStored(tb testing.TB, js jetstream.JetStream, subject string, n int) []jetstream.Msg {
	tb.Helper()
	supervisordtest.Wait(tb, 60*time.Second, func() bool { return pending(js, subject) >= n }, "%d messages on %s", n,
		subject)
	return stored(tb, js, subject)
}

// pending counts what the stream holds below subject.
func pending(js jetstream.JetStream, subject string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return 0
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return 0
	}
	n := uint64(0)
	for _, c := range info.State.Subjects {
		n += c
	}
	return int(n)
}

func event(tb testing.TB, m jetstream.Msg) *schema.Event {
	tb.Helper()
	ce, err := codec.UnmarshalEvent(m.Data())
	if err != nil {
		tb.Fatal(err)
	}
	return ce.Data
}

// stderrFile is where the bridge's log is to be, for supervisord.
const stderrFile = "%(here)s/supernats-stderr.log"

// stderrOf is where the bridge's log is.
func stderrOf(tb testing.TB, s *supervisordtest.Supervisord) string {
	tb.Helper()
	files, err := filepath.Glob(s.Dir + "/supernats-stderr*")
	if err != nil || len(files) != 1 {
		tb.Fatalf("%v: logs of the bridge are %q", err, files)
	}
	return files[0]
}
