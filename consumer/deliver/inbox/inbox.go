// Package inbox reads the notifications for one receiver, in the order of the stream of
// alerts, and keeps the receiver's position on NATS. What was not acknowledged is read
// again: after a restart, by another instance, and after a stream or bucket was lost or
// restored from a backup.
//
// An inbox holds no notifications: what the receiver does not accept stays in the stream,
// for as long as the stream keeps it. At most a chunk of 100 is in flight.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/consumer/source"
	"supernats/schema/stream"
)

const (
	// redeliverAfter is when the server redelivers by itself what is not acknowledged: never,
	// since a mail server may be down for weeks. Open begins with what was in flight.
	redeliverAfter = 365 * 24 * time.Hour
	// chunk is how many notifications one request asks for.
	chunk = 100
	// answerWithin is how long the server may take to answer a write.
	answerWithin = 5 * time.Second
)

// ErrReopen means that the inbox has to be opened again, although nothing is wrong.
var ErrReopen = errors.New("inbox is to be opened again")

// Inbox reads the notifications for one receiver. It belongs to one goroutine; only Exists
// may be called by others.
type Inbox struct {
	js       jetstream.JetStream
	queue    source.Queue
	receiver string
	log      zerolog.Logger
	// memory outlives the inbox, and knows the last position; may be nil.
	memory *Memory

	// Set by Open, but for done and doneAt.
	positions *records.Table[stream.Position]
	at        stream.Position
	consumer  jetstream.Consumer
	order     source.Order
	// done is the sequence up to which this process has delivered, doneAt when the stream
	// stored it. Its acknowledgement may be lost.
	done   uint64
	doneAt time.Time
	// unwritten is set while at has times that are not written yet.
	unwritten bool
}

// New returns the inbox of a receiver, which is not open yet. memory may be nil.
func New(js jetstream.JetStream, receiver string, memory *Memory, log zerolog.Logger) *Inbox {
	return &Inbox{
		js: js, receiver: receiver, memory: memory, log: log,
		queue: source.Queue{Stream: stream.Alerts, Name: stream.ReceiverConsumer(receiver), AckWait: redeliverAfter},
	}
}

// Name returns the name of the consumer, and of the key that holds the position.
func (b *Inbox) Name() string { return b.queue.Name }

// Open determines the position of the receiver, takes it over from any other instance, and
// has the consumer begin there. A new receiver begins with what is stored from now on; one
// whose queue or stream has vanished is not new.
func (b *Inbox) Open(ctx context.Context) error {
	return health.Unbroken(ctx, b.js.Conn(), b.open)
}

func (b *Inbox) open(ctx context.Context) error {
	var err error
	b.positions, err = records.OpenTable[stream.Position](ctx, b.js, stream.LeasesBucket, b.log)
	if err != nil {
		return err
	}
	alerts, err := b.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	was, err := b.positions.Get(ctx, b.Name())
	if err != nil {
		return err
	}
	was = furthest(was, b.memory.positionOf(b.Name()), alerts.CachedInfo().Created)
	rewind, err := b.setPosition(ctx, alerts, was)
	if err != nil {
		return err
	}

	have, err := b.queue.Look(ctx, b.js)
	if err != nil {
		return err
	}
	if b.at.Unmade && have != nil {
		b.at.Done, b.at.Stored, b.at.Begin = 0, time.Time{}, 0
	}
	isNew := was == nil && have == nil
	if err := b.openConsumer(ctx, was, rewind); err != nil {
		return err
	}

	info := b.consumer.CachedInfo()
	b.order = source.Order{Seen: info.Delivered.Consumer}
	raise(&b.at, info.AckFloor.Stream)
	if isNew {
		b.at.Begin = b.at.Done
	}
	b.at.Unmade = false
	return b.writePosition(ctx)
}

// setPosition sets the position in the current stream. If the stream was restored from a
// backup, rewind is where the consumer has to begin: after what was delivered, by the time
// at which the stream stored that.
func (b *Inbox) setPosition(
	ctx context.Context, alerts jetstream.Stream, was *stream.Position,
) (rewind *source.Start, err error) {
	info := alerts.CachedInfo()
	before := b.at
	b.at = stream.Position{Receiver: b.receiver, Stream: info.Created, Failures: b.at.Failures}
	if was == nil || !was.Stream.Equal(info.Created) {
		if was != nil {
			b.log.Warn().Time("created", info.Created).
				Msg("stream of notifications is another one than before; " +
					"what waited in the old one cannot be delivered any more")
		}
		b.done, b.doneAt = 0, time.Time{}
		return nil, nil
	}

	b.at = *was
	b.at.Receiver = b.receiver
	if b.unwritten && before.Stream.Equal(b.at.Stream) {
		keepLater(&b.at.LateTimes, before.LateTimes)
	}
	if b.done > b.at.Done {
		b.at.Done, b.at.Stored = b.done, b.doneAt
	}
	restored, err := source.WentBack(ctx, alerts, b.at.Done, b.at.Stored)
	if err != nil || !restored {
		return nil, err
	}

	b.log.Warn().Uint64("last_seq", info.State.LastSeq).Uint64("delivered", b.at.Done).
		Msg("stream of notifications was restored from a backup; what it lacks cannot be delivered any more")
	rewind = source.From(info.State.LastSeq + 1)
	if !b.at.Stored.IsZero() {
		rewind = source.After(b.at.Stored)
	}
	b.at = stream.Position{Receiver: b.receiver, Stream: info.Created}
	b.done, b.doneAt = 0, time.Time{}
	return rewind, nil
}

