package bridge_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
// more sections, and a server of its own to which it publishes.
func startWeb1(tb testing.TB, sections string, flags ...string) (*supervisordtest.Supervisord, jetstream.JetStream) {
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

// freeAddress returns an address that nobody listens on.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get returns status and body, 0 if nobody answers.
func get(tb testing.TB, url string) (status int, body string) {
	tb.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// scrape returns the values whose names begin with prefix, by name and labels as
// they are written; nil if nobody answers.
func scrape(tb testing.TB, address, prefix string) map[string]float64 {
	tb.Helper()
	status, body := get(tb, "http://"+address+"/metrics")
	if status == 0 {
		return nil
	}
	if status != http.StatusOK {
		tb.Fatalf("status %d\n%s", status, body)
	}
	values := map[string]float64{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, prefix) {
			v, err := strconv.ParseFloat(line[i+1:], 64)
			if err != nil {
				tb.Fatal(err)
			}
			values[line[:i]] = v
		}
	}
	return values
}

// waitValue scrapes until a metric has a value.
func waitValue(tb testing.TB, address, name string, want float64) {
	tb.Helper()
	var got map[string]float64
	supervisordtest.Wait(tb, 30*time.Second, func() bool {
		got = scrape(tb, address, name)
		v, ok := got[name]
		return ok && v == want
	}, "%s to be %v", name, want)
}
