package acks

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	subject = "supervisor.event.web1.-.-.tick.5"
	limit   = 30 * time.Second
)

func message(id string, data []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Data: data, Header: nats.Header{nats.MsgIdHdr: {id}}}
}

// responder answers on our subject in place of a stream; answer is called for each
// message in turn, from one goroutine.
func responder(tb testing.TB, url string, answer func(i int, m *nats.Msg)) {
	tb.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)

	i := 0
	sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
		answer(i, m)
		i++
	})
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// ack is the answer of a stream.
func ack(name string, seq int) []byte {
	return fmt.Appendf(nil, `{"stream":%q,"seq":%d}`, name, seq+1)
}

func waitFor(tb testing.TB, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); !done(); {
		if time.Now().After(end) {
			tb.Fatalf("waited %v in vain", limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// apiCode is the code of JetStream's error, 0 for any other.
func apiCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}
