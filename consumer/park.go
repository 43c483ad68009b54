package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// Headers of a parked message, beside those it had.
const (
	HeaderParkedReason   = "Supernats-Parked-Reason"
	HeaderParkedConsumer = "Supernats-Parked-Consumer"
	HeaderParkedStream   = "Supernats-Parked-Stream"
	HeaderParkedSeq      = "Supernats-Parked-Seq"
	HeaderParkedSubject  = "Supernats-Parked-Subject"
	HeaderParkedTries    = "Supernats-Parked-Tries"
)

type parkError struct{ error }

func (e parkError) Unwrap() error { return e.error }

// Park marks a Handler's error for which no further try makes sense: the
// message is parked at once.
func Park(err error) error { return parkError{err} }

func isPark(err error) bool { return errors.As(err, new(parkError)) }

// park copies a message to the stream of parked ones and takes it from the
// consumer when it is stored there.
func (c *Consumer) park(ctx context.Context, raw jetstream.Msg, m *Message, reason error) error {
	if err := ParkMessage(ctx, c.cfg.JetStream, c.cfg.Stream, c.cfg.Durable, raw, reason); err != nil {
		return err
	}
	c.log.Error().Err(reason).Uint64("seq", m.Seq).Str("subject", m.Subject).Int("tries", m.Tries).
		Str("parked", stream.ParkedSubject(c.cfg.Durable)).Msg("message is parked")
	if err := raw.TermWithReason("parked by " + c.cfg.Durable); err != nil {
		return fmt.Errorf("take message %d from the consumer: %w", m.Seq, err)
	}
	return nil
}

// ParkMessage stores a copy of a message of a stream, with the reason why a
// consumer gives it up. Parking it twice stores it once.
func ParkMessage(ctx context.Context, js jetstream.JetStream, from, durable string, raw jetstream.Msg, reason error) error {
	meta, err := raw.Metadata()
	if err != nil {
		return fmt.Errorf("read a message's metadata: %w", err)
	}
	seq := strconv.FormatUint(meta.Sequence.Stream, 10)
	p := &nats.Msg{Subject: stream.ParkedSubject(durable), Data: raw.Data(), Header: nats.Header{}}
	maps.Copy(p.Header, raw.Headers())
	p.Header.Del(stream.HeaderTTL)
	p.Header.Set(HeaderParkedReason, reason.Error())
	p.Header.Set(HeaderParkedConsumer, durable)
	p.Header.Set(HeaderParkedStream, from)
	p.Header.Set(HeaderParkedSeq, seq)
	p.Header.Set(HeaderParkedSubject, raw.Subject())
	p.Header.Set(HeaderParkedTries, strconv.FormatUint(meta.NumDelivered, 10))
	if _, err := js.PublishMsg(ctx, p, jetstream.WithMsgID(from+"/"+durable+"/"+seq)); err != nil {
		return fmt.Errorf("park message %s of %s (%w): %w", seq, from, reason, err)
	}
	return nil
}
