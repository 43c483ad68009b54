package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/term"

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
func testNotification(now time.Time, notify []string) (*schema.Alert, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find out the hostname: %w", err)
	}
	at := schema.Time{Time: now}
	id := testRule + "/" + host + "/" + strconv.FormatInt(now.UnixMicro(), 10)
	return &schema.Alert{
		Alert: id, Rule: testRule, Severity: "info", Host: host, Opened: at, Count: 1, Notify: notify,
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

func publishAlert(ctx context.Context, js jetstream.JetStream, a *schema.Alert, n int, typ string) (uint64, error) {
	id := a.Alert + "/" + strconv.Itoa(n)
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

// testWait watches what becomes of a notification.
type testWait struct {
	js jetstream.JetStream
	// before is the last sequence of the parked messages before the test, seq
	// that of the test.
	before, seq uint64
	begun       time.Time
	outcomes    []outcome
	// said are the errors that were printed, by receiver.
	said map[string]string
}

func (w *testWait) wait(ctx context.Context, timeout time.Duration) error {
	progress := term.IsTerminal(int(os.Stderr.Fd()))
	clear := func() {
		if progress {
			fmt.Fprint(os.Stderr, "\r\x1b[K")
		}
	}
	defer clear()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		if err := w.look(ctx); err != nil {
			return err
		}
		open := w.with((*outcome).open)
		clear()
		w.tellErrors()
		if len(open) == 0 || time.Since(w.begun) > timeout {
			return w.explain(ctx)
		}
		if progress {
			fmt.Fprintf(os.Stderr, "waiting for %s (%s of %s)", strings.Join(open, ", "), age(time.Since(w.begun)), age(timeout))
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// with names the receivers for which something holds.
func (w *testWait) with(is func(*outcome) bool) (names []string) {
	for i := range w.outcomes {
		if is(&w.outcomes[i]) {
			names = append(names, clean(w.outcomes[i].Receiver))
		}
	}
	return names
}

func (o *outcome) delivered() bool { return o.Result == resultDelivered }

func (o *outcome) pending() bool { return o.Result == resultPending }

// tellErrors says at once what goes wrong, each error once.
func (w *testWait) tellErrors() {
	for i := range w.outcomes {
		if o := &w.outcomes[i]; o.failure != "" && o.failure != w.said[o.Receiver] {
			w.said[o.Receiver] = o.failure
			fmt.Fprintf(os.Stderr, "supernats: %s does not take it: %s\n", clean(o.Receiver), clean(o.failure))
		}
	}
}

// look asks how far each receiver is. What was acknowledged was delivered, or
// parked before that.
func (w *testWait) look(ctx context.Context) error {
	reasons := map[string]string{}
	read := false
	for i := range w.outcomes {
		o := &w.outcomes[i]
		if !o.pending() {
			continue
		}
		q, err := w.queue(ctx, o)
		if err != nil {
			return err
		}
		if !q.took(w.seq) {
			if o.failure = q.failure(); o.failure != "" && o.failed.IsZero() {
				o.failed = time.Now()
			}
			continue
		}
		if !read {
			if reasons, err = w.reasons(ctx); err != nil {
				return err
			}
			read = true
		}
		o.Result, o.Seconds, o.failure = resultDelivered, time.Since(w.begun).Round(time.Millisecond).Seconds(), ""
		if reason, ok := reasons[o.Receiver]; ok {
			o.Result, o.Reason = resultParked, reason
		}
	}
	return nil
}

// queue looks up that of a receiver.
func (w *testWait) queue(ctx context.Context, o *outcome) (*queue, error) {
	c, err := w.js.Consumer(ctx, stream.Alerts, o.durable)
	if err != nil {
		return nil, fmt.Errorf("look up the queue of %s: %w", o.Receiver, err)
	}
	queues := []queue{{durable: o.durable, receiver: o.Receiver, info: c.CachedInfo()}}
	return &queues[0], readPositions(ctx, w.js, queues)
}

// reasons are why the test was parked, by receiver.
func (w *testWait) reasons(ctx context.Context) (map[string]string, error) {
	reasons := map[string]string{}
	all, err := readParked(ctx, w.js, start{seq: w.before + 1})
	for _, p := range all {
		if p.AlertSeq == w.seq {
			reasons[p.Receiver] = p.Reason
		}
	}
	return reasons, err
}

// explain says of those that wait what is in their way.
func (w *testWait) explain(ctx context.Context) error {
	if len(w.with((*outcome).pending)) == 0 {
		return nil
	}
	active, err := readLease(ctx, w.js)
	if err != nil {
		return err
	}
	for i := range w.outcomes {
		o := &w.outcomes[i]
		if !o.pending() {
			continue
		}
		q, err := w.queue(ctx, o)
		if err != nil {
			return err
		}
		info := q.info
		o.Seconds = time.Since(w.begun).Round(time.Millisecond).Seconds()
		o.Reason = fmt.Sprintf("%d notifications wait; ", q.waiting())
		switch {
		case active == nil:
			o.Reason += "no `supernats consume` is active: start it"
		case q.failure() != "":
			o.Reason = fmt.Sprintf("%s (%d tries, %d notifications wait; `supernats consume` on %s keeps trying)", q.failure(), q.at.Tries, q.waiting(), active.Instance)
		case info.NumAckPending > 0:
			o.Reason += "it is being tried, the log of `supernats consume` on " + active.Instance + " says what happens"
		case info.NumWaiting == 0:
			o.Reason += "`supernats consume` on " + active.Instance + " does not read this queue: is the receiver in its configuration file?"
		default:
			o.Reason += "see the log of `supernats consume` on " + active.Instance
		}
	}
	return nil
}

// verdict is an error if anybody did not get the test.
func (w *testWait) verdict() error {
	if n := len(w.with((*outcome).delivered)); n < len(w.outcomes) {
		return fmt.Errorf("%d of %d receivers did not get the test alert", len(w.outcomes)-n, len(w.outcomes))
	}
	return nil
}

func printOutcomes(w *os.File, outcomes []outcome) error {
	g := grid{
		columns: []string{"RECEIVER", "RESULT", "AFTER", "REASON"}, colored: "RESULT",
		flexible: map[string]int{"RECEIVER": wideName, "REASON": wideText},
	}
	colors := map[string]lipgloss.ANSIColor{resultDelivered: green, resultParked: red, resultPending: yellow}
	slices.SortStableFunc(outcomes, func(a, b outcome) int { return strings.Compare(a.Receiver, b.Receiver) })
	for _, o := range outcomes {
		reason := o.Reason
		if reason == "" {
			reason = "-"
		}
		g.add(colors[o.Result], o.Receiver, o.Result, strconv.FormatFloat(o.Seconds, 'f', 1, 64)+"s", reason)
	}
	return g.print(w)
}
