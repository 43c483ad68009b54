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

// Headers that a parked message has besides its own.
const (
	HeaderParkedReason   = "Supernats-Parked-Reason"
	HeaderParkedConsumer = "Supernats-Parked-Consumer"
	HeaderParkedStream   = "Supernats-Parked-Stream"
	HeaderParkedSeq      = "Supernats-Parked-Seq"
	HeaderParkedSubject  = "Supernats-Parked-Subject"
	HeaderParkedTries    = "Supernats-Parked-Tries"
	// HeaderParkedCut is set if a message left no room for these headers: its own are
	// missing then, and this number of bytes from the end of its payload.
	HeaderParkedCut = "Supernats-Parked-Cut"
)

const (
	// maxReason is how much of a reason is kept, in bytes.
	maxReason = 1 << 10
	// parkedRoom is more than these headers take, in bytes: a subject has up to 4 KB.
	parkedRoom = 8 << 10
)

type parkError struct{ error }

func (e parkError) Unwrap() error { return e.error }

// Park marks an error of a Handler after which no further try makes sense: the message is
// parked at once.
func Park(err error) error { return parkError{err} }

func isPark(err error) bool { return errors.As(err, new(parkError)) }

// park copies a message to the stream of parked ones, and then takes it from the consumer.
func (c *Consumer) park(ctx context.Context, raw jetstream.Msg, m *Message, reason error) error {
	if err := ParkMessage(ctx, c.cfg.JetStream, c.cfg.Stream, c.cfg.Durable, raw, reason); err != nil {
		return err
	}
	c.progress.note(m, true)
	c.log.Error().Err(reason).Uint64("seq", m.Seq).Str("subject", m.Subject).Int("tries", m.Tries).
		Str("parked", stream.ParkedSubject(c.cfg.Durable)).Msg("message is parked")

	if err := raw.TermWithReason("parked by " + c.cfg.Durable); err != nil {
		return fmt.Errorf("take message %d from the consumer: %w", m.Seq, err)
	}
	return nil
}

// ParkMessage stores a copy of a message of the stream from, with the reason why the consumer
// durable has given it up. Parking it twice stores it once.
func ParkMessage(
	ctx context.Context, js jetstream.JetStream, from, durable string, raw jetstream.Msg, reason error,
) error {
	return ParkShort(ctx, js, from, durable, raw, reason, len(raw.Data()))
}

// ParkShort is ParkMessage for at most keep bytes of the payload. If that is not all of it,
// the message's own headers are left out too. HeaderParkedSeq says where to read the rest,
// for as long as the stream keeps it.
func ParkShort(
	ctx context.Context, js jetstream.JetStream, from, durable string, raw jetstream.Msg, reason error, keep int,
) error {
	meta, err := raw.Metadata()
	if err != nil {
		return fmt.Errorf("read a message's metadata: %w", err)
	}
	seq := strconv.FormatUint(meta.Sequence.Stream, 10)
	own := parkedHeader(from, durable, raw, meta, reason)
	p := &nats.Msg{Subject: stream.ParkedSubject(durable), Data: raw.Data(), Header: withOwn(raw.Headers(), own)}
	cutTo := func(size int) {
		p.Header = own
		p.Data = raw.Data()[:size]
		p.Header.Set(HeaderParkedCut, strconv.Itoa(len(raw.Data())-size))
	}

	// A stream that was created again has the same sequences for other messages.
	created := strconv.FormatInt(meta.Timestamp.UnixNano(), 36)
	id := jetstream.WithMsgID(from + "/" + durable + "/" + seq + "/" + created)
	if keep < len(raw.Data()) {
		cutTo(max(0, keep))
	}
	_, err = js.PublishMsg(ctx, p, id)

	// A message that was as large as the server allows before these headers came would be
	// tried for ever, and hold up those after it.
	if isTooBig(err) {
		limit := parkedLimit(ctx, js) - parkedRoom
		for size := min(len(p.Data), max(0, limit)); ; size /= 2 {
			cutTo(size)
			if _, err = js.PublishMsg(ctx, p, id); size == 0 || !isTooBig(err) {
				break
			}
		}
	}

	if err != nil {
		return fmt.Errorf("park message %s of %s (%w): %w", seq, from, reason, err)
	}
	return nil
}

// parkedHeader returns the headers that say what a parked message is.
func parkedHeader(from, durable string, raw jetstream.Msg, meta *jetstream.MsgMetadata, reason error) nats.Header {
	text := reason.Error()
	text = text[:min(len(text), maxReason)]

	h := nats.Header{}
	h.Set(HeaderParkedReason, strings.ToValidUTF8(text, ""))
	h.Set(HeaderParkedConsumer, durable)
	h.Set(HeaderParkedStream, from)
	h.Set(HeaderParkedSeq, strconv.FormatUint(meta.Sequence.Stream, 10))
	h.Set(HeaderParkedSubject, raw.Subject())
	h.Set(HeaderParkedTries, strconv.FormatUint(meta.NumDelivered, 10))
	return h
}

// withOwn adds headers to those of a message. Headers of NATS itself told the server what to
// do with the first copy, to let it expire or to refuse it in any other stream
// (Nats-Expected-Stream): they are left out.
func withOwn(header, own nats.Header) nats.Header {
	h := maps.Clone(header)
	if h == nil {
		h = nats.Header{}
	}
	maps.DeleteFunc(h, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
	maps.Copy(h, own)
	return h
}

// parkedLimit is how large a parked message may be: the server and the stream have a limit
// each.
func parkedLimit(ctx context.Context, js jetstream.JetStream) int {
	limit := int(js.Conn().MaxPayload())
	if s, err := js.Stream(ctx, stream.Parked); err == nil {
		if most := int(s.CachedInfo().Config.MaxMsgSize); most > 0 {
			limit = min(limit, most)
		}
	}
	return limit
}

func isTooBig(err error) bool {
	const (
		headersTooBig = 10097 // above 64 KiB (nats-server/server/errors.json)
		messageTooBig = 10054 // above the stream's max_msg_size
	)
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) ||
		errors.As(err, &api) && (api.ErrorCode == headersTooBig || api.ErrorCode == messageTooBig)
}
