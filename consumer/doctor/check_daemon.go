package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/inspect"
	"supernats/consumer/wording"
	"supernats/schema/checkup"
	"supernats/schema/stream"
)

// maxEventWait is how long an event may wait for `supernats consume`.
const maxEventWait = time.Minute

// checkConsume reports whether a `supernats consume` is active.
func checkConsume(ctx context.Context, in *Installation, r *checkup.Report) error {
	l, err := in.Reader.Lease(ctx)
	if err != nil {
		return err
	}
	if in.active = l != nil; !in.active {
		r.Fail("supernats consume -c FILE (as a service: systemctl start supernats)",
			"no `supernats consume` is active: nobody is notified of anything")
		return nil
	}
	r.OK("`supernats consume` is active on %s since %s", l.Instance, wording.Date(&l.Since))
	return nil
}

// checkEvents reports how far `supernats consume` is behind with reading events.
func checkEvents(ctx context.Context, in *Installation, r *checkup.Report) error {
	const durable = stream.EventsConsumer
	c, err := in.Reader.JS.Consumer(ctx, stream.Events, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		if in.active {
			r.Fail("its log says why", "consumer %s of stream %s is missing, and `supernats consume` "+
				"has not created it again: no events are read", durable, stream.Events)
			return nil
		}
		r.Fail("supernats consume -c FILE", "consumer %s of stream %s is missing: no `supernats consume` has ever "+
			"read events", durable, stream.Events)
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", durable, err)
	}

	q := inspect.Queue{Info: c.CachedInfo()}
	if q.Info.Paused {
		r.Fail(resumeCommand(stream.Events, durable),
			"consumer %s is paused until %s: no event is read, %d messages wait",
			durable, pausedUntil(q.Info), q.Waiting())
		return nil
	}
	wait, err := longestWait(ctx, in.Reader.JS, stream.Events, q.Info)
	if err != nil {
		return err
	}

	waiting := wording.Count(q.Waiting(), "message", "messages")
	switch {
	case wait > maxEventWait && !in.active:
		r.Fail("supernats consume -c FILE", "%s to be read, the oldest for %s",
			wording.Count(q.Waiting(), "message waits", "messages wait"), wording.Compact(wait))
	case wait > maxEventWait:
		r.Warn("if it does not get less, the log of `supernats consume` says why",
			"`supernats consume` is %s behind, the oldest waits for %s", waiting, wording.Compact(wait))
	case q.Info.NumPending == 0 && q.Waiting() > 0:
		// What changes no record, such as a tick, is acknowledged every ten seconds.
		r.OK("`supernats consume` has read all events, and acknowledges %s within seconds", waiting)
	default:
		r.OK("`supernats consume` is %s behind", waiting)
	}
	return nil
}

// longestWait returns how long the first message has waited that a consumer has not
// acknowledged.
func longestWait(
	ctx context.Context, js jetstream.JetStream, streamName string, info *jetstream.ConsumerInfo,
) (time.Duration, error) {
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return 0, nil
	}
	s, err := js.Stream(ctx, streamName)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", streamName, err)
	}

	m, err := s.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(">"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", streamName, err)
	}
	return max(0, info.TimeStamp.Sub(m.Time)), nil
}

// resumeCommand is the command that ends a pause.
func resumeCommand(streamName, durable string) string {
	return "nats consumer resume " + streamName + " " + durable
}

// pausedUntil is when the pause of a consumer ends by itself.
func pausedUntil(info *jetstream.ConsumerInfo) string {
	return info.TimeStamp.Add(info.PauseRemaining).UTC().Format(time.RFC3339)
}
