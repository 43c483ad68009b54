package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/term"

	"supernats/schema/stream"
)

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
			say("supernats: %s does not take it: %s", o.Receiver, o.failure)
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
		o.Reason = waits(q.waiting(), "notification") + "; "
		switch {
		case active == nil:
			o.Reason += "no `supernats consume` is active: start it"
		case q.failure() != "":
			o.Reason = fmt.Sprintf("%s (%s, %s; `supernats consume` on %s keeps trying)", q.failure(), tries(q.at.Tries), waits(q.waiting(), "notification"), active.Instance)
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
		return fmt.Errorf("%d of %s did not get the test alert", len(w.outcomes)-n, counted(len(w.outcomes), "receiver"))
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
