package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// period is how often the switch is pinged, watched how long it is looked at after something
// broke.
const (
	period  = 3 * time.Second
	watched = 4 * period
)

// deadSwitch is a dead man's switch that remembers its pings.
type deadSwitch struct {
	url string

	mu    sync.Mutex
	ok    []time.Time
	fails []string // reasons
}

func newSwitch(t *testing.T) *deadSwitch {
	t.Helper()
	s := &deadSwitch{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var said struct{ Reason string }
		_ = json.NewDecoder(r.Body).Decode(&said) // one without a reason is told by its path
		s.mu.Lock()
		defer s.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/fail") {
			s.fails = append(s.fails, said.Reason)
		} else {
			s.ok = append(s.ok, time.Now())
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/ping"
	return s
}

// lastOK is when it was last pinged.
func (s *deadSwitch) lastOK() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ok) == 0 {
		return time.Time{}
	}
	return s.ok[len(s.ok)-1]
}

func (s *deadSwitch) reasons() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.fails, "; ")
}

// awaitOK waits for a ping after some time.
func (s *deadSwitch) awaitOK(t *testing.T, after time.Time, what string) {
	t.Helper()
	supervisordtest.Wait(t, 90*time.Second, func() bool { return s.lastOK().After(after) }, "%s", what)
}

// checkStops checks that no ping comes later than two periods after now.
func (s *deadSwitch) checkStops(t *testing.T, what string) {
	t.Helper()
	begun := time.Now()
	time.Sleep(watched)
	if after := s.lastOK().Sub(begun); after > 2*period {
		t.Errorf("%s: it was pinged %s after that", what, after.Round(time.Millisecond))
	}
}

// config is one with a switch and a receiver by HTTP.
func (s *deadSwitch) config(t *testing.T, nats, hook string) string {
	t.Helper()
	return writeConfig(t, nats, nil, "", fmt.Sprintf(
		"watchdog: [{name: switch, url: %q, every: %s}]\nreceivers: [{name: hook, webhook: {url: %q}}]\n", s.url, period, hook))
}

// hook is a receiver that may refuse.
func hook(t *testing.T) (url string, refuses *atomic.Bool) {
	t.Helper()
	refuses = new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if refuses.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, refuses
}

// natsServer is one of its own process, on one port and one store for all its lives.
type natsServer struct {
	cmd  *exec.Cmd
	url  string
	args []string
}

func startNATSServer(t *testing.T) *natsServer {
	t.Helper()
	needPrograms(t)
	port := strconv.Itoa(streamtest.FreePort(t))
	n := &natsServer{url: "nats://127.0.0.1:" + port}
	n.args = []string{"-a", "127.0.0.1", "-p", port, "-c", storeConfig(t), "-l", filepath.Join(t.TempDir(), "log")}
	n.start(t)
	return n
}

