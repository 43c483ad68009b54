// Package headers reads the headers of our own messages in the stream. By their message
// ids the publisher knows what the stream already holds, by their subjects who else
// publishes under its host's name.
//
// Under pressure: readBatch headers are asked for at a time, without payloads, by a
// consumer that is deleted afterwards, or by the server when its bridge has died. A read
// that is denied ends at once; one that waits for a last message which does not come, after
// readPatience.
package headers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/ids"
	"supernats/bridge/publish/refusal"
)

const (
	// readBatch is how many headers are asked for at a time.
	readBatch = 1000
	// readPatience is how long the last message is waited for after what was read: a
	// replica may lag, and a stream with small limits may have removed it.
	readPatience = 3 * time.Second
	// consumerIdle is when the server removes a consumer whose bridge has died.
	consumerIdle = 10 * time.Second
)

// Reader reads over one connection. It belongs to the goroutine that publishes.
type Reader struct {
	JS     jetstream.JetStream
	Stream string
	// Consumer is the name of the consumer that reads, Filter what it reads.
	Consumer, Filter string
	// Timeout bounds the wait for one answer.
	Timeout time.Duration
	// Denied is what the server did not permit. During a read nobody else receives from it.
	Denied <-chan error
	// Permitted is called when the server lets us read.
	Permitted func()
}

// Span is what is read. If patient, the message with the sequence last is waited for.
type Span struct {
	from    jetstream.ConsumerConfig
	last    uint64 // the sequence of the last message that is read; 0: up to the last there is
	patient bool
}

// Last is the last message on each subject.
var Last = Span{from: jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}}

// Between is the messages from one sequence to another.
func Between(first, last uint64) Span {
	return Span{last: last, from: jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first,
	}}
}

// OnHeader is called for each message. id is its message id without what was added to
// send it again.
type OnHeader func(subject, id string, seq uint64)

// Read calls each for the messages of a span. The error is refusal.ErrNoRight (wrapped) if
// we are not allowed to read.
func (r *Reader) Read(ctx context.Context, what Span, each OnHeader) error {
	ctx, cancel := refusal.UntilDenied(ctx, r.Denied)
	defer cancel(nil)

	cfg := what.from
	cfg.Name = r.Consumer
	cfg.FilterSubject = r.Filter
	// The description makes it another consumer than the one that a bridge left when it
	// died: that one has delivered some already.
	cfg.Description = fmt.Sprintf("what a bridge reads when it begins again, up to %d, %d",
		what.last, time.Now().UnixNano())
	cfg.AckPolicy = jetstream.AckNonePolicy
	cfg.HeadersOnly = true
	cfg.MemoryStorage = true
	cfg.InactiveThreshold = consumerIdle
	consumer, err := r.createConsumer(ctx, cfg)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
			return cause
		}
		return err
	}
	defer func() { _ = r.JS.DeleteConsumer(ctx, r.Stream, cfg.Name) }()

	r.Permitted()
	return r.fetch(ctx, consumer, what, each)
}

// ReadIDs returns the ids of the messages from the sequence first to that of the fence,
// which is waited for. The error is refusal.ErrNoRight (wrapped) if we are not allowed to
// read.
func (r *Reader) ReadIDs(ctx context.Context, first, fence uint64) (ids.Set, error) {
	all := ids.Set{}
	what := Between(first, fence)
	what.patient = true
	err := r.Read(ctx, what, func(_, id string, _ uint64) { all.Add(ids.Of(id)) })
	if err != nil {
		return nil, err
	}
	return all, nil
}

// fetch reads batches until the end of the span.
func (r *Reader) fetch(ctx context.Context, consumer jetstream.Consumer, what Span, each OnHeader) error {
	begun := time.Now()
	for newest := begun; time.Since(newest) < readPatience; {
		batch, err := consumer.FetchNoWait(readBatch)
		if err != nil {
			return fmt.Errorf("read from consumer %s: %w", r.Consumer, err)
		}

		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("read from consumer %s: %w", r.Consumer, err)
			}
			each(m.Subject(), ids.WithoutAgain(m.Headers().Get(nats.MsgIdHdr)), meta.Sequence.Stream)
			if what.last > 0 && meta.Sequence.Stream >= what.last || !what.patient && meta.NumPending == 0 {
				return nil
			}
			newest = time.Now()
		}

		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("read from consumer %s: %w", r.Consumer, err)
		}
		if !what.patient && newest.Equal(begun) {
			return nil // there is nothing
		}
		if time.Since(newest) > time.Millisecond {
			sleep(ctx, 50*time.Millisecond)
		}
	}
	return nil
}

// createConsumer creates the consumer, in place of one that another listener of this host
// is reading with, or left when it died.
func (r *Reader) createConsumer(ctx context.Context, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for try := 0; ; try++ {
		tryCtx, cancel := context.WithTimeout(ctx, r.Timeout)
		consumer, err := r.JS.CreateConsumer(tryCtx, r.Stream, cfg)
		cancel()
		if err == nil {
			return consumer, nil
		}
		if !errors.Is(err, jetstream.ErrConsumerExists) || try == 3 {
			return nil, fmt.Errorf("create consumer %s: %w", cfg.Name, err)
		}

		sleep(ctx, 300*time.Millisecond)
		if try > 0 {
			tryCtx, cancel := context.WithTimeout(ctx, r.Timeout)
			_ = r.JS.DeleteConsumer(tryCtx, r.Stream, cfg.Name)
			cancel()
		}
	}
}

// sleep returns when d is over, or ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
