package eventlistener_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"supernats/bridge/eventlistener"
)

const (
	ready   = "READY\n"
	okReady = "RESULT 2\nOKREADY\n"
)

// envelope is an event as supervisord writes it (process.py, _eventEnvelope).
func envelope(event string, serial, length int, payload string) string {
	return fmt.Sprintf("ver:3.0 server:supervisor serial:%d pool:supernats poolserial:%d eventname:%s len:%d\n%s",
		serial, serial, event, length, payload)
}

// python counts characters.
func python(event string, serial int, payload string) string {
	return envelope(event, serial, utf8.RuneCountInString(payload), payload)
}

// goport counts bytes.
func goport(event string, serial int, payload string) string {
	return envelope(event, serial, len(payload), payload)
}

// recorder keeps each write apart.
type recorder struct {
	mu     sync.Mutex
	writes []string
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = append(r.writes, string(p))
	return len(p), nil
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.writes...)
}

// tester is what a *testing.T and a *rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// talk is a conversation inside of a synctest bubble: the test is supervisord.
type talk struct {
	t      tester
	in     net.Conn
	out    recorder
	cancel context.CancelFunc
	done   chan error

	mu       sync.Mutex
	payloads []string
	warnings []string
}

// start runs a listener in the bubble. accept may be nil.
func start(t tester, length eventlistener.Length, accept func(context.Context, []byte, []byte) error) *talk {
	t.Helper()
	theirs, ours := net.Pipe()
	c := &talk{t: t, in: theirs, done: make(chan error, 1)}
	l, err := eventlistener.New(eventlistener.Config{
		In: ours, Out: &c.out, Length: length,
		Accept: func(ctx context.Context, header, payload []byte) error {
			c.mu.Lock()
			c.payloads = append(c.payloads, string(payload))
			c.mu.Unlock()
			if accept != nil {
				return accept(ctx, header, payload)
			}
			return nil
		},
		Warn: func(msg string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.warnings = append(c.warnings, msg)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer ours.Close()
		c.done <- l.Run(ctx)
	}()
	return c
}

// send writes to the listener until it has read all of it.
func (c *talk) send(s string) {
	c.t.Helper()
	if _, err := c.in.Write([]byte(s)); err != nil {
		c.t.Fatalf("the listener does not read: %v", err)
	}
}

// accepted returns the payloads so far.
func (c *talk) accepted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.payloads...)
}

func (c *talk) warned() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.warnings...)
}

// end closes the stream and returns what Run returned.
func (c *talk) end() error {
	_ = c.in.Close()
	return <-c.done
}

// bubble runs a test in a synctest bubble: time stands still while anyone works.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}
