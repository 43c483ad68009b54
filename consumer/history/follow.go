package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// EventQuery says which events are read.
type EventQuery struct {
	Filter consumer.Filter
	Period Period
	// Limit is how many are returned at most, 0 for no limit.
	Limit int
	// Follow adds those to come, until Period ends. Without Period.Since only those to
	// come are read.
	Follow bool
}

// EventReader reads events from the stream, oldest first.
type EventReader struct {
	query  EventQuery
	reader *Reader
	// events is an ordered consumer: it resumes after a lost connection where it was.
	events jetstream.Consumer
	// last is the sequence after which a reading ends that does not follow.
	last uint64
	// pending says that the stream holds more than was read.
	pending bool
}

// Events starts to read events. Each returns them.
func (r *Reader) Events(ctx context.Context, q EventQuery) (*EventReader, error) {
	s, err := r.JS.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w "+
			"(it is created by `supernats consume` and by the first supernats-bridge)", stream.Events, err)
	}
	e := &EventReader{query: q, reader: r, last: s.CachedInfo().State.LastSeq}

	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: q.Filter.Subjects()}
	switch {
	case !q.Period.Since.IsZero():
		// By the time of storing, which is never before that of the event.
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &q.Period.Since
	case q.Follow:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	if e.events, err = s.OrderedConsumer(ctx, cfg); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	e.pending = e.events.CachedInfo().NumPending > 0
	return e, nil
}

// storeDelay is how much later than it happened an event may be stored.
const storeDelay = time.Second

// Each calls handle for every event that the query asks for, as it was stored and decoded,
// and idle when all that the stream holds was handled. It returns nil when the query is
// answered or ctx is canceled. A message that is no event is only warned about.
func (e *EventReader) Each(
	ctx context.Context, handle func(payload []byte, ce *schema.CloudEvent[*schema.Event]) error, idle func() error,
) error {
	waiting := ctx
	if e.query.Follow && !e.query.Period.Until.IsZero() {
		var cancel context.CancelFunc
		waiting, cancel = context.WithDeadline(ctx, e.query.Period.Until.Add(storeDelay))
		defer cancel()
	}
	if (!e.query.Follow || waiting.Err() != nil) && !e.pending {
		return nil
	}

	msgs, err := e.events.Messages()
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	defer msgs.Stop()
	for handled := 0; ; {
		raw, err := msgs.Next(jetstream.NextContext(waiting))
		if err != nil {
			periodIsOver := ctx.Err() == nil && waiting.Err() != nil
			if periodIsOver && e.pending {
				waiting = ctx
				if err := e.stopFollowing(ctx); err != nil {
					return err
				}
				continue
			}
			if periodIsOver || ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return nil
			}
			return fmt.Errorf("read stream %s: %w", stream.Events, err)
		}

		meta, err := raw.Metadata()
		if err != nil {
			return err
		}
		if ce := e.matching(raw, meta); ce != nil {
			if err := handle(raw.Data(), ce); err != nil {
				return err
			}
			handled++
		}

		if e.pending = meta.NumPending > 0; !e.pending {
			if err := idle(); err != nil {
				return err
			}
		}
		if e.isDone(handled, meta) {
			return nil
		}
	}
}

// stopFollowing ends the reading at what is stored now: the period is over, but not all
// that was stored by now was read.
func (e *EventReader) stopFollowing(ctx context.Context) error {
	s, err := e.reader.JS.Stream(ctx, stream.Events)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	e.query.Follow = false
	e.last = s.CachedInfo().State.LastSeq
	return nil
}

func (e *EventReader) isDone(handled int, meta *jetstream.MsgMetadata) bool {
	if e.query.Limit > 0 && handled == e.query.Limit {
		return true
	}
	return !e.query.Follow && (!e.pending || meta.Sequence.Stream >= e.last)
}

// matching returns a message as an event, nil if the query does not ask for it. The period
// is compared with when an event happened, also where its host's clock is wrong.
func (e *EventReader) matching(raw jetstream.Msg, meta *jetstream.MsgMetadata) *schema.CloudEvent[*schema.Event] {
	ce, err := (&consumer.Message{Subject: raw.Subject(), Data: raw.Data()}).Event()
	if err != nil {
		e.reader.warn("message on %q: %v", raw.Subject(), err)
		return nil
	}

	sent := state.Meta{Stored: meta.Timestamp, Sent: consumer.SentAt(raw.Headers())}
	happened := schema.Time{Time: ce.Time.Add(state.ShiftBy(nil, sent, ce.Time.Time))}
	if !e.query.Filter.Match(ce.Data) || !e.query.Period.Contains(happened) {
		return nil
	}
	return ce
}