// openConsumer has the consumer begin at the position. The position is written before a
// consumer is deleted, in case the daemon dies in between.
func (b *Inbox) openConsumer(ctx context.Context, was *stream.Position, rewind *source.Start) (err error) {
	b.consumer, err = b.queue.Open(ctx, b.js, func(have *jetstream.ConsumerInfo) (*source.Start, error) {
		switch {
		case have == nil && was == nil:
			return source.FromNew(), nil
		case rewind != nil:
			start := rewind
			rewind = nil // the new consumer begins where it should
			return start, nil
		case have == nil:
			return source.From(b.at.Done + 1), nil
		}

		raise(&b.at, have.AckFloor.Stream)
		isThere := have.NumAckPending == 0 && b.at.Done == have.AckFloor.Stream
		if isThere && have.Config.AckPolicy == jetstream.AckAllPolicy {
			return nil, nil
		}
		return source.From(b.at.Done + 1), b.writePosition(ctx)
	})
	return err
}

// Exists reports whether the queue of the receiver exists on the server.
func (b *Inbox) Exists(ctx context.Context) (bool, error) {
	have, err := b.queue.Look(ctx, b.js)
	return have != nil, err
}

// Ack acknowledges a message and all before it.
func (b *Inbox) Ack(ctx context.Context, last jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	b.rememberTime(last)

	// A stop must not wait for an answer that never comes.
	return health.Unbroken(ctx, b.js.Conn(), func(ctx context.Context) error {
		if err := last.DoubleAck(ctx); err != nil {
			return fmt.Errorf("acknowledge notifications: %w", err)
		}
		return nil
	})
}

// rememberTime remembers when the stream stored the last message that was delivered.
func (b *Inbox) rememberTime(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil || meta.Sequence.Stream != b.at.Done {
		return
	}
	b.at.Stored = meta.Timestamp
	if b.done == b.at.Done {
		b.doneAt = meta.Timestamp
	}
	b.memory.remember(b.Name(), b.at)
}

// Next waits up to a time for a notification. The result is empty if none arrived.
func (b *Inbox) Next(ctx context.Context, wait time.Duration) ([]jetstream.Msg, error) {
	soon, cancel := context.WithTimeout(ctx, max(wait, 10*time.Millisecond))
	defer cancel()
	m, err := b.consumer.Next(jetstream.FetchContext(soon))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return nil, b.checkArrived(ctx)
	case err != nil:
		return nil, fmt.Errorf("wait for notifications: %w", err)
	}
	return b.appendFresh(nil, m)
}

// More returns the notifications that are available now, up to count messages and size
// bytes; the last request may exceed size.
func (b *Inbox) More(ctx context.Context, count, size int) (msgs []jetstream.Msg, err error) {
	for len(msgs) < count && size > 0 {
		got, err := b.consumer.FetchNoWait(min(chunk, count-len(msgs)))
		if err != nil {
			return nil, fmt.Errorf("fetch notifications: %w", err)
		}

		n := 0
		for m := range got.Messages() {
			if msgs, err = b.appendFresh(msgs, m); err != nil {
				return nil, err
			}
			size -= len(m.Data())
			n++
		}
		if err := got.Error(); err != nil {
			return nil, fmt.Errorf("fetch notifications: %w", err)
		}
		if n == 0 || ctx.Err() != nil {
			return msgs, ctx.Err()
		}
	}
	return msgs, nil
}

// appendFresh appends a message that is delivered for the first time.
func (b *Inbox) appendFresh(msgs []jetstream.Msg, m jetstream.Msg) ([]jetstream.Msg, error) {
	meta, err := m.Metadata()
	if err != nil {
		return msgs, fmt.Errorf("read a message's metadata: %w", err)
	}
	fresh, err := b.order.Next(meta)
	if err != nil || !fresh {
		return msgs, err
	}
	return append(msgs, m), nil
}

// checkArrived returns ErrReopen if the server has sent notifications that did not arrive.
func (b *Inbox) checkArrived(ctx context.Context) error {
	var info *jetstream.ConsumerInfo
	err := health.Unbroken(ctx, b.js.Conn(), func(ctx context.Context) (err error) {
		info, err = b.consumer.Info(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", b.Name(), err)
	}
	if info.Delivered.Consumer != b.order.Seen {
		return ErrReopen
	}
	return nil
}
