package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// fleet publishes into the stream what bridges of several hosts would.
type fleet struct {
	js    jetstream.JetStream
	hosts []*fleetHost

	mu      sync.Mutex
	crashed []crash
}

// fleetHost is one supervisord. Its events are published one after the other.
type fleetHost struct {
	name, boot string
	processes  []*fleetProcess

	mu     sync.Mutex
	serial uint64
	last   time.Time
	silent bool // what happens waits in the spool
	spool  []*nats.Msg
}

type fleetProcess struct {
	host        *fleetHost
	group, name string

	mu    sync.Mutex // held while it is down
	state string
	pid   int
}

// newFleet makes hosts with some groups of processes each, all of them RUNNING, in
// a stream that is created if it is missing.
func newFleet(tb testing.TB, js jetstream.JetStream, hosts, groups, processes int) *fleet {
	tb.Helper()
	if err := stream.EnsureAll(tb.Context(), js, stream.DefaultLimits()); err != nil {
		tb.Fatal(err)
	}
	f := &fleet{js: js}
	for h := range hosts {
		host := &fleetHost{name: fmt.Sprintf("web%d", h+1), boot: fmt.Sprintf("%016x", *seed<<8+uint64(h))}
		for g := range groups {
			for range processes {
				n := len(f.hosts)*groups*processes + len(host.processes)
				host.processes = append(host.processes, &fleetProcess{host: host, group: fmt.Sprintf("app%d", g), name: crashName3(n), pid: 1000 + n})
			}
		}
		f.hosts = append(f.hosts, host)
	}
	for _, p := range f.processes() {
		for _, state := range []string{"STARTING", "RUNNING"} {
			if err := f.change(tb.Context(), p, state); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return f
}

func (f *fleet) processes() (all []*fleetProcess) {
	for _, h := range f.hosts {
		all = append(all, h.processes...)
	}
	return all
}

// event publishes an event of a host as its bridge does, or keeps it while the host
// is silent. Times are a millisecond apart at least, as mails tell them.
func (f *fleet) event(ctx context.Context, h *fleetHost, e *schema.Event) (*schema.CloudEvent[*schema.Event], error) {
	ctx = context.WithoutCancel(ctx) // what has happened is published, though the work ends
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serial++
	e.Host, e.Server, e.Boot, e.Serial, e.Pool, e.PoolSerial = h.name, "supervisor", h.boot, h.serial, "supernats", h.serial
	at := time.Now().UTC().Truncate(time.Microsecond)
	if next := h.last.Add(time.Millisecond); at.Before(next) {
		at = next
	}
	h.last = at
	ce := e.Envelope(at)
	data, err := schema.Marshal(ce)
	if err != nil {
		return nil, err
	}
	m := message(e.Subject(), ce.ID, data)
	if h.silent {
		h.spool = append(h.spool, m)
		return ce, nil
	}
	_, err = f.js.PublishMsg(ctx, m)
	return ce, err
}

// message is one as the bridge publishes it.
func message(subject, id string, data []byte) *nats.Msg {
	return &nats.Msg{
		Subject: subject, Data: data,
		Header: nats.Header{jetstream.MsgIDHeader: {id}, stream.HeaderContentType: {schema.ContentType}},
	}
}

// silence cuts a host off from NATS.
func (h *fleetHost) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = true
}

// talk lets a host publish what has happened meanwhile.
func (f *fleet) talk(ctx context.Context, h *fleetHost) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.spool {
		if _, err := f.js.PublishMsg(ctx, m); err != nil {
			return err
		}
	}
	h.silent, h.spool = false, nil
	return nil
}

// change publishes that a process has another state.
func (f *fleet) change(ctx context.Context, p *fleetProcess, state string) error {
	e := &schema.Event{Event: "PROCESS_STATE_" + state, Group: p.group, Process: p.name, FromState: p.state, PID: p.pid}
	if state == "EXITED" {
		expected, code := false, 3
		e.Expected, e.Exit = &expected, &schema.Exit{Code: &code}
		e.Log = &schema.Log{Stderr: "last words of " + p.name + "\n"}
		p.pid++
	}
	ce, err := f.event(ctx, p.host, e)
	if err != nil {
		return err
	}
	p.state = state
	if state == "EXITED" {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.crashed = append(f.crashed, crash{id: ce.ID, process: p.name, read: ce.Time.Time})
	}
	return nil
}

// crash lets a process exit and, after a time, run again. One that is down already
// is left alone.
func (f *fleet) crash(ctx context.Context, p *fleetProcess, down time.Duration) error {
	if !p.mu.TryLock() {
		return nil
	}
	defer p.mu.Unlock()
	if err := f.change(ctx, p, "EXITED"); err != nil {
		return err
	}
	return f.up(ctx, p, down)
}

// stop stops a process as an operator does, and starts it again.
func (f *fleet) stop(ctx context.Context, p *fleetProcess, down time.Duration) error {
	if !p.mu.TryLock() {
		return nil
	}
	defer p.mu.Unlock()
	for _, state := range []string{"STOPPING", "STOPPED"} {
		if err := f.change(ctx, p, state); err != nil {
			return err
		}
	}
	return f.up(ctx, p, down)
}

// up starts a process again, though the work may have ended.
func (f *fleet) up(ctx context.Context, p *fleetProcess, down time.Duration) error {
	pause(ctx, down)
	for _, state := range []string{"STARTING", "RUNNING"} {
		if err := f.change(ctx, p, state); err != nil {
			return err
		}
	}
	return nil
}

// tick lets all hosts send TICKs until ctx ends.
func (f *fleet) tick(ctx context.Context, every time.Duration) error {
	for pause(ctx, every) {
		when := time.Now().Unix()
		for _, h := range f.hosts {
			if _, err := f.event(ctx, h, &schema.Event{Event: schema.Tick5, When: &when}); err != nil {
				return err
			}
		}
	}
	return nil
}

// known are the crashes so far.
func (f *fleet) known() []crash {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]crash(nil), f.crashed...)
}

// pause reports whether ctx continues after it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// between draws a time.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}
