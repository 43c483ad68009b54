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

	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/stream"
)

// headerSeq is the header of a notification that holds the sequence of the last
// message that the rules had seen when they made it.
const headerSeq = "Supernats-Event-Seq"

// publish stores notifications, each once.
func (v *events) publish(ctx context.Context, notes []rules.Notification) error {
	acks := make([]jetstream.PubAckFuture, 0, len(notes))
	alerts := make([]*schema.Alert, 0, len(notes)) // those of acks
	now := time.Now().Add(v.skew)
	for _, n := range notes {
		// The stream recognises the id for a while. A notification of before that may
		// have been made by a daemon that was killed.
		if now.Sub(n.At) > v.window/2 {
			done, err := v.published(ctx, n)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		json, err := v.write(&n)
		if err != nil {
			return err
		}
		msg := &nats.Msg{Subject: n.Alert.Subject(), Data: json, Header: nats.Header{
			stream.HeaderContentType: {schema.ContentType},
			headerSeq:                {strconv.FormatUint(n.Seq, 10)},
		}}
		ack, err := v.js.PublishMsgAsync(msg, jetstream.WithMsgID(n.ID))
		if err != nil {
			return fmt.Errorf("publish notification %s: %w", n.ID, err)
		}
		acks, alerts = append(acks, ack), append(alerts, n.Alert)
		v.log.Info().Str("id", n.ID).Str("type", n.Type[strings.LastIndexByte(n.Type, '.')+1:]).Str("rule", n.Alert.Rule).Str("host", n.Alert.Host).
			Str("group", n.Alert.Group).Str("process", n.Alert.Process).Int("events", len(n.Alert.Events)).Msg("alert")
	}
	for i, ack := range acks {
		select {
		case a := <-ack.Ok():
			v.engine.Published(alerts[i], a.Sequence)
		case err := <-ack.Err():
			if isTooBig(err) {
				err = v.publishSmaller(ctx, ack.Msg(), notes)
			}
			if err == nil {
				continue
			}
			return fmt.Errorf("publish notification %s: %w", ack.Msg().Header.Get(nats.MsgIdHdr), err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// publishSmaller publishes a notification that the stream refused as too large.
func (v *events) publishSmaller(ctx context.Context, msg *nats.Msg, notes []rules.Notification) error {
	s, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	v.maxAlert = max(0, int(s.CachedInfo().Config.MaxMsgSize))
	id := msg.Header.Get(nats.MsgIdHdr)
	i := slices.IndexFunc(notes, func(n rules.Notification) bool { return n.ID == id })
	small := &nats.Msg{Subject: msg.Subject, Header: msg.Header}
	if small.Data, err = v.write(&notes[i]); err != nil {
		return err
	}
	_, err = v.js.PublishMsg(ctx, small)
	return err
}

// isTooBig reports that a stream takes no message of that size
// (JSStreamMessageExceedsMaximumErr).
func isTooBig(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == 10054
}

// published reports whether a notification, or a later one on its subject, is
// already stored: they are made in order.
func (v *events) published(ctx context.Context, n rules.Notification) (bool, error) {
	s, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return false, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	last, err := s.GetLastMsgForSubject(ctx, n.Alert.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up the last alert on %s: %w", n.Alert.Subject(), err)
	}
	seq, err := strconv.ParseUint(last.Header.Get(headerSeq), 10, 64)
	if err != nil || n.Seq != seq {
		return err == nil && n.Seq < seq, nil
	}
	// Both follow from the same message: of one alert, by their numbers.
	alert, number := cutNumber(last.Header.Get(nats.MsgIdHdr))
	own, ours := cutNumber(n.ID)
	return alert == own && ours <= number, nil
}

// cutNumber takes an id apart into that of the alert and the notification's number.
func cutNumber(id string) (alert string, number int) {
	i := strings.LastIndexByte(id, '/')
	number, _ = strconv.Atoi(id[i+1:])
	return id[:max(i, 0)], number
}
