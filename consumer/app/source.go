package app

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// source is how the daemon reads the stream of events.
type source interface {
	// Batch waits for messages and returns what is there, at most a thousand, in
	// the order of the stream.
	Batch(ctx context.Context) ([]jetstream.Msg, error)
	// Done says that all effects of the messages returned so far are stored.
	// What was not done comes again, in order, after a restart.
	Done(ctx context.Context) error
	// Close lets go of what Batch holds.
	Close()
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
	msgs jetstream.MessagesContext
	next chan jetstream.Msg
	errs chan error
	last jetstream.Msg
}

func newDurableSource(ctx context.Context, js jetstream.JetStream) (*durableSource, error) {
	q := durable{stream: stream.Events, name: durableName, ackWait: ackWait}
	c, err := q.open(ctx, js, func(have *jetstream.ConsumerInfo) (*beginning, error) {
		switch {
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
	msgs, err := c.Messages(jetstream.PullMaxMessages(batchSize), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, fmt.Errorf("read from consumer %s: %w", durableName, err)
	}
	s := &durableSource{msgs: msgs, next: make(chan jetstream.Msg, batchSize), errs: make(chan error, 1)}
	go s.read(contiguous{seen: c.CachedInfo().Delivered.Consumer})
	return s, nil
}

func (s *durableSource) read(order contiguous) {
	defer close(s.next)
	for {
		m, err := s.msgs.Next()
		fresh := false
		if err == nil {
			fresh, err = order.next(m)
		}
		if err != nil {
			s.errs <- err
			return
		}
		if fresh {
			s.next <- m
		}
	}
}

func (s *durableSource) Batch(ctx context.Context) ([]jetstream.Msg, error) {
	var batch []jetstream.Msg
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case m, ok := <-s.next:
		if !ok {
			return nil, fmt.Errorf("read from consumer %s: %w", durableName, <-s.errs)
		}
		batch = append(batch, m)
	}
	for len(batch) < batchSize {
		select {
		case m, ok := <-s.next:
			if ok {
				batch = append(batch, m)
				continue
			}
		default:
		}
		break
	}
	s.last = batch[len(batch)-1]
	return batch, nil
}

func (s *durableSource) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.last.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

func (s *durableSource) Close() {
	s.msgs.Stop()
	for range s.next { // until the reader has seen it
	}
}
