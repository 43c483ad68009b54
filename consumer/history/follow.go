package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	// Progress is called after each message with how many of all are read, if the query does
	// not follow; may be nil.
	Progress func(read, total uint64)
}

// Event is an event as it was stored, and decoded. It is valid until the function that gets
// it returns.
type Event struct {
	*schema.CloudEvent[*schema.Event]
	// Message is what the stream holds.
	Message jetstream.Msg

	stored time.Time
}

// Happened returns when it happened by the server's clock, also where that of its host is
// wrong.
func (ev *Event) Happened() time.Time {
	sent := state.Meta{Stored: ev.stored, Sent: consumer.SentAt(ev.Message.Headers())}
	return ev.Time.Add(state.ShiftBy(nil, sent, ev.Time.Time))
}

// EventReader reads events from the stream, oldest first.
type EventReader struct {
	query  EventQuery
	reader *Reader
	// events is an ordered consumer: it resumes after a lost connection where it was.
	events jetstream.Consumer
	// last is the sequence after which a reading ends that does not follow.
	last uint64
	// pending is how many messages the stream holds that were not read, total how many it
	// held at the beginning.
	pending, total uint64
	// current is what Each hands out.
	current Event
}

// Events starts to read events. Each returns them.
func (r *Reader) Events(ctx context.Context, q EventQuery) (*EventReader, error) {
	s, err := r.JS.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w "+
			"(it is created by `supernats consume` and by the first supernats-bridge)", stream.Events, err)
	}
	e := &EventReader{query: q, reader: r, last: s.CachedInfo().State.LastSeq}

	if e.events, err = e.open(ctx, s); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	e.total = e.events.CachedInfo().NumPending
	e.pending = e.total
	return e, nil
}

// mostly is the share of messages from which on all are read, four in five.
const mostly = 0.8

// open returns a consumer of what the query asks for. Where that is most of what is stored
// it is one of everything: a server takes 15 µs to find the next message of a filter, and 3
// to send the next one of all.
func (e *EventReader) open(ctx context.Context, s jetstream.Stream) (jetstream.Consumer, error) {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: e.query.Filter.Subjects()}
	since := e.query.Period.Since
	switch {
	case !since.IsZero():
		// By the time of storing, which is never before that of the event.
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	case e.query.Follow:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	}

	filtered, err := s.OrderedConsumer(ctx, cfg)
	if err != nil || e.query.Follow || filtered.CachedInfo().NumPending < worthAll {
		return filtered, err
	}
	cfg.FilterSubjects = nil
	all, err := s.OrderedConsumer(ctx, cfg)
	if err != nil || float64(filtered.CachedInfo().NumPending) < mostly*float64(all.CachedInfo().NumPending) {
		return filtered, nil // perhaps this user may not read all
	}
	return all, nil
}

// worthAll is how many messages make it worth a request to find out what there is else.
const worthAll = 10_000

// storeDelay is how much later than it happened an event may be stored.
const storeDelay = time.Second

// Each calls handle for every event that the query asks for, and idle when all that the
// stream holds was handled. It returns nil when the query is answered or ctx is canceled. A
// message that is no event is only warned about.
func (e *EventReader) Each(ctx context.Context, handle func(*Event) error, idle func() error) error {
	if !e.query.Follow {
		return e.readStored(ctx, handle, idle)
	}

	waiting := ctx
	if !e.query.Period.Until.IsZero() {
		var cancel context.CancelFunc
		waiting, cancel = context.WithDeadline(ctx, e.query.Period.Until.Add(storeDelay))
		defer cancel()
	}
	if waiting.Err() != nil && e.pending == 0 {
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
			if periodIsOver && e.pending > 0 {
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

		done, err := e.take(raw, &handled, handle, idle)
		if err != nil || done {
			return err
		}
	}
}

// take handles a message, and reports whether it was the last one that the query asks for.
func (e *EventReader) take(
	raw jetstream.Msg, handled *int, handle func(*Event) error, idle func() error,
) (done bool, err error) {
	meta, err := raw.Metadata()
	if err != nil {
		return false, err
	}
	if ev := e.matching(raw, meta); ev != nil {
		if err := handle(ev); err != nil {
			return false, err
		}
		*handled++
	}

	if e.pending = meta.NumPending; e.pending == 0 {
		if err := idle(); err != nil {
			return false, err
		}
	}
	return e.isDone(*handled, meta), nil
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
	return !e.query.Follow && (e.pending == 0 || meta.Sequence.Stream >= e.last)
}

// matching returns a message as an event, nil if the query does not ask for it. The period
// is compared with when an event happened, also where its host's clock is wrong.
func (e *EventReader) matching(raw jetstream.Msg, meta *jetstream.MsgMetadata) *Event {
	if !strings.HasPrefix(raw.Subject(), schema.EventPrefix) {
		return nil
	}
	ce, err := (&consumer.Message{Subject: raw.Subject(), Data: raw.Data()}).Event()
	if err != nil {
		e.reader.warn("message on %q: %v", raw.Subject(), err)
		return nil
	}
	if !e.query.Filter.Match(ce.Data) {
		return nil
	}

	e.current = Event{CloudEvent: ce, Message: raw, stored: meta.Timestamp}
	if p := e.query.Period; !p.IsOpen() && !p.Contains(schema.Time{Time: e.current.Happened()}) {
		return nil
	}
	return &e.current
}
