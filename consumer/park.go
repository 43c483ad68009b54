package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

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
	// HeaderParkedCut is there if a message left no room for these headers: its
	// own are missing then, and so many bytes of its payload's end.
	HeaderParkedCut = "Supernats-Parked-Cut"
)

const (
	// maxReason is how much of a reason is kept.
	maxReason = 1 << 10
	// parkedRoom is more than our own headers take: a subject has up to 4 KB.
	parkedRoom = 8 << 10
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
	return ParkShort(ctx, js, from, durable, raw, reason, len(raw.Data()))
}

// ParkShort is ParkMessage that keeps at most so many bytes of the payload. If that is
// not all of it, the message's own headers are left out too; the rest can be read from
// the stream, by HeaderParkedSeq, as long as that keeps it.
func ParkShort(ctx context.Context, js jetstream.JetStream, from, durable string, raw jetstream.Msg, reason error, keep int) error {
	meta, err := raw.Metadata()
	if err != nil {
		return fmt.Errorf("read a message's metadata: %w", err)
	}
	seq := strconv.FormatUint(meta.Sequence.Stream, 10)
	p := &nats.Msg{Subject: stream.ParkedSubject(durable), Data: raw.Data(), Header: nats.Header{}}
	own := nats.Header{}
	own.Set(HeaderParkedReason, strings.ToValidUTF8(cut(reason.Error(), maxReason), ""))
	own.Set(HeaderParkedConsumer, durable)
	own.Set(HeaderParkedStream, from)
	own.Set(HeaderParkedSeq, seq)
	own.Set(HeaderParkedSubject, raw.Subject())
	own.Set(HeaderParkedTries, strconv.FormatUint(meta.NumDelivered, 10))
	// Those of NATS told the server what to do with the first copy: to let it
	// expire, to refuse it in any stream but the one named (Nats-Expected-Stream).
	maps.Copy(p.Header, raw.Headers())
	maps.DeleteFunc(p.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
	maps.Copy(p.Header, own)
	id := jetstream.WithMsgID(from + "/" + durable + "/" + seq)
	if keep < len(p.Data) {
		p.Header, p.Data = own, p.Data[:max(0, keep)]
		p.Header.Set(HeaderParkedCut, strconv.Itoa(len(raw.Data())-len(p.Data)))
	}
	_, err = js.PublishMsg(ctx, p, id)
	if tooBig(err) {
		// It was as big as the server allows before our headers came: were it not
		// cut, it would be tried for ever, and hold up those behind it.
		whole, limit := raw.Data(), parkedLimit(ctx, js)
		for n := min(len(p.Data), max(0, limit-parkedRoom)); ; n /= 2 {
			p.Header, p.Data = own, whole[:n]
			p.Header.Set(HeaderParkedCut, strconv.Itoa(len(whole)-n))
			if _, err = js.PublishMsg(ctx, p, id); n == 0 || !tooBig(err) {
				break
			}
		}
	}
	if err != nil {
		return fmt.Errorf("park message %s of %s (%w): %w", seq, from, reason, err)
	}
	return nil
}

// parkedLimit is how large a parked message may be: the server and the stream each have
// a limit.
func parkedLimit(ctx context.Context, js jetstream.JetStream) int {
	limit := int(js.Conn().MaxPayload())
	if s, err := js.Stream(ctx, stream.Parked); err == nil {
		if most := int(s.CachedInfo().Config.MaxMsgSize); most > 0 {
			limit = min(limit, most)
		}
	}
	return limit
}

func tooBig(err error) bool {
	const (
		headersTooBig = 10097 // above 64 KiB (nats-server/server/errors.json)
		messageTooBig = 10054 // above the stream's max_msg_size
	)
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) ||
		errors.As(err, &api) && (api.ErrorCode == headersTooBig || api.ErrorCode == messageTooBig)
}

func cut(s string, n int) string { return s[:min(n, len(s))] }
