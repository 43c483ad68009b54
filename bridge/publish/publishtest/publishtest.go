// Package publishtest has what the tests of the publisher and of its parts share: messages
// of a host, and a responder in place of a stream.
package publishtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// Subject is that of an event.
	Subject = "supervisor.event.web1.-.-.tick.5"
	// Limit is how long tests wait for what is certain to happen.
	Limit = 30 * time.Second
)

// Message returns a message on Subject.
func Message(id string, data []byte) *nats.Msg {
	return &nats.Msg{Subject: Subject, Data: data, Header: nats.Header{nats.MsgIdHdr: {id}}}
}

// Ack returns the acknowledgement of a stream for its i-th message, counted from 0.
func Ack(stream string, i int) []byte {
	return fmt.Appendf(nil, `{"stream":%q,"seq":%d}`, stream, i+1)
}

// Respond answers on Subject in place of a stream, until the test ends. answer is called for
// each message in turn, from one goroutine.
func Respond(tb testing.TB, url string, answer func(i int, m *nats.Msg)) *nats.Subscription {
	tb.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)

	i := 0
	sub, err := nc.Subscribe(Subject, func(m *nats.Msg) {
		answer(i, m)
		i++
	})
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return sub
}

// WaitFor waits until done returns true.
func WaitFor(tb testing.TB, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(Limit); !done(); {
		if time.Now().After(end) {
			tb.Fatalf("nothing happened within %v", Limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
