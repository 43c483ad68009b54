// Package fleettest is a NATS server with all streams and buckets, and the events of hosts
// in them, for tests of what reads them.
package fleettest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// Fleet is a server with all streams, and the events of its hosts.
type Fleet struct {
	*testing.T
	Server *streamtest.Server
	JS     jetstream.JetStream

	mu      sync.Mutex
	serials map[string]uint64
}

// New runs a server; change may alter it before the streams are made.
func New(t *testing.T, change ...func(jetstream.JetStream)) *Fleet {
	t.Helper()
	server := streamtest.Start(t)
	f := On(t, server, server.JetStream())
	for _, c := range change {
		c(f.JS)
	}
	if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	return f
}

// On is a fleet on a server that may have no streams yet, over a connection to it.
func On(t *testing.T, server *streamtest.Server, js jetstream.JetStream) *Fleet {
	t.Helper()
	return &Fleet{T: t, Server: server, JS: js, serials: map[string]uint64{}}
}

// Until waits until a condition holds.
func (f *Fleet) Until(what string, holds func() bool) {
	f.Helper()
	Until(f.T, what, holds)
}

// Until waits until a condition holds.
func Until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}

// Event makes one of web1's api:api_00, or of what change says.
func (f *Fleet) Event(name string, change ...func(*schema.Event)) *schema.Event {
	e := &schema.Event{
		Event: name, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Pool: "supernats",
		Group: "api", Process: "api_00",
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

// Crash is an unexpected exit.
func (f *Fleet) Crash(change ...func(*schema.Event)) *schema.Event {
	unexpected := func(e *schema.Event) { e.Expected = new(false) }
	return f.Event(schema.ProcessStateExited, append([]func(*schema.Event){unexpected}, change...)...)
}

// Publish stores events that were read now, and returns the last sequence.
func (f *Fleet) Publish(events ...*schema.Event) uint64 {
	f.Helper()
	return f.PublishAt(time.Now(), events...)
}

func (f *Fleet) PublishAt(at time.Time, events ...*schema.Event) (seq uint64) {
	f.Helper()
	for _, e := range events {
		ce := e.Envelope(at)
		b, err := schema.Marshal(ce)
		if err != nil {
			f.Fatal(err)
		}
		ack, err := f.JS.Publish(f.Context(), e.Subject(), b, jetstream.WithMsgID(ce.ID))
		if err != nil {
			f.Fatal(err)
		}
		seq = ack.Sequence
	}
	return seq
}

func (f *Fleet) JSON(v any) string {
	f.Helper()
	b, err := schema.Marshal(v)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

func (f *Fleet) Unmarshal(b []byte, v any) {
	f.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		f.Fatal(err)
	}
}

func (f *Fleet) PublishRaw(subject, data string) uint64 {
	f.Helper()
	ack, err := f.JS.Publish(f.Context(), subject, []byte(data))
	if err != nil {
		f.Fatal(err)
	}
	return ack.Sequence
}

// Background runs something until the test ends, or stop is called.
func (f *Fleet) Background(do func(ctx context.Context) error) (stop func()) {
	return Start(f.T, do).Stop
}

// WaitHandled waits until everything up to a sequence is done.
func (f *Fleet) WaitHandled(seq uint64) {
	f.Helper()
	f.Until(fmt.Sprintf("message %d is handled", seq), func() bool {
		c, err := f.JS.Consumer(f.Context(), stream.Events, stream.EventsConsumer)
		return err == nil && c.CachedInfo().AckFloor.Stream >= seq
	})
}

// Messages returns all messages of a stream.
func (f *Fleet) Messages(name string) []*jetstream.RawStreamMsg {
	f.Helper()
	return Messages(f.T, f.JS, name)
}

// Messages returns all messages of a stream.
func Messages(tb testing.TB, js jetstream.JetStream, name string) []*jetstream.RawStreamMsg {
	tb.Helper()
	s, err := js.Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(tb.Context(), seq)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// Notified returns how many notifications there are of each event's id.
func (f *Fleet) Notified() map[string]int {
	f.Helper()
	n := map[string]int{}
	for _, m := range f.Messages(stream.Alerts) {
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

// WaitNotified waits until so many events are in notifications, and returns them as alerts
// does.
func (f *Fleet) WaitNotified(events int) map[string]int {
	f.Helper()
	f.Until(fmt.Sprintf("%d events are notified", events), func() bool { return len(f.Notified()) >= events })
	return f.Notified()
}

func (f *Fleet) Bucket(name string) jetstream.KeyValue {
	f.Helper()
	kv, err := f.JS.KeyValue(f.Context(), name)
	if err != nil {
		f.Fatal(err)
	}
	return kv
}

// Host is the record of a host.
func (f *Fleet) Host(name string) schema.HostRecord {
	f.Helper()
	e, err := f.Bucket(stream.HostsBucket).Get(f.Context(), schema.Token(name))
	if err != nil {
		f.Fatal(err)
	}
	var h schema.HostRecord
	f.Unmarshal(e.Value(), &h)
	return h
}

// Process is the record of a process.
func (f *Fleet) Process(host, group, process string) schema.ProcessRecord {
	f.Helper()
	e, err := f.Bucket(stream.StateBucket).Get(f.Context(), schema.StateKey(host, group, process))
	if err != nil {
		f.Fatal(err)
	}
	var s schema.ProcessRecord
	f.Unmarshal(e.Value(), &s)
	return s
}

// Keys are those of a bucket that have a record.
func (f *Fleet) Keys(bucket string) []string {
	f.Helper()
	keys, err := f.Bucket(bucket).Keys(f.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		f.Fatal(err)
	}
	return keys
}