func (n *natsServer) start(t *testing.T) {
	t.Helper()
	n.cmd = exec.Command(bin+"/nats-server", n.args...)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := n.cmd
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func (n *natsServer) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// startWatched runs NATS, and a daemon with one receiver that pings a switch.
func startWatched(t *testing.T) (n *natsServer, s *deadSwitch, refuses *atomic.Bool) {
	t.Helper()
	n, s = startNATSServer(t), newSwitch(t)
	url, refuses := hook(t)
	startDaemon(t, s.config(t, n.url, url), nil)
	s.awaitOK(t, time.Time{}, "the first ping")
	return n, s, refuses
}

// publishCrash has a notification sent.
func publishCrash(t *testing.T, js jetstream.JetStream, serial uint64) {
	t.Helper()
	e := &schema.Event{
		Event: schema.ProcessStateExited, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Pool: "supernats",
		Serial: serial, Group: "api", Process: fmt.Sprint("api_", serial), Expected: new(false),
	}
	b, err := schema.Marshal(e.Envelope(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := js.Publish(ctx, e.Subject(), b); err != nil {
		t.Fatal(err)
	}
}

// The switch is pinged for two periods at most after anything broke without which nobody is
// notified, and again once that is mended.
func TestWatchdogStopsWithinTwoPeriods(t *testing.T) {
	besideOthers(t)
	t.Run("NATS is killed", func(t *testing.T) {
		t.Parallel()
		n, s, _ := startWatched(t)
		n.signal(t, syscall.SIGKILL)
		s.checkStops(t, "NATS is killed")
		if got := s.reasons(); !strings.Contains(got, "NATS") {
			t.Errorf("reasons: %q", got)
		}
		_ = n.cmd.Wait()
		n.start(t)
		s.awaitOK(t, time.Now(), "a ping after NATS is back")
	})
	t.Run("NATS hangs", func(t *testing.T) {
		t.Parallel()
		n, s, _ := startWatched(t)
		n.signal(t, syscall.SIGSTOP)
		s.checkStops(t, "NATS hangs")
		n.signal(t, syscall.SIGCONT)
		s.awaitOK(t, time.Now(), "a ping after NATS continues")
	})
	t.Run("the only receiver refuses", func(t *testing.T) {
		t.Parallel()
		n, s, refuses := startWatched(t)
		refuses.Store(true)
		publishCrash(t, connect(t, n.url), 1)
		s.checkStops(t, "the receiver refuses")
		if got := s.reasons(); !strings.Contains(got, "hook accepts no notifications") || !strings.Contains(got, "503") {
			t.Errorf("reasons: %q", got)
		}
		refuses.Store(false)
		s.awaitOK(t, time.Now(), "a ping after the receiver accepts")
	})
	t.Run("records cannot be written", func(t *testing.T) {
		t.Parallel()
		n, s, _ := startWatched(t)
		js := connect(t, n.url)
		bucket, err := js.Stream(t.Context(), stream.OfBucket(stream.StateBucket))
		if err != nil {
			t.Fatal(err)
		}
		full := bucket.CachedInfo().Config
		full.MaxBytes, full.Discard = 1, jetstream.DiscardNew
		if _, err := js.UpdateStream(t.Context(), full); err != nil {
			t.Fatal(err)
		}
		publishCrash(t, js, 1)
		s.checkStops(t, "the bucket of states takes nothing")
		// Whoever notices first: the write that fails, or the watch on the room that is left.
		if got := s.reasons(); !strings.Contains(got, "maximum bytes exceeded") && !strings.Contains(got, "refuses new records") {
			t.Errorf("reasons: %q", got)
		}
		if _, err := js.UpdateStream(t.Context(), bucket.CachedInfo().Config); err != nil {
			t.Fatal(err)
		}
		s.awaitOK(t, time.Now(), "a ping after the bucket takes records")
	})
	t.Run("the bucket of records is removed, and is back by itself", func(t *testing.T) {
		t.Parallel()
		n, s, _ := startWatched(t)
		js := connect(t, n.url)
		if err := js.DeleteKeyValue(t.Context(), stream.StateBucket); err != nil {
			t.Fatal(err)
		}
		publishCrash(t, js, 1)
		s.awaitOK(t, time.Now().Add(period), "a ping after that")
	})
	t.Run("the active one of two is killed, or hangs", func(t *testing.T) {
		t.Parallel()
		n := startNATSServer(t)
		url, _ := hook(t)
		first, second := newSwitch(t), newSwitch(t)
		active := startDaemon(t, first.config(t, n.url, url), nil)
		first.awaitOK(t, time.Time{}, "the first ping")
		startDaemon(t, second.config(t, n.url, url), nil)
		time.Sleep(2 * period)
		if at := second.lastOK(); !at.IsZero() || second.reasons() != "" {
			t.Errorf("the one that stands by pings: %s, %q", at, second.reasons())
		}

		if err := active.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		second.awaitOK(t, begun, "a ping of the one that takes over")
		if err := active.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		first.checkStops(t, "it has hung, and another one is active")

		active.kill()
		begun = time.Now()
		second.awaitOK(t, begun, "a ping while the other one is dead")
		if first.lastOK().After(begun) {
			t.Error("a dead one pings")
		}
	})
}
