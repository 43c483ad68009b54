package publish

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// An error that repeats is logged once, and so is its end.
func TestTrouble(t *testing.T) {
	l := newLog()
	tr := trouble{log: zerolog.New(l)}
	tr.over()
	tr.report(fmt.Errorf("publish: %w", nats.ErrReconnectBufExceeded))
	for range 3 {
		for _, address := range []string{"10.0.0.1:4222", "10.0.0.2:4222"} {
			tr.report(fmt.Errorf("connect to NATS: %w", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New(address + " refuses")}))
		}
	}
	tr.report(nats.ErrTimeout)
	tr.over()
	tr.over()
	tr.report(nats.ErrTimeout)
	want := []string{
		`{"level":"warn","error":"NATS is not connected","fix":"is nats-server running at --nats-url?",`,
		`{"level":"warn","error":"connect to NATS: dial tcp: 10.0.0.1:4222 refuses","fix":"is nats-server running at --nats-url?",`,
		`{"level":"warn","error":"nats: timeout","fix":"is the stream healthy, and may this user publish on it and subscribe to its inbox? nats stream info SUPERVISOR",`,
		`{"level":"info","errors":8,"message":"events are getting into JetStream again"}`,
		`{"level":"warn","error":"nats: timeout","fix":"is the stream healthy, and may this user publish on it and subscribe to its inbox? nats stream info SUPERVISOR",`,
	}
	got := strings.Split(strings.TrimSpace(l.String()), "\n")
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], `"message":"events are not`)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
