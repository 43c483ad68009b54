package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/config"
	"supernats/schema"
	"supernats/schema/stream"
)

// Backtest runs rules over what the stream of events holds. Nothing is sent or
// recorded.
type Backtest struct {
	// Config has the rules, and the receivers by their names.
	Config config.Config
	// Since is when to begin, zero: with the oldest message; Until when to end, zero:
	// now.
	Since, Until time.Time
	// Notify is told of each notification that the rules would have made, in order.
	Notify func(*schema.CloudEvent[*schema.Notification]) error
	// Progress is called now and then with how many of the messages are read; may be
	// nil.
	Progress func(read, total uint64)
}

// Summary is what a backtest has seen.
type Summary struct {
	// Messages were read, Unreadable of them are no messages of ours.
	Messages, Unreadable uint64
	// From and To are when the stream got the first and the last message.
	From, To time.Time
	// TooOld is how many events matched and were older than max_age when the stream
	// got them.
	TooOld int
}

// progressEvery is after how many messages Progress is called.
const progressEvery = 4096

// Run reads the stream once.
func (b *Backtest) Run(ctx context.Context, js jetstream.JetStream) (Summary, error) {
	var sum Summary
	set, err := b.Config.CompileRules()
	if err != nil {
		return sum, err
	}
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return sum, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	info := s.CachedInfo()
	until := b.Until
	if until.IsZero() || until.After(info.TimeStamp) {
		until = info.TimeStamp
	}
	m := newMachine(set, b.Config.Limits.Fleet())
	// Ticks and snapshots are kept for an hour: a host of before that looks silent.
	m.engine.TrustSilence(info.TimeStamp.Add(-heartbeatsKept))
	if err := b.read(ctx, js, s, info.State.LastSeq, until, m, &sum); err != nil {
		return sum, err
	}
	m.engine.Advance(until)
	sum.TooOld = m.tooOld
	return sum, b.take(m)
}

// read feeds the machine until the last sequence or the time to end.
func (b *Backtest) read(ctx context.Context, js jetstream.JetStream, s jetstream.Stream, last uint64, until time.Time, m *machine, sum *Summary) error {
	cfg := jetstream.OrderedConsumerConfig{}
	if !b.Since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &b.Since
	}
	oc, err := s.OrderedConsumer(ctx, cfg)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	total := oc.CachedInfo().NumPending
	if total == 0 {
		return nil
	}
	msgs, err := oc.Messages(jetstream.PullMaxMessagesWithBytesLimit(4*batchSize, pullBytes(js)))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	defer msgs.Stop()
	defer context.AfterFunc(ctx, msgs.Stop)() // cheaper than to hand ctx to each Next
	for {
		raw, err := msgs.Next()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream.Events, cmp.Or(ctx.Err(), err))
		}
		meta, err := raw.Metadata()
		if err != nil {
			return err
		}
		if meta.Timestamp.After(until) {
			return nil
		}
		in := consumer.Message{Subject: raw.Subject(), Data: raw.Data(), Seq: meta.Sequence.Stream, Stored: meta.Timestamp, Sent: consumer.SentAt(raw.Headers())}
		if sum.Messages++; sum.Messages == 1 {
			sum.From = in.Stored
		}
		sum.To = in.Stored
		if err := m.apply(&in, in.Stored.Add(-time.Duration(b.Config.MaxAge))); errors.As(err, new(unreadable)) {
			sum.Unreadable++
		} else if err != nil {
			return err
		}
		if err := b.take(m); err != nil {
			return err
		}
		if sum.Messages%progressEvery == 0 && b.Progress != nil {
			b.Progress(sum.Messages, total)
		}
		if in.Seq >= last || meta.NumPending == 0 {
			if b.Progress != nil {
				b.Progress(total, total)
			}
			return nil
		}
	}
}

func (b *Backtest) take(m *machine) error {
	for _, n := range m.take() {
		if err := b.Notify(n.Alert.Envelope(n.ID, n.Type, n.At)); err != nil {
			return err
		}
	}
	return nil
}
