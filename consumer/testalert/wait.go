package testalert

import (
	"context"
	"fmt"
	"slices"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/wording"
	"supernats/schema/stream"
)

const (
	// pollInterval is how often the queues are asked.
	pollInterval = 100 * time.Millisecond
	// retryTime is how long to wait, after a receiver's error is known, whether its next
	// try succeeds: the first ones follow after 1 and 2 seconds.
	retryTime = 4 * time.Second
)

// watch follows a notification to its receivers.
type watch struct {
	test *Test
	// parkedBefore is the last sequence of the parked messages before the test, seq that
	// of the test.
	parkedBefore, seq uint64
	begun             time.Time
	outcomes          []Outcome
}

// isOpen reports whether there is more to wait for.
func (o *Outcome) isOpen() bool {
	return o.Result == Pending && (o.failed.IsZero() || time.Since(o.failed) < retryTime)
}

// wait returns when all receivers have got the test or have failed, or time is over.
func (w *watch) wait(ctx context.Context) error {
	for tick := time.NewTicker(pollInterval); ; {
		if err := w.update(ctx); err != nil {
			return err
		}
		w.report()

		var open []string
		for i := range w.outcomes {
			if w.outcomes[i].isOpen() {
				open = append(open, w.outcomes[i].Receiver)
			}
		}
		if len(open) == 0 || time.Since(w.begun) > w.test.Timeout {
			return w.explain(ctx)
		}

		w.test.OnWait(open, time.Since(w.begun))
		select {
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// report reports each error, and each hold, as soon as it is known.
func (w *watch) report() {
	for i := range w.outcomes {
		o := &w.outcomes[i]
		switch {
		case o.failure != "" && o.failure != o.reported:
			o.reported = o.failure
			w.test.OnFailure(o.Receiver, o.failure)
		case o.failure == "" && o.hold != "" && o.hold != o.reported:
			o.reported = o.hold
			w.test.OnHold(o.Receiver, o.hold)
		}
	}
}

// update asks how far each receiver is. What was acknowledged was delivered, or parked
// before that.
func (w *watch) update(ctx context.Context) error {
	var parked map[string]string // by receiver, read once where it is needed
	for i := range w.outcomes {
		o := &w.outcomes[i]
		if o.Result != Pending {
			continue
		}
		q, err := w.test.Reader.Queue(ctx, o.durable)
		if err != nil {
			return err
		}
		if !q.Took(w.seq) {
			o.hold = q.Hold(time.Now())
			if o.failure = q.Failure(); o.failure != "" && o.failed.IsZero() {
				o.failed = time.Now()
			}
			continue
		}

		if parked == nil {
			if parked, err = w.test.Reader.ParkedReasons(ctx, w.seq, w.parkedBefore+1); err != nil {
				return err
			}
		}
		o.Result, o.Seconds, o.failure, o.hold = Delivered, w.elapsedSeconds(), "", ""
		if reason, ok := parked[o.Receiver]; ok {
			o.Result, o.Reason = Parked, reason
		}
	}
	return nil
}

func (w *watch) elapsedSeconds() float64 {
	return time.Since(w.begun).Round(time.Millisecond).Seconds()
}

// explain fills in why the test is still pending at a receiver.
func (w *watch) explain(ctx context.Context) error {
	isPending := func(o Outcome) bool { return o.Result == Pending }
	if !slices.ContainsFunc(w.outcomes, isPending) {
		return nil
	}
	lease, err := w.test.Reader.Lease(ctx)
	if err != nil {
		return err
	}

	for i := range w.outcomes {
		o := &w.outcomes[i]
		if !isPending(*o) {
			continue
		}
		q, err := w.test.Reader.Queue(ctx, o.durable)
		if err != nil {
			return err
		}
		o.Seconds = w.elapsedSeconds()
		o.Reason = pendingReason(q, lease)
	}
	return nil
}

// pendingReason says what keeps a notification in a queue. lease is that of the active
// `supernats consume`, nil if none is active.
func pendingReason(q *inspect.Queue, lease *stream.LeaseRecord) string {
	waiting := wording.Count(q.Waiting(), "notification waits", "notifications wait")
	switch {
	case lease == nil:
		return waiting + "; no `supernats consume` is active: start it"
	case q.Failure() != "":
		return fmt.Sprintf("%s (%s, %s; `supernats consume` on %s keeps trying)",
			q.Failure(), wording.Count(q.Position.Tries, "try", "tries"), waiting, lease.Instance)
	case q.Hold(time.Now()) != "":
		return waiting + "; " + q.Hold(time.Now()) + ", then it is sent"
	case q.Info.NumAckPending > 0:
		return waiting + "; it is being tried, the log of `supernats consume` on " + lease.Instance +
			" says what happens"
	case q.Info.NumWaiting == 0:
		return waiting + "; `supernats consume` on " + lease.Instance +
			" does not read this queue: is the receiver in its configuration file?"
	default:
		return waiting + "; see the log of `supernats consume` on " + lease.Instance
	}
}
