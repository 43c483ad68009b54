// Package source reads streams in order: Events is the stream of events as the daemon
// follows it, Replay reads what it holds once, and Queue is a consumer of which no message
// is lost, as deliveries use it too. A Lineage knows a stream again that was deleted,
// or restored from a backup.
//
// Events reads ahead at most 4,000 messages, or 32 MiB and one message, which may be as
// large as the server allows; then the server keeps the rest until Batch has taken them.
package source

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

const (
	batchSize = 1000
	// readAhead is how many messages are decoded from the wire before they are wanted,
	// maxAhead how many bytes: one host may send a thousand of a megabyte each.
	readAhead = 4 * batchSize
	maxAhead  = 32 << 20
	ackWait   = 30 * time.Second
	// ackTimeout is how long the server may take to answer an acknowledgement.
	ackTimeout = 5 * time.Second
	// heartbeat is the interval of the server's heartbeats for a pending request; after two
	// missing ones nats.go repeats the request.
	heartbeat = 5 * time.Second
)

// ErrPaused means that somebody has paused the consumer.
var ErrPaused = errors.New("consumer is paused")

// EventsQueue is the consumer under which the server remembers what the daemon has seen
// of the stream of events.
var EventsQueue = Queue{Stream: stream.Events, Name: stream.EventsConsumer, AckWait: ackWait}

// Received is a message that was read. Its Seq is a position.
type Received struct {
	consumer.Message
	Raw  jetstream.Msg
	Meta *jetstream.MsgMetadata
}

// Receive decodes the metadata of a message of the stream of events.
func Receive(raw jetstream.Msg, l Lineage) (Received, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return Received{}, fmt.Errorf("read a message's metadata: %w", err)
	}
	return Received{
		Message: consumer.Message{
			Subject: raw.Subject(), Data: raw.Data(), Seq: l.Position(meta.Sequence.Stream), Stored: meta.Timestamp,
			Sent: consumer.SentAt(raw.Headers()), Tries: 1,
		},
		Raw: raw, Meta: meta,
	}, nil
}

// Known is what is known of the stream of events before it is read.
type Known struct {
	Lineages *Lineages
	// Read is the last message that any record knows, Acked the last one whose effects
	// are all stored.
	Read, Acked Place
	// Highest returns the highest position in any record.
	Highest func(ctx context.Context) (uint64, error)
}

// Events reads the stream of events with a durable consumer that acknowledges all messages
// up to one. Only one daemon may use it: a second one would get half of the messages.
//
// Its methods belong to one goroutine; readAhead runs in another one, and shares with them
// what mu guards.
type Events struct {
	// Floor is the sequence of the last message that is not delivered again. Lineage maps
	// sequences to positions, Continuity relates the stream to the one that was read
	// before. All are set once, by Open.
	Floor      uint64
	Lineage    Lineage
	Continuity Continuity

	consumer jetstream.Consumer
	msgs     jetstream.MessagesContext
	// begun is how many messages the consumer had delivered before.
	begun uint64
	last  Received // that Batch has returned; Raw is nil if there was none
	batch []Received

	// news holds a value while there may be something in ahead.
	news chan struct{}

	mu   sync.Mutex
	room sync.Cond // for more in ahead
	// ahead is what was read and not returned, at most readAhead messages; aheadBytes is
	// what they take, at most maxAhead and one message more.
	ahead      []Received
	aheadBytes int
	ended      error // why reading has ended
	closed     bool
}

// Open begins to read after the last message whose effects are stored. Close ends it.
func Open(ctx context.Context, js jetstream.JetStream, known Known, log zerolog.Logger) (*Events, error) {
	events, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	was, err := known.Lineages.Open(ctx, js, log)
	if err != nil {
		return nil, err
	}
	line, continuity, err := continues(ctx, events, was, known.Read)
	if err != nil {
		return nil, err
	}

	c, floor, err := openConsumer(ctx, js, known, line, continuity)
	if err != nil {
		return nil, err
	}
	if continuity != IsSame {
		floor = c.CachedInfo().Delivered.Stream
		highest, err := known.Highest(ctx)
		if err != nil {
			return nil, err
		}
		// The next message gets a position after all that were read. In a new stream it is
		// the first message.
		line.Base = max(line.Base, max(highest, known.Read.Position, floor)-floor)
		log.Warn().Time("created", line.Stream).Uint64("last_seq", events.CachedInfo().State.LastSeq).
			Uint64("read", known.Read.Position).
			Msg("stream of events is another one than before, or was restored from a backup; reading what is new in it")
	}
	if err := known.Lineages.store(ctx, line); err != nil {
		return nil, err
	}
	return read(js, c, &Events{Floor: floor, Lineage: line, Continuity: continuity})
}

