package app

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

	"supernats/consumer/alerts"
	"supernats/consumer/fit"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// headerSeq is the header of a notification that holds the sequence of the last
	// message that the rules had seen when they made it.
	headerSeq = "Supernats-Event-Seq"
	// headerID holds the id of the notification or of the part of one. The message id is
	// the same unless somebody else had used that.
	headerID = "Supernats-Notification"
)

// sending is a message with a notification, or a part of one, that is on its way.
type sending struct {
	note *alerts.Notification
	msg  *nats.Msg
	ack  jetstream.PubAckFuture
}

// publish stores notifications, each once.
func (v *events) publish(ctx context.Context, notes []alerts.Notification) error {
	var sent []sending
	now := time.Now().Add(v.skew)
	for i := range notes {
		n := &notes[i]
		// The stream recognises the id for a while. A notification of before that may
		// have been made by a daemon that was killed.
		if now.Sub(n.At) > v.window/2 {
			seq, err := v.published(ctx, n)
			if err != nil {
				return err
			}
			if seq > 0 {
				v.engine.Published(n.Alert, seq)
				continue
			}
		}
		messages, err := v.messages(n)
		if err != nil {
			return err
		}
		for _, m := range messages {
			ack, err := v.js.PublishMsgAsync(m, jetstream.WithMsgID(m.Header.Get(headerID)))
			switch {
			case isTooBig(err): // the server is another one by now
				var seq uint64
				if seq, err = v.publishSmaller(ctx, n); err == nil {
					v.engine.Published(n.Alert, seq)
				}
			case err == nil:
				sent = append(sent, sending{n, m, ack})
			}
			if err != nil {
				return fmt.Errorf("publish notification %s: %w", n.ID, err)
			}
		}
		v.log.Info().Str("id", n.ID).Str("type", n.Type[strings.LastIndexByte(n.Type, '.')+1:]).Str("rule", n.Alert.Rule).Str("host", n.Alert.Host).
			Str("group", n.Alert.Group).Str("process", n.Alert.Process).Int("events", len(n.Alert.Events)).Msg("alert")
	}
	for _, s := range sent {
		seq, err := v.confirm(ctx, s)
		if err != nil {
			return fmt.Errorf("publish notification %s: %w", s.note.ID, err)
		}
		v.engine.Published(s.note.Alert, seq)
	}
	return nil
}

// messages are those of one notification, mostly one.
func (v *events) messages(n *alerts.Notification) ([]*nats.Msg, error) {
	pieces, err := v.pieces(n)
	if err != nil {
		return nil, err
	}
	messages := make([]*nats.Msg, 0, len(pieces))
	for _, p := range pieces {
		m := &nats.Msg{Subject: n.Alert.Subject(), Data: p.JSON, Header: nats.Header{
			stream.HeaderContentType: {schema.ContentType},
			headerID:                 {p.ID},
			headerSeq:                {strconv.FormatUint(n.Seq, 10)},
		}}
		v.signer.sign(m)
		messages = append(messages, m)
	}
	return messages, nil
}

