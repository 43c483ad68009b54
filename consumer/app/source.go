package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/schema/stream"
)

// source is how the daemon reads the stream of events.
type source interface {
	// Batch waits for messages, up to a time, and returns what is there, in the order
	// of the stream. What it returns is valid until the next call.
	Batch(ctx context.Context, wait time.Duration) ([]received, error)
	// Now returns the server's time; all says that Batch has returned every message
	// that was stored before it. Its error is errPaused while somebody keeps messages
	// back.
	Now(ctx context.Context) (now time.Time, all bool, err error)
	// Done says that all effects of the messages returned so far are stored.
	// What was not done comes again, in order, after a restart.
	Done(ctx context.Context) error
	// Close lets go of what Batch holds.
	Close()
}

// received is a message that was read.
type received struct {
	consumer.Message
	raw  jetstream.Msg
	meta *jetstream.MsgMetadata
}

// errPaused says that somebody has paused the consumer.
var errPaused = errors.New("consumer is paused")

func receive(raw jetstream.Msg, l lineage) (received, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return received{}, fmt.Errorf("read a message's metadata: %w", err)
	}
	return received{
		Message: consumer.Message{Subject: raw.Subject(), Data: raw.Data(), Seq: l.position(meta.Sequence.Stream), Stored: meta.Timestamp, Sent: consumer.SentAt(raw.Headers()), Tries: 1},
		raw:     raw, meta: meta,
	}, nil
}

// durableName is the consumer under which the server remembers where we are.
const durableName = "supernats"

const (
	batchSize = 1000
	ackWait   = 30 * time.Second
	// heartbeat is how often the server says that a request for messages still
	// stands; after two that are missing it is made again.
	heartbeat = 5 * time.Second
)

// durableSource reads the stream of events with a durable consumer that
// acknowledges all up to a message. It is for one daemon: a second one would take
// away half of the messages.
type durableSource struct {
	consumer jetstream.Consumer
	msgs     jetstream.MessagesContext
	// begun is how many messages the consumer had delivered before, floor the
	// sequence of the last message that will not come again.
	begun, floor uint64
	last         received // that Batch has returned; raw is nil if there was none
	batch        []received
	lineage      lineage
	continuity   continuity

	news chan struct{} // holds a value while there may be something in ahead
	mu   sync.Mutex
	room sync.Cond // for more in ahead
	// ahead is what was read and not returned, at most readAhead messages; aheadBytes
	// is what they take, at most that and one message more.
	ahead      []received
	aheadBytes int
	ended      error
	closed     bool
}

const (
	// readAhead is how many messages are decoded from the wire before they are wanted,
	// maxAhead how many bytes: one host may send a thousand of a megabyte each.
	readAhead = 4 * batchSize
	maxAhead  = 32 << 20
)

// pullBytes is how much the server may send for one request: what is in the client's
// memory. It must be more than a message can be.
func pullBytes(js jetstream.JetStream) int { return max(maxAhead, 2*int(js.Conn().MaxPayload())) }

// reading is what is known of the stream of events before it is read.
type reading struct {
	lineages *lineages
	// read is the last message that any record knows, acked the last one whose effects
	// are all stored.
	read, acked place
	// highest returns the highest position in any record.
	highest func(ctx context.Context) (uint64, error)
}

