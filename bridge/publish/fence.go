package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"supernats/bridge/publish/acks"
	"supernats/bridge/publish/refusal"
	"supernats/bridge/publish/rivals"
	"supernats/schema/stream"
)

// Fence is how a publisher finds out, when it begins again, which messages of its source
// the stream already holds. It publishes a message of its own, whose sequence is the fence,
// and reads the ids of all messages between the last acknowledgement it knows of and the
// fence. Those are stored, and no others are, however long ago the stream's duplicate window
// ended. A message that was never sent is never taken for stored, whoever else publishes
// under the same names.
//
// What was sent over the connection before may still reach the stream after the fence, out
// of some buffer. The duplicate window covers that: a server closes a connection that is
// silent for minutes.
type Fence struct {
	// Record makes the message that is published.
	Record func() (*nats.Msg, error)
	// Consumer is the name of the consumer that reads. It is always the same, so that a
	// user's permissions can name it. Filter is what it reads.
	Consumer, Filter string
	// Replaced reports whether a message need not be sent if it may have been sent before:
	// Filter does not cover it, and a newer one follows.
	Replaced func(*nats.Msg) bool
	// Passed is called when the first record is stored after publishing has begun again, but
	// not after the publisher's first beginning.
	Passed func()
	// Self is how to recognise other supervisords that publish under our host's name, which
	// the same reading shows.
	Self rivals.Self
}

// passFence publishes the fence, if this session needs one, and finds out what is stored
// before it, if anything is in doubt.
func (s *session) passFence(ctx context.Context) error {
	p := s.p
	if p.sure && p.inDoubt > 0 {
		s.stored = p.known // every answer came: there is nothing to find out
	}
	toFind := p.inDoubt > 0 && !p.sure
	if p.cfg.Fence == nil || !toFind && !s.reconnected {
		return nil
	}

	fence, err := s.publishFence(ctx)
	if err != nil {
		return err
	}
	s.proven = true
	if toFind {
		if err := s.findStored(ctx, fence); err != nil {
			return err
		}
	}

	s.callPassed = s.reconnected
	p.progress = false
	return nil
}

// findStored reads which messages the stream holds, up to the fence.
func (s *session) findStored(ctx context.Context, fence uint64) (err error) {
	p := s.p
	first := p.lastSeq + 1
	if fence <= p.lastSeq {
		first = 1 // the stream was created again
	}

	s.stored, err = s.headers.ReadIDs(ctx, first, fence)
	switch {
	case err == nil:
		s.fenced = true
		p.cfg.Log.Debug().Int("records", p.inDoubt).Int("messages", len(s.stored)).Uint64("seq", fence).
			Msg("read what the stream already holds of records that may have been sent before")
	case errors.Is(err, refusal.ErrNoRight):
		p.reportNoRight(err)
	default:
		return fmt.Errorf("read what the stream already holds: %w", err)
	}
	return nil
}

// publishFence publishes the fence and returns its sequence. Its id may have been used by
// somebody else, so two others are tried.
func (s *session) publishFence(ctx context.Context) (uint64, error) {
	for try := 0; ; try++ {
		m, err := s.p.cfg.Fence.Record()
		if err != nil {
			return 0, fmt.Errorf("make the record of a reconnect: %w", err)
		}
		if try > 0 {
			m.Header[nats.MsgIdHdr] = []string{s.p.taken.others.Make(m.Header.Get(nats.MsgIdHdr))}
		}

		ack, err := s.publishAlone(ctx, m)
		// The sequence of a duplicate is that of another message, see judge.
		if err != nil || !ack.Duplicate || try == 2 {
			return ack.Seq, err
		}
		s.p.reportTaken(m.Header.Get(nats.MsgIdHdr))
	}
}

// publishAlone publishes a message and waits for its answer.
func (s *session) publishAlone(ctx context.Context, m *nats.Msg) (acks.Answer, error) {
	m.Header[stream.HeaderSent] = s.clock.header()
	number, err := s.acks.Publish(m)
	if err != nil {
		return acks.Answer{}, fmt.Errorf("publish on %s: %w", m.Subject, err)
	}

	for {
		select {
		case <-ctx.Done():
			return acks.Answer{}, ctx.Err()
		case err := <-s.denied:
			if refusal.ConcernsPublishing(err) {
				return acks.Answer{}, err
			}
		case <-s.acks.Await(number):
			ack, _ := s.acks.Take(number)
			return ack, s.check(inflight{subject: m.Subject, size: len(m.Data)}, ack)
		}
	}
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

// clearNoRight notes that we may read the stream, and ends the trouble.
func (p *Publisher) clearNoRight() {
	if p.noRight {
		p.noRight = false
		p.clear(CauseLook)
	}
}
