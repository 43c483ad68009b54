package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

type testAlertCmd struct {
	Receiver string          `arg:"" optional:"" help:"Only this receiver; default: all of the configuration file, or all there are."`
	Timeout  schema.Duration `env:"-" default:"60s" help:"How long to wait for the receivers."`
	Resolve  bool            `env:"-" help:"Also tell that it is over, for receivers that keep incidents."`
	outputFlag
}

const testRule = "test-alert"

// What became of the test at a receiver.
const (
	resultDelivered = "delivered"
	resultParked    = "parked"
	resultPending   = "pending"
)

// outcome is what is printed of one receiver.
type outcome struct {
	Receiver string  `json:"receiver"`
	Result   string  `json:"result"`
	Seconds  float64 `json:"seconds"`
	// Reason why it did not get it.
	Reason string `json:"reason,omitempty"`

	durable string
	// failed is when a failure of the receiver was seen here first, failure the last one.
	failed  time.Time
	failure string
}

// settle is how long to wait, after a receiver's error is known, whether its next try
// succeeds: the first ones follow after 1 and 2 seconds.
const settle = 4 * time.Second

// open reports whether there is more to wait for.
func (o *outcome) open() bool {
	return o.Result == resultPending && (o.failed.IsZero() || time.Since(o.failed) < settle)
}

// Run sends a notification the whole way, and waits for what becomes of it.
func (t *testAlertCmd) Run(ctx context.Context, c *common) error {
	if t.Timeout <= 0 {
		return usageError{errors.New("--timeout is 0, allowed is a duration above it")}
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		queues, err := readQueues(ctx, js)
		if err != nil {
			return err
		}
		chosen, notify, err := choose(queues, t.Receiver, receivers(cfg))
		if err != nil {
			return err
		}
		return t.send(ctx, js, chosen, notify)
	})
}

// choose returns the queues that the test goes to, and the receivers to name in
// it: those that are asked for, or else those of the configuration, or all.
func choose(queues []queue, receiver string, configured []string) ([]queue, []string, error) {
	names := configured
	if receiver != "" {
		names = []string{receiver}
		if name, _, address := strings.Cut(receiver, "/"); address {
			names = []string{name}
		}
		for _, name := range configured { // as it is written there
			if strings.EqualFold(name, names[0]) {
				names = []string{name}
			}
		}
	}
	var chosen []queue
	for _, want := range names {
		is := func(q queue) bool { return q.of(want) }
		if receiver != "" {
			is = func(q queue) bool { return q.of(receiver) }
		}
		n := len(chosen)
		for _, q := range queues {
			if is(q) {
				chosen = append(chosen, q)
			}
		}
		if len(chosen) == n {
			return nil, nil, fmt.Errorf("receiver %s has no queue; those that have one: %s. `supernats consume` makes it when it starts with the receiver in its configuration file", clean(want), known(queues))
		}
	}
	if len(names) == 0 {
		chosen = queues
	}
	if len(chosen) == 0 {
		return nil, nil, errors.New("there is no receiver: `supernats consume -c FILE` makes a queue for each one of its configuration file")
	}
	return chosen, names, nil
}

func known(queues []queue) string {
	var names []string
	for _, q := range queues {
		names = append(names, clean(q.receiver))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// notification is what is sent: nobody shall take it for real.
func testNotification(now time.Time, notify []string) (*schema.Notification, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find out the hostname: %w", err)
	}
	at := schema.Time{Time: now}
	id := testRule + "/" + host + "/" + strconv.FormatInt(now.UnixMicro(), 10)
	return &schema.Notification{
		Incident: id, Rule: testRule, Severity: "info", Host: host, Opened: at, Count: 1, Notify: notify,
		Events:      []schema.AlertEvent{{ID: id, Time: at, Event: "TEST"}},
		Labels:      map[string]string{"test": "true"},
		Annotations: map[string]string{"summary": "TEST: nothing is wrong, " + whoami() + " tries out `supernats test-alert`"},
	}, nil
}

func (t *testAlertCmd) send(ctx context.Context, js jetstream.JetStream, queues []queue, notify []string) error {
	parked, err := js.Stream(ctx, stream.Parked)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	begun := time.Now()
	a, err := testNotification(begun, notify)
	if err != nil {
		return err
	}
	seq, err := publishAlert(ctx, js, a, 1, schema.TypeAlertFiring)
	if err != nil {
		return err
	}
	w := testWait{js: js, before: parked.CachedInfo().State.LastSeq, seq: seq, begun: begun, said: map[string]string{}}
	for _, q := range queues {
		w.outcomes = append(w.outcomes, outcome{Receiver: q.receiver, Result: resultPending, durable: q.durable})
	}
	if err := w.wait(ctx, time.Duration(t.Timeout)); err != nil {
		return err
	}
	if t.Resolve {
		over := schema.Time{Time: time.Now()}
		a.Closed, a.Events = &over, nil
		if _, err := publishAlert(ctx, js, a, 2, schema.TypeAlertResolved); err != nil {
			return err
		}
	}
	if output := outputFor(os.Stdout, t.Output); output != outputTable {
		err = printJSON(os.Stdout, output, w.outcomes)
	} else {
		err = printOutcomes(os.Stdout, w.outcomes)
	}
	if err != nil {
		return err
	}
	return w.verdict()
}

func publishAlert(ctx context.Context, js jetstream.JetStream, a *schema.Notification, n int, typ string) (uint64, error) {
	id := a.Incident + "/" + strconv.Itoa(n)
	payload, err := schema.Marshal(a.Envelope(id, typ, time.Now()))
	if err != nil {
		return 0, err
	}
	ack, err := js.Publish(ctx, a.Subject(), payload, jetstream.WithMsgID(id), jetstream.WithExpectStream(stream.Alerts))
	if err != nil {
		return 0, fmt.Errorf("publish the test alert: %w", err)
	}
	return ack.Sequence, nil
}
