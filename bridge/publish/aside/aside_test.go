package aside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

func keys(l *Lane) []string {
	var all []string
	for _, e := range l.waiting {
		all = append(all, e.key)
	}
	return all
}

// A message takes the place of one of its key; of more than Max, the oldest is dropped,
// which is logged each time the number has doubled.
func TestPut(t *testing.T) {
	var log bytes.Buffer
	l := New(Config{Log: zerolog.New(&log)})
	for _, key := range []string{"a", "b", "a"} {
		l.Put(key, &nats.Msg{})
	}
	if diff := cmp.Diff([]string{"b", "a"}, keys(l)); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}

	for n := range Max + 1 { // three too many
		l.Put(fmt.Sprint(n), &nats.Msg{})
	}
	if got := keys(l); len(got) != Max || got[0] != "1" {
		t.Errorf("waiting: %q", got)
	}
	if n := bytes.Count(log.Bytes(), []byte("\n")); n != 2 {
		t.Errorf("%d lines are logged, want 2:\n%s", n, &log)
	}
}

// What becomes of a message whose publishing failed.
func TestSettle(t *testing.T) {
	for _, tc := range []struct {
		name    string
		err     error
		waiting []string // when it failed
		want    []string
		dropped uint64
	}{
		{name: "stored", waiting: []string{"b"}, want: []string{"b"}},
		{name: "refused", err: nats.ErrTimeout, waiting: []string{"b"}, want: []string{"b", "a"}},
		{name: "replaced meanwhile", err: nats.ErrTimeout, waiting: []string{"a"}, want: []string{"a"}},
		{name: "too large for the server", err: nats.ErrMaxPayload, dropped: 1},
		{name: "too large for the stream", err: &jetstream.APIError{ErrorCode: 10054}, dropped: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := New(Config{Log: zerolog.Nop()})
			l.Put("a", &nats.Msg{})
			e, ok := l.take()
			if !ok {
				t.Fatal("nothing waits")
			}
			for _, key := range tc.waiting {
				l.Put(key, &nats.Msg{})
			}
			l.settle(e, tc.err)
			if diff := cmp.Diff(tc.want, keys(l)); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
			if l.dropped != tc.dropped {
				t.Errorf("%d are dropped, want %d", l.dropped, tc.dropped)
			}
		})
	}
}

// A denial of the message on its way ends the wait for its answer, one of something else
// does not.
func TestDenied(t *testing.T) {
	l := New(Config{Log: zerolog.Nop()})
	l.Put("a", &nats.Msg{Subject: "ours"})
	denial := func(subject string) error {
		return fmt.Errorf(`%w: Permissions Violation for Publish to "%s"`, nats.ErrPermissionViolation, subject)
	}
	if l.Denied(denial("ours")) {
		t.Error("nothing is on its way")
	}

	l.take()
	ctx := l.untilDenied(t.Context(), "ours")
	if l.Denied(denial("another")) || ctx.Err() != nil {
		t.Error("the denial of another subject counts")
	}
	if !l.Denied(denial("ours")) || !errors.Is(context.Cause(ctx), nats.ErrPermissionViolation) {
		t.Errorf("the wait ends with %v", context.Cause(ctx))
	}
}

// Flush waits for a second where something cannot be published, and not at all where
// nothing waits.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Log: zerolog.Nop()})
		for _, want := range []time.Duration{0, flushLimit} {
			begun := time.Now()
			l.Flush(t.Context())
			if took := time.Since(begun); took != want {
				t.Errorf("waited for %v, want %v", took, want)
			}
			l.Put("a", &nats.Msg{})
		}
	})
}
