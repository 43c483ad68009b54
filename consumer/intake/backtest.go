package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/intake/machine"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

// Backtest runs rules over what the stream of events holds. Nothing is sent or recorded.
type Backtest struct {
	// Plan has the rules. ForgetAfter has no effect.
	Plan Plan
	// Since is when to begin, zero: with the oldest message; Until when to end, zero:
	// now.
	Since, Until time.Time
	// Notify is called with each notification that the rules would have made, in order. Its
	// error ends the back-test.
	Notify func(*schema.CloudEvent[*schema.Notification]) error
	// Progress is called after each message with how many of all are read; may be nil.
	Progress func(read, total uint64)
}

// Summary is what a back-test has seen.
type Summary struct {
	// Messages counts what was read, Unreadable those of them that are not ours.
	Messages, Unreadable uint64
	// From and To are when the stream stored the first and the last message.
	From, To time.Time
	// TooOld counts the events that matched and were older than max_age when the stream
	// stored them.
	TooOld int
}

// Run reads the stream once.
func (b *Backtest) Run(ctx context.Context, js jetstream.JetStream) (Summary, error) {
	var sum Summary
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return sum, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	info := s.CachedInfo()
	until := b.Until
	if until.IsZero() || until.After(info.TimeStamp) {
		until = info.TimeStamp
	}

	m := machine.New(b.Plan.Rules, b.Plan.Limits)
	// Ticks and snapshots are kept for an hour: before that, any host looks silent.
	m.Engine.TrustSilence(info.TimeStamp.Add(-heartbeatsKept))
	if err := b.read(ctx, js, m, until, info.State.LastSeq, &sum); err != nil {
		return sum, err
	}
	m.Engine.Advance(until)
	sum.TooOld = m.TooOld
	return sum, b.notify(m)
}

// read applies messages up to the last sequence, or to a time.
func (b *Backtest) read(
	ctx context.Context, js jetstream.JetStream, m *machine.Machine, until time.Time, last uint64, sum *Summary,
) error {
	var total uint64
	return source.Replay(ctx, js, source.Lineage{}, b.Since, func(in *source.Received) (more bool, err error) {
		if in.Stored.After(until) {
			return false, nil
		}
		if sum.Messages++; sum.Messages == 1 {
			sum.From = in.Stored
			total = 1 + in.Meta.NumPending
		}
		sum.To = in.Stored

		err = m.Apply(&in.Message, in.Stored.Add(-b.Plan.MaxAge))
		if errors.As(err, new(machine.Unreadable)) {
			sum.Unreadable++
		} else if err != nil {
			return false, err
		}
		if err := b.notify(m); err != nil {
			return false, err
		}

		if b.Progress != nil {
			b.Progress(sum.Messages, total)
		}
		return in.Seq < last && in.Meta.NumPending > 0, nil
	})
}

func (b *Backtest) notify(m *machine.Machine) error {
	for _, n := range m.Take() {
		if err := b.Notify(n.Alert.Envelope(n.ID, n.Type, n.At)); err != nil {
			return err
		}
	}
	return nil
}