// confirm waits until a message is stored, and returns its sequence.
func (v *events) confirm(ctx context.Context, s sending) (seq uint64, err error) {
	select {
	case a := <-s.ack.Ok():
		if !a.Duplicate {
			return a.Sequence, nil
		}
		return v.duplicate(ctx, s.msg, a.Sequence)
	case err := <-s.ack.Err():
		if isTooBig(err) {
			return v.publishSmaller(ctx, s.note)
		}
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// maxForged is how often a message is sent under another id after the stream has taken
// it for a duplicate of one that is not ours. Then it is sent without.
const maxForged = 3

// duplicate finds out whether the message that the stream takes ours for is ours: from
// before a restart, or of an answer that was lost. Whoever else used its id would keep
// people from being notified. It returns the sequence of ours.
func (v *events) duplicate(ctx context.Context, m *nats.Msg, of uint64) (seq uint64, err error) {
	for try := 1; ; try++ {
		ours, err := v.isOurs(ctx, m.Header.Get(headerID), of)
		if err != nil || ours {
			return of, err
		}
		id := m.Header.Get(headerID) + "~" + strconv.FormatUint(of, 10)
		v.log.Error().Str("id", m.Header.Get(headerID)).Uint64("seq", of).Str("stream", stream.Alerts).
			Msg("somebody else has used the message id of a notification; it is published under another one")

		again := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
		for name, values := range m.Header {
			if name != nats.MsgIdHdr {
				again.Header[name] = values
			}
		}
		if try > maxForged {
			ack, err := v.js.PublishMsg(ctx, again)
			if err != nil {
				return 0, err
			}
			return ack.Sequence, nil
		}
		ack, err := v.js.PublishMsg(ctx, again, jetstream.WithMsgID(id))
		if err != nil {
			return 0, err
		}
		if !ack.Duplicate {
			return ack.Sequence, nil
		}
		of = ack.Sequence
	}
}

// isOurs reports whether a message of the stream of alerts is ours, with an id. One
// that was there and is gone has been removed by somebody, or by the stream's limits.
func (v *events) isOurs(ctx context.Context, id string, seq uint64) (bool, error) {
	s, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return false, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read message %d of stream %s: %w", seq, stream.Alerts, err)
	}
	return m.Header.Get(headerID) == id && v.signer.isOurs(m), nil
}

// publishSmaller publishes a notification of which a message was refused as too
// large, and returns the sequence of its last message.
func (v *events) publishSmaller(ctx context.Context, n *alerts.Notification) (seq uint64, err error) {
	s, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	v.maxAlert = max(0, int(s.CachedInfo().Config.MaxMsgSize))
	messages, err := v.messages(n)
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		ack, err := v.js.PublishMsg(ctx, m, jetstream.WithMsgID(m.Header.Get(headerID)))
		if err != nil {
			return 0, err
		}
		if seq = ack.Sequence; ack.Duplicate {
			if seq, err = v.duplicate(ctx, m, ack.Sequence); err != nil {
				return 0, err
			}
		}
	}
	return seq, nil
}

// isTooBig reports that a server or a stream takes no message of that size
// (JSStreamMessageExceedsMaximumErr).
func isTooBig(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &api) && api.ErrorCode == 10054
}

// clocksDiffer is by how much those of the servers of a cluster may.
const clocksDiffer = time.Minute

// published returns the sequence of a notification, or of a later one on its subject, if
// that is already stored, else 0: they are made in order.
func (v *events) published(ctx context.Context, n *alerts.Notification) (stored uint64, err error) {
	s, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	last, err := s.GetLastMsgForSubject(ctx, n.Alert.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look up the last alert on %s: %w", n.Alert.Subject(), err)
	}
	if !v.signer.isOurs(last) {
		return 0, nil // an alarm too many is better than one that a forged message hides
	}
	seq, err := strconv.ParseUint(last.Header.Get(headerSeq), 10, 64)
	switch {
	case err != nil || n.Seq > seq:
		return 0, nil
	case last.Time.Before(n.At.Add(-clocksDiffer)):
		return 0, nil // it is older, whatever the numbers say: who lost all buckets begins low
	case n.Seq < seq:
		return last.Sequence, nil
	}
	// Both follow from the same message: of one alert, by their numbers.
	alert, number, end := fit.CutID(last.Header.Get(headerID))
	own, ours, _ := fit.CutID(n.ID)
	if alert == own && (ours < number || ours == number && (end == 0 || end == len(n.Alert.Events))) {
		return last.Sequence, nil
	}
	return 0, nil
}

// pieces writes a notification as messages that the server and the stream take.
func (v *events) pieces(n *alerts.Notification) ([]fit.Piece, error) {
	limit := int(v.js.Conn().MaxPayload())
	if v.maxAlert > 0 {
		limit = min(limit, v.maxAlert)
	}
	a := *n.Alert
	a.Events = v.line.sequences(slices.Clone(a.Events))
	return fit.Notification(n.ID, n.Type, &a, n.At, limit)
}
