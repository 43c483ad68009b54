package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/alerts"
	"supernats/consumer/config"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// fleet is a server with all streams, and the events of its hosts.
type fleet struct {
	*testing.T
	server *streamtest.Server
	js     jetstream.JetStream

	mu      sync.Mutex
	serials map[string]uint64
}

// newFleet runs a server; change may alter it before the streams are made.
func newFleet(t *testing.T, change ...func(jetstream.JetStream)) *fleet {
	t.Helper()
	f := &fleet{T: t, server: streamtest.Start(t), serials: map[string]uint64{}}
	f.js = f.server.JetStream()
	for _, c := range change {
		c(f.js)
	}
	if err := stream.EnsureAll(t.Context(), f.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	return f
}

// until waits until a condition holds.
func (f *fleet) until(what string, holds func() bool) {
	f.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("never: %s", what)
		}
	}
}

// event makes one of web1's api:api_00, or of what change says.
func (f *fleet) event(name string, change ...func(*schema.Event)) *schema.Event {
	e := &schema.Event{
		Event: name, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Pool: "supernats", Group: "api", Process: "api_00",
	}
	for _, c := range change {
		c(e)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serials[e.Host]++
	e.Serial = f.serials[e.Host]
	return e
}

// crash is an unexpected exit.
func (f *fleet) crash(change ...func(*schema.Event)) *schema.Event {
	no := false
	return f.event(schema.ProcessStateExited, append([]func(*schema.Event){func(e *schema.Event) { e.Expected = &no }}, change...)...)
}

// publish stores events that were read now, and returns the last sequence.
func (f *fleet) publish(events ...*schema.Event) uint64 {
	f.Helper()
	return f.publishAt(time.Now(), events...)
}

func (f *fleet) publishAt(at time.Time, events ...*schema.Event) (seq uint64) {
	f.Helper()
	for _, e := range events {
		ce := e.Envelope(at)
		b, err := schema.Marshal(ce)
		if err != nil {
			f.Fatal(err)
		}
		ack, err := f.js.Publish(f.Context(), e.Subject(), b, jetstream.WithMsgID(ce.ID))
		if err != nil {
			f.Fatal(err)
		}
		seq = ack.Sequence
	}
	return seq
}

func (f *fleet) json(v any) string {
	f.Helper()
	b, err := schema.Marshal(v)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

func (f *fleet) unjson(b []byte, v any) {
	f.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) raw(subject, data string) uint64 {
	f.Helper()
	ack, err := f.js.Publish(f.Context(), subject, []byte(data))
	if err != nil {
		f.Fatal(err)
	}
	return ack.Sequence
}

func (f *fleet) events() *events {
	f.Helper()
	cfg := config.Default()
	cfg.GroupInterval = schema.Duration(20 * time.Millisecond)
	cfg.ResolveAfter = schema.Duration(20 * time.Millisecond)
	set, err := cfg.CompileRules()
	if err != nil {
		f.Fatal(err)
	}
	v := newEvents(f.js, &plan{cfg: cfg, set: set}, zerolog.Nop())
	v.seenEvery = 50 * time.Millisecond
	return v
}

// run reads events until the test ends or stop is called, which waits.
func (f *fleet) run() (stop func()) {
	f.Helper()
	return f.background(func(ctx context.Context) error { return f.events().run(ctx, func() {}) })
}

func (f *fleet) background(do func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				f.Errorf("it ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			f.Error("it does not end")
		}
	})
	f.Cleanup(stop)
	return stop
}

// handled waits until everything up to a sequence is done.
func (f *fleet) handled(seq uint64) {
	f.Helper()
	f.until(fmt.Sprintf("message %d is handled", seq), func() bool {
		c, err := f.js.Consumer(f.Context(), stream.Events, durableName)
		return err == nil && c.CachedInfo().AckFloor.Stream >= seq
	})
}

// stored returns all messages of a stream.
func (f *fleet) stored(name string) []*jetstream.RawStreamMsg {
	f.Helper()
	s, err := f.js.Stream(f.Context(), name)
	if err != nil {
		f.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(f.Context(), seq)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// alerts returns how many notifications there are of each event's id.
func (f *fleet) alerts() map[string]int {
	f.Helper()
	n := map[string]int{}
	for _, m := range f.stored(stream.Alerts) {
		ce, err := schema.Unmarshal[*schema.Notification](m.Data)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range ce.Data.Events {
			n[e.ID]++
		}
	}
	return n
}

// told waits until so many events are in notifications, and returns them as alerts
// does.
func (f *fleet) told(events int) map[string]int {
	f.Helper()
	f.until(fmt.Sprintf("%d events are told", events), func() bool { return len(f.alerts()) >= events })
	return f.alerts()
}

func (f *fleet) bucket(name string) jetstream.KeyValue {
	f.Helper()
	kv, err := f.js.KeyValue(f.Context(), name)
	if err != nil {
		f.Fatal(err)
	}
	return kv
}

// host is the record of a host.
func (f *fleet) host(name string) schema.HostRecord {
	f.Helper()
	e, err := f.bucket(stream.HostsBucket).Get(f.Context(), schema.Token(name))
	if err != nil {
		f.Fatal(err)
	}
	var h schema.HostRecord
	f.unjson(e.Value(), &h)
	return h
}

// crashes is a notification of so many, each with a log.
func crashes(n int, log string) alerts.Notification {
	at := time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)
	a := &schema.Notification{Incident: "a", Rule: "r", Severity: "critical", Host: "h", Opened: schema.Time{Time: at}, Closed: &schema.Time{Time: at}, Count: n}
	for i := range n {
		a.Events = append(a.Events, schema.AlertEvent{ID: fmt.Sprint("h/b/", i), Time: schema.Time{Time: at}, Event: "PROCESS_STATE_EXITED", Process: fmt.Sprint("p", i), Log: &schema.Log{Stderr: log}})
	}
	return alerts.Notification{ID: "a/1", Type: schema.TypeAlertResolved, At: at, Alert: a}
}
