// Package outbox publishes the notifications of the rules to the stream of alerts, each
// exactly once: over restarts and reconnects, and even if somebody else has used their
// message ids.
//
// A notification waits in memory until the stream has stored it, even if the stream
// vanishes meanwhile. Nothing more is read until then, so that at most the notifications
// of one batch of events wait. One that is too large for a message is divided (see
// consumer/fit).
package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/alerts"
	"supernats/consumer/fit"
	"supernats/consumer/health"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// HeaderSeq is the header of a notification that holds the sequence of the last
	// message that the rules had seen when they made it.
	HeaderSeq = "Supernats-Event-Seq"
	// HeaderID holds the id of the notification or of the part of one. The message id is
	// the same unless somebody else had used that.
	HeaderID = "Supernats-Notification"
)

// Outbox publishes notifications. It is for one goroutine.
type Outbox struct {
	js  jetstream.JetStream
	log zerolog.Logger

	// Set by Open: window is how long the stream of alerts remembers a message id,
	// maxMessage the largest message that it accepts, 0 if it has no limit of its own.
	// signer recognises our own notifications; it outlives the bucket that holds its key.
	window     time.Duration
	maxMessage int
	signer     *Signer
	// line maps the positions of events to sequences.
	line   source.Lineage
	budget fit.LogBudget
	// pending holds the notifications that the stream may not have stored yet.
	pending []alerts.Notification
}

// New returns an empty outbox. Call Use and Open before Flush.
func New(log zerolog.Logger) *Outbox { return &Outbox{log: log} }

// Use sets the connection for everything from now on.
func (o *Outbox) Use(js jetstream.JetStream) { o.js = js }

// SetLineage sets the lineage of the stream of events: notifications name events by their
// sequences in the current stream.
func (o *Outbox) SetLineage(line source.Lineage) { o.line = line }

// Open reads the settings of the stream of alerts, which is the one of now, and the key
// by which notifications are signed.
func (o *Outbox) Open(ctx context.Context, published *jetstream.StreamInfo) (err error) {
	o.window = published.Config.Duplicates
	o.maxMessage = max(0, int(published.Config.MaxMsgSize))
	o.signer, err = OpenSigner(ctx, o.js, o.signer)
	return err
}

// Add takes over notifications, in the order in which they were made.
func (o *Outbox) Add(notes []alerts.Notification) {
	for _, n := range notes {
		n.Alert = o.budget.Spend(n.Alert, n.At) // once, however often it is tried
		o.pending = append(o.pending, n)
	}
}

// Flush publishes what is pending; now is the server's time. It calls published with each
// notification that is stored, and the sequence of its last message. After an error
// everything is still pending, and the next Flush publishes it again.
func (o *Outbox) Flush(ctx context.Context, now time.Time, published func(a *schema.Notification, seq uint64)) error {
	if len(o.pending) == 0 {
		return nil
	}
	err := health.Unbroken(ctx, o.js.Conn(), func(ctx context.Context) error {
		return o.publish(ctx, now, published)
	})
	if err != nil {
		return err
	}
	o.pending = nil
	return nil
}

// sending is a message with a notification, or a part of one, that is on its way.
type sending struct {
	note *alerts.Notification
	msg  *nats.Msg
	ack  jetstream.PubAckFuture
}

func (o *Outbox) publish(ctx context.Context, now time.Time, published func(a *schema.Notification, seq uint64)) error {
	var sent []sending
	for i := range o.pending {
		n := &o.pending[i]
		// The stream recognises a duplicate only for a while. An older notification may
		// have been published by a daemon that was killed since.
		if now.Sub(n.At) > o.window/2 {
			seq, err := o.findPublished(ctx, n)
			if err != nil {
				return err
			}
			if seq > 0 {
				published(n.Alert, seq)
				continue
			}
		}

		begun, err := o.send(ctx, n, published)
		if err != nil {
			return fmt.Errorf("publish notification %s: %w", n.ID, err)
		}
		sent = append(sent, begun...)
		o.logPublished(n)
	}

	for _, s := range sent {
		seq, err := o.confirm(ctx, s)
		if err != nil {
			return fmt.Errorf("publish notification %s: %w", s.note.ID, err)
		}
		published(s.note.Alert, seq)
	}
	return nil
}

