package service

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/health"
)

// manager is a service manager that keeps what it is notified of.
type manager struct {
	conn  *net.UnixConn
	mu    sync.Mutex
	notes []string
}

func newManager(t *testing.T, watchdog string) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdog)
	m := &manager{conn: conn}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.notes = append(m.notes, strings.Split(string(b[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close() })
	return m
}

func (m *manager) lines() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.notes)
}

func (m *manager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = nil
}

func (m *manager) received(prefix string) bool {
	return slices.ContainsFunc(m.lines(), func(l string) bool { return strings.HasPrefix(l, prefix) })
}

// until waits for a line.
func (m *manager) until(t *testing.T, prefix string) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !m.received(prefix); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s was not received, but %q", prefix, m.lines())
		}
	}
}

// newService returns a service of a daemon without troubles, which is not ready yet.
func newService() (s *Service, h *health.Health, ready chan struct{}) {
	h = health.New(zerolog.Nop())
	ready = make(chan struct{})
	return New(Options{
		Health: h, Ready: ready, Summary: func() string { return "6 rules, 0 receivers" }, Log: zerolog.Nop(),
	}), h, ready
}

// A daemon that is stuck is not alive for its service manager, and /readyz names the part.
func TestWatchdogOfAStuckDaemon(t *testing.T) {
	m := newManager(t, "150000")
	s, h, ready := newService()
	s.stuckAfter = time.Second
	close(ready)
	beat, leave := s.Progress.Enter(ReadingEvents)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	m.until(t, "READY=1")
	m.until(t, "WATCHDOG=1")

	m.until(t, "STATUS=not ready: reading events has made no progress since ")
	m.forget()
	time.Sleep(300 * time.Millisecond)
	if m.received("WATCHDOG=1") {
		t.Errorf("it is alive: %q", m.lines())
	}
	if list := h.Failures(); len(list) != 1 || list[0].Cause != "stuck" {
		t.Errorf("%+v", list)
	}

	beat()
	m.until(t, "WATCHDOG=1")
	m.until(t, "STATUS=reading events: 6 rules, 0 receivers")
	leave()
	m.until(t, "STATUS=standing by")

	ending, ended := context.WithCancel(t.Context())
	over := make(chan struct{})
	go s.WatchEnd(ending, over)
	ended()
	m.until(t, "STATUS=not ready: ending the work has made no progress since ")
	close(over)
	m.forget()
	m.until(t, "WATCHDOG=1")
	time.Sleep(1200 * time.Millisecond)
	if list := h.Failures(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	cancel()
	<-done
	m.until(t, "STOPPING=1")
}

// NATS that is away keeps no machine from starting, and the status shows it.
func TestReadyWithoutNATS(t *testing.T) {
	m := newManager(t, "")
	s, _, _ := newService()
	s.readyPatience = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = s.Run(ctx) }()

	s.Reloading()() // is not reported, since READY would end the start
	if m.received("READY") || m.received("RELOADING") {
		t.Errorf("%q", m.lines())
	}
	m.until(t, "READY=1")
	if !m.received("STATUS=not ready: streams and buckets cannot be reached yet") || m.received("WATCHDOG") {
		t.Errorf("%q", m.lines())
	}
}
