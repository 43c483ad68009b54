package outbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/alerts"
	"supernats/consumer/fit"
	"supernats/schema/stream"
)

const (
	// maxForged is how often a message is published under another id after the stream has
	// refused it as a duplicate of a foreign one. Then it is published without an id.
	maxForged = 3
	// clocksDiffer is by how much the clocks of the servers of a cluster may differ.
	clocksDiffer = time.Minute
)

// resolveDuplicate handles a message that the stream has refused as a duplicate of the one
// at the sequence of. That one may be ours: we published it before a restart, or its
// acknowledgement was lost. If it is somebody else's, people would not be notified, so the
// message is published under another id. The result is the sequence of our message.
func (o *Outbox) resolveDuplicate(ctx context.Context, m *nats.Msg, of uint64) (seq uint64, err error) {
	for try := 1; ; try++ {
		ours, err := o.isOurs(ctx, m.Header.Get(HeaderID), of)
		if err != nil || ours {
			return of, err
		}
		o.log.Error().Str("id", m.Header.Get(HeaderID)).Uint64("seq", of).Str("stream", stream.Alerts).
			Msg("somebody else has used the message id of a notification; it is published under another one")

		var opts []jetstream.PublishOpt
		if try <= maxForged {
			id := m.Header.Get(HeaderID) + "~" + strconv.FormatUint(of, 10)
			opts = append(opts, jetstream.WithMsgID(id))
		}
		ack, err := o.js.PublishMsg(ctx, withoutMsgID(m), opts...)
		if err != nil {
			return 0, err
		}
		if try > maxForged || !ack.Duplicate {
			return ack.Sequence, nil
		}
		of = ack.Sequence
	}
}

func withoutMsgID(m *nats.Msg) *nats.Msg {
	c := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
	for name, values := range m.Header {
		if name != nats.MsgIdHdr {
			c.Header[name] = values
		}
	}
	return c
}

// isOurs reports whether the message at seq is ours and has an id. If it is gone, somebody
// or the limits of the stream removed it.
func (o *Outbox) isOurs(ctx context.Context, id string, seq uint64) (bool, error) {
	s, err := o.stream(ctx)
	if err != nil {
		return false, err
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read message %d of stream %s: %w", seq, stream.Alerts, err)
	}
	return m.Header.Get(HeaderID) == id && o.signer.IsOurs(m), nil
}

// findPublished returns the sequence of a notification that is already stored, or of a
// later one on its subject, since they are published in order; 0 if there is none.
func (o *Outbox) findPublished(ctx context.Context, n *alerts.Notification) (seq uint64, err error) {
	s, err := o.stream(ctx)
	if err != nil {
		return 0, err
	}
	last, err := s.GetLastMsgForSubject(ctx, n.Alert.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look up the last alert on %s: %w", n.Alert.Subject(), err)
	}
	if !o.signer.IsOurs(last) {
		return 0, nil // better one alarm too many than one that a forged message hides
	}

	seen, err := strconv.ParseUint(last.Header.Get(HeaderSeq), 10, 64)
	switch {
	case err != nil || n.Seq > seen:
		return 0, nil
	case last.Time.Before(n.At.Add(-clocksDiffer)):
		return 0, nil // it is older: numbers begin low again if all buckets were lost
	case n.Seq < seen:
		return last.Sequence, nil
	}
	// Both follow from the same message. Those of one alert are ordered by their numbers.
	lastAlert, lastNumber, end := fit.CutID(last.Header.Get(HeaderID))
	alert, number, _ := fit.CutID(n.ID)
	if lastAlert != alert {
		return 0, nil
	}
	isWhole := end == 0 || end == len(n.Alert.Events)
	if number < lastNumber || number == lastNumber && isWhole {
		return last.Sequence, nil
	}
	return 0, nil
}
