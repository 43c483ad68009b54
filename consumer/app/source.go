package app

import (
	"context"
	"errors"
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

// durableSource reads with a durable consumer that acknowledges all up to a
// message. It is for one daemon: a second one would take away half of the
// messages.
type durableSource struct {
	msgs jetstream.MessagesContext
	next chan jetstream.Msg
	errs chan error
	last jetstream.Msg
}

func newDurableSource(ctx context.Context, js jetstream.JetStream) (*durableSource, error) {
	cfg := jetstream.ConsumerConfig{
		Durable: durableName, AckPolicy: jetstream.AckAllPolicy, AckWait: ackWait, MaxDeliver: -1,
		MaxAckPending: 4 * batchSize, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	old, err := js.Consumer(ctx, stream.Events, durableName)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return nil, fmt.Errorf("look up consumer %s: %w", durableName, err)
	case old.CachedInfo().NumAckPending > 0:
		// Messages that we had and did not acknowledge would come back after
		// AckWait, behind younger ones. A new consumer has them first. If this
		// is as far as we get, everything is read again, which changes nothing:
		// records know the sequence they are of, and so do alerts.
		floor := old.CachedInfo().AckFloor.Stream
		if err := js.DeleteConsumer(ctx, stream.Events, durableName); err != nil {
			return nil, fmt.Errorf("rewind consumer %s: %w", durableName, err)
		}
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, floor+1
	default:
		was := old.CachedInfo().Config
		cfg.DeliverPolicy, cfg.OptStartSeq = was.DeliverPolicy, was.OptStartSeq
	}
	durable, err := js.CreateOrUpdateConsumer(ctx, stream.Events, cfg)
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", durableName, err)
	}
	msgs, err := durable.Messages(jetstream.PullMaxMessages(batchSize), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, fmt.Errorf("read from consumer %s: %w", durableName, err)
	}
	s := &durableSource{msgs: msgs, next: make(chan jetstream.Msg, batchSize), errs: make(chan error, 1)}
	go func() {
		defer close(s.next)
		for {
			m, err := msgs.Next()
			if err != nil {
				s.errs <- err
				return
			}
			s.next <- m
		}
	}()
	return s, nil
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