func newDurableSource(ctx context.Context, js jetstream.JetStream, known reading, log zerolog.Logger) (*durableSource, error) {
	events, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	was, err := known.lineages.open(ctx, js, log)
	if err != nil {
		return nil, err
	}
	line, continuity, err := continues(ctx, events, was, known.read)
	if err != nil {
		return nil, err
	}

	q := durable{stream: stream.Events, name: durableName, ackWait: ackWait}
	floor, made := uint64(0), false
	c, err := q.open(ctx, js, func(have *jetstream.ConsumerInfo) (*beginning, error) {
		if have != nil {
			floor = have.AckFloor.Stream
		}
		switch {
		case made && have != nil && have.NumAckPending == 0:
			return nil, nil
		case continuity == isOther:
			made = true
			return from(1), nil
		case continuity == isBack && !known.read.stored.IsZero():
			made = true
			return after(known.read.stored), nil
		case have == nil && line.seq(known.acked.position) > 0:
			return from(line.seq(known.acked.position) + 1), nil
		case have == nil:
			return &beginning{policy: jetstream.DeliverAllPolicy}, nil
		case have.NumAckPending > 0:
			// If this is as far as we get, everything is read again, which changes
			// nothing: records know the sequence they are of, and so do alerts.
			return from(have.AckFloor.Stream + 1), nil
		}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	if continuity != isSame {
		floor = c.CachedInfo().Delivered.Stream
		highest, err := known.highest(ctx)
		if err != nil {
			return nil, err
		}
		// The next message comes after all that were read. Of another stream that is
		// the first one.
		line.Base = max(line.Base, max(highest, known.read.position, floor)-floor)
		log.Warn().Time("created", line.Stream).Uint64("last_seq", events.CachedInfo().State.LastSeq).Uint64("read", known.read.position).
			Msg("stream of events is another one than before, or was restored from a backup; reading what is new in it")
	}
	if err := known.lineages.set(ctx, line); err != nil {
		return nil, err
	}

	msgs, err := c.Messages(jetstream.PullMaxMessagesWithBytesLimit(batchSize, pullBytes(js)), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, fmt.Errorf("read from consumer %s: %w", durableName, err)
	}
	s := &durableSource{consumer: c, msgs: msgs, news: make(chan struct{}, 1), begun: c.CachedInfo().Delivered.Consumer, floor: floor, lineage: line, continuity: continuity}
	s.room.L = &s.mu
	go func() {
		err := s.read(contiguous{seen: s.begun})
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = err
		s.tell()
	}()
	return s, nil
}

// tell wakes Batch.
func (s *durableSource) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *durableSource) read(order contiguous) error {
	for {
		raw, err := s.msgs.Next()
		if err != nil {
			return err
		}
		m, err := receive(raw, s.lineage)
		if err != nil {
			return err
		}
		fresh, err := order.next(m.meta)
		if err != nil {
			return err
		}
		if fresh {
			s.put(m)
		}
	}
}

func (s *durableSource) put(m received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for (len(s.ahead) >= readAhead || s.aheadBytes >= maxAhead) && !s.closed {
		s.room.Wait()
	}
	s.ahead = append(s.ahead, m)
	s.aheadBytes += len(m.Data)
	if len(s.ahead) == 1 {
		s.tell()
	}
}

func (s *durableSource) Batch(ctx context.Context, wait time.Duration) ([]received, error) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
		return nil, nil
	case <-s.news:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ahead) == 0 {
		if s.ended != nil {
			return nil, fmt.Errorf("read from consumer %s: %w", durableName, s.ended)
		}
		return nil, nil
	}
	clear(s.batch)
	s.batch, s.ahead, s.aheadBytes = s.ahead, s.batch[:0], 0
	s.last = s.batch[len(s.batch)-1]
	s.room.Signal()
	if s.ended != nil {
		s.tell() // of the end, next time
	}
	return s.batch, nil
}

func (s *durableSource) Now(ctx context.Context) (time.Time, bool, error) {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look up consumer %s: %w", durableName, err)
	}
	read := s.begun
	if s.last.raw != nil {
		read = s.last.meta.Sequence.Consumer
	}
	if info.Paused && info.NumPending > 0 {
		return info.TimeStamp, false, errPaused
	}
	return info.TimeStamp, info.NumPending == 0 && info.Delivered.Consumer <= read, nil
}

func (s *durableSource) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.last.raw.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

func (s *durableSource) Close() {
	s.msgs.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.room.Signal()
}
