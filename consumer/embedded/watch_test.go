package embedded

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// watched is an embedded server with a watch over its store and a connection, as
// the daemon has them.
func watched(t *testing.T) (w *StoreWatch, js jetstream.JetStream) {
	t.Helper()
	limits := stream.DefaultLimits()
	limits.EventBytes = 16 << 20
	s, js, _ := running(t, Settings{
		Section: Config{Listen: "127.0.0.1:0", MaxStore: 16 << 20}, DataDir: t.TempDir(), StreamBytes: limits.Total(),
	})
	if err := stream.EnsureAll(t.Context(), js, limits); err != nil {
		t.Fatal(err)
	}
	w = NewStoreWatch(health.New(zerolog.Nop()), zerolog.Nop())
	w.SetServer(s)
	w.Use(js)
	return w, js
}

// publishes reports whether a stream takes a message within a time.
func publishes(t *testing.T, js jetstream.JetStream, subject string, within time.Duration) bool {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := js.Publish(ctx, subject, nil)
		cancel()
		if err == nil {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// A write that has failed once is no reason to be deaf until a restart: the
// embedded server is restarted, on its port, with all its data.
func TestEmbeddedIsStartedAgainAfterAWriteError(t *testing.T) {
	w, js := watched(t)
	url := w.server.URL()
	w.Look(t.Context())
	if wrong := w.health.Failures(); len(wrong) > 0 {
		t.Fatalf("before: %+v", wrong)
	}

	streamtest.FailWrite(t, js, w.server.opts.Load().StoreDir, stream.Events, "supervisor.event.x")
	if publishes(t, js, "supervisor.event.x", time.Second) {
		t.Fatal("the server has forgotten the error by itself")
	}
	w.Look(t.Context())
	if wrong := w.health.Failures(); len(wrong) != 1 || !strings.Contains(wrong[0].Text, "stores nothing any more") {
		t.Errorf("while it lasts: %+v", wrong)
	}
	if !publishes(t, js, "supervisor.event.x", 10*time.Second) {
		t.Error("it stores nothing after it was started again")
	}
	if s, err := js.Stream(t.Context(), stream.Events); err != nil || s.CachedInfo().State.FirstSeq != 1 || s.CachedInfo().State.Msgs < 10 {
		t.Errorf("what it had is gone: %+v, %v", s, err)
	}
	if now := w.server.URL(); now != url {
		t.Errorf("it is at %s, and was at %s", now, url)
	}
	w.Look(t.Context())
	if wrong := w.health.Failures(); len(wrong) > 0 {
		t.Errorf("after that: %+v", wrong)
	}
}

// While the disk is full the server is left alone, since it could not start; the
// reason is reported.
func TestEmbeddedWaitsForTheDisk(t *testing.T) {
	w, js := watched(t)
	running := w.server.running.Load()
	dir := w.server.opts.Load().StoreDir
	inTheWay := filepath.Join(dir, ".write-test")
	if err := os.MkdirAll(filepath.Join(inTheWay, "not-empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	streamtest.FailWrite(t, js, dir, stream.Alerts, "supervisor.alert.x")

	w.Look(t.Context())
	if wrong := w.health.Failures(); len(wrong) != 1 || !strings.Contains(wrong[0].Text, "nothing can be stored in "+dir) {
		t.Errorf("while the disk is full: %+v", wrong)
	}
	if w.server.running.Load() != running {
		t.Error("it was started again")
	}

	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	w.Look(t.Context())
	if !publishes(t, js, "supervisor.alert.x", 10*time.Second) {
		t.Error("it stores nothing after the disk has room again")
	}
}

// A store that was removed is there again, empty.
func TestEmbeddedAfterItsStoreWasRemoved(t *testing.T) {
	w, js := watched(t)
	if err := os.RemoveAll(w.server.opts.Load().StoreDir); err != nil {
		t.Fatal(err)
	}
	w.Look(t.Context())
	if w.server.restartReason() != "" {
		t.Fatal(w.server.restartReason())
	}
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // what was asked before it was away is never answered
		err = stream.EnsureAll(ctx, js, stream.Limits{Replicas: 1, EventBytes: 16 << 20})
		cancel()
		if err == nil {
			return
		}
	}
	t.Error(err)
}

// Restarts that do not help come ever more rarely.
func TestEmbeddedIsNotRestartedAllTheTime(t *testing.T) {
	w, _ := watched(t)
	for range 3 {
		before := w.server.running.Load()
		w.restart("test")
		if w.server.running.Load() == before {
			t.Fatal("it was not started again")
		}
		again := w.server.running.Load()
		w.restart("test")
		if w.server.running.Load() != again {
			t.Error("it was started again at once")
		}
		w.restarted = time.Now().Add(-w.pause)
	}
	if w.pause < 3*restartPause {
		t.Errorf("pause %v", w.pause)
	}
}

// A server that is not ours can only be restarted by a person: the fix asks for that.
func TestWriteErrorsOfAnotherServer(t *testing.T) {
	s := streamtest.Start(t)
	js := s.JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.Limits{Replicas: 1, EventBytes: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	h := health.New(zerolog.Nop())
	w := NewStoreWatch(h, zerolog.Nop())
	w.Use(js)
	troubles := func() []health.Trouble {
		w.tried = time.Time{}
		w.Look(t.Context())
		return h.Failures()
	}
	if list := troubles(); len(list) > 0 {
		t.Fatalf("before: %+v", list)
	}

	streamtest.FailWrite(t, js, s.Store(), stream.Parked, stream.ParkedSubject("x"))
	var list []health.Trouble
	for end := time.Now().Add(10 * time.Second); len(list) == 0 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		list = troubles()
	}
	if len(list) != 1 || !strings.Contains(list[0].Text, stream.Parked) || !strings.Contains(list[0].Fix, "restart that nats-server") {
		t.Errorf("after a write error: %+v", list)
	}

	s.Stop()
	s.Restart()
	for end := time.Now().Add(10 * time.Second); len(list) > 0 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		list = troubles()
	}
	if len(list) > 0 {
		t.Errorf("after a restart: %+v", list)
	}
}
