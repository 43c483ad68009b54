// Package testalert sends a test notification the whole way, through the stream and the
// queues to the receivers, and watches what becomes of it at each.
//
// It writes one notification, and a second one where its end is to be sent too. A receiver
// that does not take it within the timeout keeps its place in the queue: the notification
// is delivered when the receiver works.
package testalert

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/stream"
)

// rule is the name of the rule of a test notification.
const rule = "test-alert"

// What became of the test at a receiver.
const (
	Delivered = "delivered"
	Parked    = "parked"
	Pending   = "pending"
)

// Outcome is what became of the test at one receiver.
type Outcome struct {
	Receiver string `json:"receiver"`
	// Result is delivered, parked or pending, Seconds how long that took.
	Result  string  `json:"result"`
	Seconds float64 `json:"seconds"`
	// Reason is why the receiver did not get it.
	Reason string `json:"reason,omitempty"`

	durable string
	// failed is when a failure of the receiver was first seen here, failure the last one, hold
	// what its rate limit does; reported is the last of both that was handed on.
	failed                  time.Time
	failure, hold, reported string
}

// Test is one test notification.
type Test struct {
	Reader *inspect.Reader
	// Queues are those that it goes to, Notify the receivers to name in it, none for all.
	Queues []inspect.Queue
	Notify []string
	// Author is who tests.
	Author string
	// Timeout is how long to wait for the receivers.
	Timeout time.Duration
	// Resolve sends the end of the alert too, for receivers that keep incidents.
	Resolve bool

	// OnFailure is called when a receiver fails, once for each error, OnHold when its rate limit
	// holds the test. OnWait is called with the receivers that are waited for, again and again.
	OnFailure func(receiver, failure string)
	OnHold    func(receiver, hold string)
	OnWait    func(receivers []string, waited time.Duration)
}

// Run sends the notification and returns what became of it at each queue.
func (t *Test) Run(ctx context.Context) ([]Outcome, error) {
	parked, err := t.Reader.JS.Stream(ctx, stream.Parked)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	begun := time.Now()
	n, err := t.notification(begun)
	if err != nil {
		return nil, err
	}
	seq, err := t.publish(ctx, n, 1, schema.TypeAlertFiring)
	if err != nil {
		return nil, err
	}

	w := watch{test: t, parkedBefore: parked.CachedInfo().State.LastSeq, seq: seq, begun: begun}
	for _, q := range t.Queues {
		w.outcomes = append(w.outcomes, Outcome{Receiver: q.Receiver, Result: Pending, durable: q.Durable})
	}
	if err := w.wait(ctx); err != nil {
		return nil, err
	}

	if t.Resolve {
		n.Closed, n.Events = &schema.Time{Time: time.Now()}, nil
		if _, err := t.publish(ctx, n, 2, schema.TypeAlertResolved); err != nil {
			return nil, err
		}
	}
	return w.outcomes, nil
}

// notification returns what is sent: nobody shall take it for a real alert.
func (t *Test) notification(now time.Time) (*schema.Notification, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find out the hostname: %w", err)
	}

	at := schema.Time{Time: now}
	id := rule + "/" + host + "/" + strconv.FormatInt(now.UnixMicro(), 10)
	return &schema.Notification{
		Incident: id, Rule: rule, Severity: "info", Host: host, Opened: at, Count: 1, Notify: t.Notify,
		Events: []schema.AlertEvent{{ID: id, Time: at, Event: schema.EventTest}},
		Labels: map[string]string{"test": "true"},
		Annotations: map[string]string{
			"summary": "TEST: nothing is wrong (" + t.Author + ")",
		},
	}, nil
}

// publish stores a notification and returns its sequence.
func (t *Test) publish(ctx context.Context, n *schema.Notification, number int, typ string) (uint64, error) {
	id := n.Incident + "/" + strconv.Itoa(number)
	payload, err := schema.Marshal(n.Envelope(id, typ, time.Now()))
	if err != nil {
		return 0, err
	}
	ack, err := t.Reader.JS.Publish(ctx, n.Subject(), payload, jetstream.WithMsgID(id),
		jetstream.WithExpectStream(stream.Alerts))
	if err != nil {
		return 0, fmt.Errorf("publish the test alert: %w", err)
	}
	return ack.Sequence, nil
}

// Choose returns the queues that a test goes to, and the receivers to name in it: those
// of the receiver that is asked for ("mail", or "mail/ops@example.com"), or else those of
// the configured receivers, or all. It is an error if a receiver has no queue.
func Choose(
	queues []inspect.Queue, receiver string, configured []string,
) (chosen []inspect.Queue, notify []string, err error) {
	notify = configured
	if receiver != "" {
		notify = []string{configuredName(receiver, configured)}
	}

	for _, name := range notify {
		asked := name
		if receiver != "" {
			asked = receiver
		}
		before := len(chosen)
		for _, q := range queues {
			if q.BelongsTo(asked) {
				chosen = append(chosen, q)
			}
		}
		if len(chosen) == before {
			return nil, nil, fmt.Errorf("receiver %s has no queue; those that have one: %s. `supernats consume` "+
				"creates it when it starts with the receiver in its configuration file",
				name, receiverNames(queues))
		}
	}

	if len(notify) == 0 {
		chosen = queues
	}
	if len(chosen) == 0 {
		return nil, nil, errors.New("there is no receiver: `supernats consume -c FILE` " +
			"creates a queue for each one of its configuration file")
	}
	return chosen, notify, nil
}

// configuredName returns the name of a receiver without its address, as it is written in
// the configuration.
func configuredName(receiver string, configured []string) string {
	name, _, _ := strings.Cut(receiver, "/")
	for _, c := range configured {
		if strings.EqualFold(c, name) {
			return c
		}
	}
	return name
}

func receiverNames(queues []inspect.Queue) string {
	var names []string
	for _, q := range queues {
		names = append(names, q.Receiver)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