// logPublished logs a notification. What repeats an alert for the record alone, while somebody
// takes care of it, would fill the log with what nobody is notified of.
func (o *Outbox) logPublished(n *alerts.Notification) {
	level := zerolog.InfoLevel
	if n.Alert.Quiet && n.Type == schema.TypeAlertUpdate {
		level = zerolog.DebugLevel
	}
	o.log.WithLevel(level).Str("id", n.ID).Str("type", n.Type[strings.LastIndexByte(n.Type, '.')+1:]).
		Str("rule", n.Alert.Rule).Str("host", n.Alert.Host).
		Str("group", n.Alert.Group).Str("process", n.Alert.Process).
		Int("events", len(n.Alert.Events)).Msg("alert")
}

// send sends the messages of a notification, and returns those that have no answer yet.
func (o *Outbox) send(
	ctx context.Context, n *alerts.Notification, published func(a *schema.Notification, seq uint64),
) (begun []sending, err error) {
	messages, err := o.messages(n)
	if err != nil {
		return nil, err
	}

	for _, m := range messages {
		ack, err := o.js.PublishMsgAsync(m, jetstream.WithMsgID(m.Header.Get(HeaderID)))
		switch {
		case isTooBig(err): // the server was replaced, or its limit was changed
			seq, err := o.publishSmaller(ctx, n)
			if err != nil {
				return nil, err
			}
			published(n.Alert, seq)
		case err != nil:
			return nil, err
		default:
			begun = append(begun, sending{n, m, ack})
		}
	}
	return begun, nil
}

// messages are those of one notification, mostly one.
func (o *Outbox) messages(n *alerts.Notification) ([]*nats.Msg, error) {
	pieces, err := o.divide(n)
	if err != nil {
		return nil, err
	}

	messages := make([]*nats.Msg, 0, len(pieces))
	for _, p := range pieces {
		m := &nats.Msg{Subject: n.Alert.Subject(), Data: p.JSON, Header: nats.Header{
			stream.HeaderContentType: {schema.ContentType},
			HeaderID:                 {p.ID},
			HeaderSeq:                {strconv.FormatUint(n.Seq, 10)},
		}}
		o.signer.sign(m)
		messages = append(messages, m)
	}
	return messages, nil
}

// divide writes a notification as messages that the server and the stream accept. It names
// events by their sequences in the current stream; 0 if they were in an earlier one.
func (o *Outbox) divide(n *alerts.Notification) ([]fit.Piece, error) {
	limit := int(o.js.Conn().MaxPayload())
	if o.maxMessage > 0 {
		limit = min(limit, o.maxMessage)
	}
	a := *n.Alert
	a.Events = slices.Clone(a.Events)
	for i := range a.Events {
		a.Events[i].Seq = o.line.Seq(a.Events[i].Seq)
	}
	return fit.Notification(n.ID, n.Type, &a, n.At, limit)
}

// confirm waits until a message is stored, and returns its sequence.
func (o *Outbox) confirm(ctx context.Context, s sending) (seq uint64, err error) {
	select {
	case a := <-s.ack.Ok():
		if !a.Duplicate {
			return a.Sequence, nil
		}
		return o.resolveDuplicate(ctx, s.msg, a.Sequence)
	case err := <-s.ack.Err():
		if isTooBig(err) {
			return o.publishSmaller(ctx, s.note)
		}
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// publishSmaller publishes a notification of which a message was refused as too large,
// and returns the sequence of its last message.
func (o *Outbox) publishSmaller(ctx context.Context, n *alerts.Notification) (seq uint64, err error) {
	s, err := o.stream(ctx)
	if err != nil {
		return 0, err
	}
	o.maxMessage = max(0, int(s.CachedInfo().Config.MaxMsgSize))
	messages, err := o.messages(n)
	if err != nil {
		return 0, err
	}

	for _, m := range messages {
		ack, err := o.js.PublishMsg(ctx, m, jetstream.WithMsgID(m.Header.Get(HeaderID)))
		if err != nil {
			return 0, err
		}
		seq = ack.Sequence
		if ack.Duplicate {
			seq, err = o.resolveDuplicate(ctx, m, ack.Sequence)
			if err != nil {
				return 0, err
			}
		}
	}
	return seq, nil
}

// isTooBig reports whether a server or a stream refused a message for its size
// (JSStreamMessageExceedsMaximumErr).
func isTooBig(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &api) && api.ErrorCode == 10054
}

func (o *Outbox) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := o.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	return s, nil
}