// openConsumer returns the consumer, and the sequence up to which it has everything
// acknowledged.
func openConsumer(
	ctx context.Context, js jetstream.JetStream, known Known, line Lineage, continuity Continuity,
) (c jetstream.Consumer, floor uint64, err error) {
	made := false
	c, err = EventsQueue.Open(ctx, js, func(have *jetstream.ConsumerInfo) (*Start, error) {
		if have != nil {
			floor = have.AckFloor.Stream
		}

		switch {
		case made && have != nil && have.NumAckPending == 0:
			return nil, nil
		case continuity == IsOther:
			made = true
			return From(1), nil
		case continuity == IsBack && !known.Read.Stored.IsZero():
			made = true
			return After(known.Read.Stored), nil
		case have == nil && line.Seq(known.Acked.Position) > 0:
			return From(line.Seq(known.Acked.Position) + 1), nil
		case have == nil:
			return FromAll(), nil
		case have.NumAckPending > 0:
			// If the daemon dies now, everything is read again, which changes nothing:
			// records and alerts know their positions.
			return From(have.AckFloor.Stream + 1), nil
		}
		return nil, nil
	})
	return c, floor, err
}

// read starts to read ahead.
func read(js jetstream.JetStream, c jetstream.Consumer, s *Events) (*Events, error) {
	limits := jetstream.PullMaxMessagesWithBytesLimit(batchSize, pullBytes(js))
	msgs, err := c.Messages(limits, jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, fmt.Errorf("read from consumer %s: %w", EventsQueue.Name, err)
	}
	s.consumer, s.msgs = c, msgs
	s.begun = c.CachedInfo().Delivered.Consumer
	s.news = make(chan struct{}, 1)
	s.room.L = &s.mu

	go func() {
		err := s.readAhead(Order{Seen: s.begun})
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = err
		s.wake()
	}()
	return s, nil
}

// pullBytes is how much the server may send for one request: what is in the client's
// memory. It must be more than a message can be.
func pullBytes(js jetstream.JetStream) int { return max(maxAhead, 2*int(js.Conn().MaxPayload())) }

// wake has Batch look into ahead.
func (s *Events) wake() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *Events) readAhead(order Order) error {
	for {
		raw, err := s.msgs.Next()
		if err != nil {
			return err
		}
		m, err := Receive(raw, s.Lineage)
		if err != nil {
			return err
		}
		fresh, err := order.Next(m.Meta)
		if err != nil {
			return err
		}
		if fresh {
			s.put(m)
		}
	}
}

func (s *Events) put(m Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for (len(s.ahead) >= readAhead || s.aheadBytes >= maxAhead) && !s.closed {
		s.room.Wait()
	}

	s.ahead = append(s.ahead, m)
	s.aheadBytes += len(m.Data)
	if len(s.ahead) == 1 {
		s.wake()
	}
}

// Batch waits up to a time for messages and returns those that have arrived, in the order
// of the stream. The result is valid until the next call.
func (s *Events) Batch(ctx context.Context, wait time.Duration) ([]Received, error) {
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
			return nil, fmt.Errorf("read from consumer %s: %w", EventsQueue.Name, s.ended)
		}
		return nil, nil
	}
	clear(s.batch)
	s.batch, s.ahead = s.ahead, s.batch[:0]
	s.aheadBytes = 0
	s.last = s.batch[len(s.batch)-1]
	s.room.Signal()
	if s.ended != nil {
		s.wake() // the next call returns the error
	}
	return s.batch, nil
}

// Now returns the server's time; all reports that Batch has returned every message that
// was stored before it. Its error is ErrPaused while somebody keeps messages back.
func (s *Events) Now(ctx context.Context) (now time.Time, all bool, err error) {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look up consumer %s: %w", EventsQueue.Name, err)
	}
	if info.Paused && info.NumPending > 0 {
		return info.TimeStamp, false, ErrPaused
	}

	returned := s.begun
	if s.last.Raw != nil {
		returned = s.last.Meta.Sequence.Consumer
	}
	return info.TimeStamp, info.NumPending == 0 && info.Delivered.Consumer <= returned, nil
}

// Done acknowledges the messages that Batch has returned: all of their effects are stored.
// After a restart, what was not acknowledged is delivered again, in order.
func (s *Events) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	if err := s.last.Raw.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

// Close ends reading and drops what Batch has not returned.
func (s *Events) Close() {
	s.msgs.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.room.Signal()
}
