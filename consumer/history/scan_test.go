package history

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A stream is read whole over several answers of the server, deleted messages and
// all.
func TestScan(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	const n = 2*scanBatch + 10
	for range n {
		if _, err := js.PublishAsync("supervisor.alert.a.b.c.d", nil, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	s, err := js.Stream(t.Context(), stream.Alerts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(6)); err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{scanBatch + 5, scanBatch + 6, n} {
		if err := s.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	var seen []uint64
	if err := (&Reader{JS: js}).Scan(t.Context(), stream.Alerts, Position{}, func(m *Message) error {
		seen = append(seen, m.Seq)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != n-5-3 || seen[0] != 6 || seen[len(seen)-1] != n-1 {
		t.Errorf("%d messages from %d to %d", len(seen), seen[0], seen[len(seen)-1])
	}
}

// A window that takes too long is given up: what was read of it would leave a gap.
func TestAWindowThatTakesTooLong(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "supervisor.event.a.b.c.process_state.exited", nil); err != nil {
		t.Fatal(err)
	}

	r, q := &Reader{JS: js}, &NewestQuery{}
	if _, oldest, err := r.readWindow(t.Context(), q, 1, 2, time.Now().Add(time.Minute)); err != nil || oldest.IsZero() {
		t.Errorf("in time: %v, the first is of %v", err, oldest)
	}
	if list, _, err := r.readWindow(t.Context(), q, 1, 2, time.Now().Add(-time.Second)); !errors.Is(err, errLate) || list != nil {
		t.Errorf("too late: %v, %v", list, err)
	}
}
