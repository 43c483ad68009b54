package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// errNoRight says that we may not read the stream.
var errNoRight = errors.New("not allowed to read what the stream has")

// headerReader reads the headers of our own messages in the stream, over one connection.
type headerReader struct {
	js     jetstream.JetStream
	stream string
	// consumer is the name of the consumer that reads, filter what it reads.
	consumer, filter string
	denied           <-chan error // what the server did not permit
	// permitted is called when the server lets us read.
	permitted func()
}

// span is what is read: the messages that from selects, up to the one with the sequence
// last, or, if that is 0, up to the last there is. If patient, last is waited for.
type span struct {
	from    jetstream.ConsumerConfig
	last    uint64
	patient bool
}

// onHeader is called for each message. id is its message id without what was added to
// send it again.
type onHeader func(subject, id string, seq uint64)

// lastPerSubject selects the last message on each subject.
var lastPerSubject = jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}

// startingAt selects the messages from a sequence on.
func startingAt(seq uint64) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: seq}
}

// read calls each for the messages of a span. The error is errNoRight (wrapped) if we are
// not allowed to read.
func (r *headerReader) read(ctx context.Context, what span, each onHeader) error {
	ctx, cancel := untilDenied(ctx, r.denied)
	defer cancel(nil)

	cfg := what.from
	cfg.Name = r.consumer
	cfg.FilterSubject = r.filter
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
	defer func() { _ = r.js.DeleteConsumer(ctx, r.stream, cfg.Name) }()

	r.permitted()
	return r.fetch(ctx, consumer, what, each)
}

// readIDs returns the ids of the messages from the sequence first to the fence. The error
// is errNoRight (wrapped) if we are not allowed to read.
func (r *headerReader) readIDs(ctx context.Context, first, fence uint64) (map[messageID]struct{}, error) {
	ids := map[messageID]struct{}{}
	what := span{from: startingAt(first), last: fence, patient: true}
	err := r.read(ctx, what, func(_, id string, _ uint64) {
		ids[hashID(id)] = struct{}{}
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// fetch reads batches until the end of the span.
func (r *headerReader) fetch(ctx context.Context, consumer jetstream.Consumer, what span, each onHeader) error {
	begun := time.Now()
	for newest := begun; time.Since(newest) < readPatience; {
		batch, err := consumer.FetchNoWait(readBatch)
		if err != nil {
			return fmt.Errorf("read from consumer %s: %w", r.consumer, err)
		}

		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("read from consumer %s: %w", r.consumer, err)
			}
			each(m.Subject(), withoutAgain(m.Headers().Get(nats.MsgIdHdr)), meta.Sequence.Stream)
			if what.last > 0 && meta.Sequence.Stream >= what.last || !what.patient && meta.NumPending == 0 {
				return nil
			}
			newest = time.Now()
		}

		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("read from consumer %s: %w", r.consumer, err)
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
func (r *headerReader) createConsumer(ctx context.Context, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for try := 0; ; try++ {
		tryCtx, cancel := context.WithTimeout(ctx, ackTimeout)
		consumer, err := r.js.CreateConsumer(tryCtx, r.stream, cfg)
		cancel()
		if err == nil {
			return consumer, nil
		}
		if !errors.Is(err, jetstream.ErrConsumerExists) || try == 3 {
			return nil, fmt.Errorf("create consumer %s: %w", cfg.Name, err)
		}

		sleep(ctx, 300*time.Millisecond)
		if try > 0 {
			tryCtx, cancel := context.WithTimeout(ctx, ackTimeout)
			_ = r.js.DeleteConsumer(tryCtx, r.stream, cfg.Name)
			cancel()
		}
	}
}

// untilDenied returns a context that ends when the server denies something, since that
// gets no answer: with errNoRight if it was a request to JetStream.
func untilDenied(ctx context.Context, denied <-chan error) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case err := <-denied:
			if !refusal.ConcernsPublishing(err) {
				err = fmt.Errorf("%w: %w", errNoRight, err)
			}
			cancel(err)
		}
	}()
	return ctx, cancel
}

// reportNoRight reports, once, that we may not read the stream.
func (p *Publisher) reportNoRight(err error) {
	if p.noRight {
		return
	}
	p.noRight = true

	name := p.cfg.Stream + "." + p.cfg.Fence.Consumer
	fix := "allow this user to publish on $JS.API.CONSUMER.CREATE." + name + "." + p.cfg.Fence.Filter +
		", $JS.API.CONSUMER.MSG.NEXT." + name + " and $JS.API.CONSUMER.DELETE." + name
	text := "not allowed to read what the stream already holds: after an outage longer than " +
		"the stream's duplicate window events may be stored twice"
	p.raise(CauseLook, text+": "+err.Error(), fix)
	p.cfg.Log.Warn().Err(err).Str("fix", fix).Msg(text)
}

// clearNoRight notes that we may read the stream.
func (p *Publisher) clearNoRight() {
	if p.noRight {
		p.noRight = false
		p.clear(CauseLook)
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
