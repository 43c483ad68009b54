package bridge

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/bridge/ledger"
	"supernats/bridge/spool/spooltest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// runningBridge is a bridge, and the supervisord that talks to it.
type runningBridge struct {
	*Bridge
	t    *testing.T
	in   *io.PipeWriter
	out  *io.PipeReader
	stop context.CancelFunc
	done chan error
}

func startBridge(t *testing.T, cfg Config) *runningBridge {
	t.Helper()
	b, err := New(cfg, testBoot, "test", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	in, toBridge := io.Pipe()
	fromBridge, out := io.Pipe()
	r := &runningBridge{Bridge: b, t: t, in: toBridge, out: fromBridge, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- b.Run(ctx, in, out) }()
	r.expect("READY\n")
	return r
}

func (r *runningBridge) expect(want string) {
	r.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r.out, got); err != nil || string(got) != want {
		r.t.Fatalf("%q, %v; want %q", got, err, want)
	}
}

// event hands an event over and waits for its answer.
func (r *runningBridge) event(serial int) {
	r.t.Helper()
	payload := fmt.Sprintf("processname:p%d groupname:g from_state:RUNNING expected:0 pid:%d", serial%7, 1000+serial)
	if _, err := fmt.Fprintf(r.in, "ver:3.0 server:supervisor serial:%d pool:supernats poolserial:%d eventname:PROCESS_STATE_EXITED len:%d\n%s",
		serial, serial, len(payload), payload); err != nil {
		r.t.Fatal(err)
	}
	r.expect("RESULT 2\nOKREADY\n")
}

// end stops the bridge.
func (r *runningBridge) end() {
	r.t.Helper()
	if err := r.in.Close(); err != nil {
		r.t.Error(err)
	}
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
	r.stop()
	_ = r.out.Close()
}

// inStream returns the serials of the events of a host, and how many events it reports
// as lost, by cause.
func inStream(t *testing.T, server *streamtest.Server, host string) (serials []uint64, lost map[string]uint64) {
	t.Helper()
	lost = map[string]uint64{}
	for _, m := range streamtest.Stored(t, server.JetStream(), stream.Events,
		"supervisor.event."+host+".>", schema.BridgeSubject(host, schema.BridgeLoss)) {
		if strings.HasPrefix(m.Subject(), schema.BridgePrefix) {
			ce, err := schema.Unmarshal[*schema.Loss](m.Data())
			if err != nil {
				t.Fatal(err)
			}
			lost[ce.Data.Cause] += ce.Data.Count
			continue
		}
		ce, err := codec.UnmarshalEvent(m.Data())
		if err != nil {
			t.Fatal(err)
		}
		serials = append(serials, ce.Data.Serial)
	}
	return serials, lost
}

// damage does something to one file of a spool, and says what.
func damage(t *testing.T, r *rand.Rand, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := entries[r.IntN(len(entries))].Name()
	if r.IntN(2) == 0 { // it is the largest file that is hit most often
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".segment") {
				name = e.Name()
			}
		}
	}
	return spooltest.Damage(t, r, dir, name)
}

// A bridge is killed with events in its spool, a file of that is damaged at random, and
// the next bridge, which may be stopped at once, publishes what is left of them. What
// is missing is reported as lost, exactly and by the right cause.
func TestDamagedSpool(t *testing.T) {
	t.Parallel()
	const events = 80
	trials := 60
	if testing.Short() {
		trials = 10
	}
	server := streamtest.Start(t)
	cfg := goodConfig()
	cfg.SpoolDir, cfg.SpoolSync.every = t.TempDir(), -1
	cfg.NATS = natsconn.Settings{URL: "nats://127.0.0.1:1"}
	cfg.StartedTogether = true
	cfg.Drain = 0
	first := startBridge(t, cfg)
	for serial := 1; serial <= events; serial++ {
		first.event(serial)
	}
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(cfg.SpoolDir)); err != nil {
		t.Fatal(err)
	}
	first.end()

	for seed := range uint64(trials) {
		r := rand.New(rand.NewPCG(seed, 2))
		cfg := cfg
		cfg.Host, cfg.SpoolDir = fmt.Sprint("h", seed), t.TempDir()
		cfg.NATS.URL, cfg.Drain = server.URL, schema.Duration(20*time.Second)
		if err := os.CopyFS(cfg.SpoolDir, os.DirFS(killed)); err != nil {
			t.Fatal(err)
		}
		how := damage(t, r, cfg.SpoolDir)
		next := startBridge(t, cfg)
		next.event(events + 1)
		next.event(events + 2)
		next.end()

		got, lost := inStream(t, server, cfg.Host)
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("seed %d, %s: out of order or double: %d", seed, how, got)
		}
		missing := uint64(events + 2 - len(got))
		if missing != lost[ledger.CauseCorrupt] || lost[ledger.CauseBuffer]+lost[ledger.CauseFull] > 0 {
			t.Errorf("seed %d, %s: %d events are missing, reported are %v", seed, how, missing, lost)
		}
	}
}
