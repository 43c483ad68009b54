package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/inspect"
	"supernats/consumer/wording"
	"supernats/schema/checkup"
	"supernats/schema/stream"
)

// maxNotificationWait is how long a notification may wait for its receiver.
const maxNotificationWait = 5 * time.Minute

// checkReceivers reports receivers that do not get what is there for them.
func checkReceivers(ctx context.Context, in *Installation, r *checkup.Report) error {
	queues, err := in.Reader.Queues(ctx)
	if err != nil {
		return err
	}
	roster, err := in.Reader.Roster(ctx)
	if err != nil {
		return err
	}

	for _, name := range in.Config.Receivers {
		if !slices.ContainsFunc(queues, func(q inspect.Queue) bool { return q.BelongsTo(name) }) {
			r.Fail("restart `supernats consume` with this configuration file",
				"receiver %s of the configuration file has no queue: it gets no notifications%s", name,
				in.Config.escalating(name))
		}
	}
	if len(queues) == 0 || roster.Known && len(roster.Receivers) == 0 {
		r.Warn("add a section mail: or receivers: to the configuration file of `supernats consume`",
			"there is no receiver: nobody is notified of anything")
	}

	for i := range queues {
		q := &queues[i]
		wait := time.Duration(0)
		if !q.Info.Paused {
			if wait, err = longestWait(ctx, in.Reader.JS, stream.Alerts, q.Info); err != nil {
				return err
			}
		}
		addQueue(r, in, q, queueState{wait: wait, isUnread: in.active && isUnread(q, roster)})
	}
	return nil
}

// isUnread reports whether nobody reads a queue.
func isUnread(q *inspect.Queue, roster inspect.Roster) bool {
	if roster.Known {
		return !q.IsAmong(roster.Receivers)
	}
	return q.Info.NumWaiting == 0 && q.Info.NumAckPending == 0
}

// queueState is what is not in a queue itself.
type queueState struct {
	// wait is how long the oldest notification has waited.
	wait time.Duration
	// isUnread says that a `supernats consume` is active and does not read the queue.
	isUnread bool
}

// addQueue reports what is wrong with a queue.
func addQueue(r *checkup.Report, in *Installation, q *inspect.Queue, s queueState) {
	waiting := wording.Count(q.Waiting(), "notification waits", "notifications wait")
	try := "supernats test-alert " + wording.ShellQuote(q.Receiver)

	switch {
	case q.Info.Paused:
		r.Fail(resumeCommand(stream.Alerts, q.Durable),
			"receiver %s: its consumer %s is paused until %s, %s", q.Receiver, q.Durable, pausedUntil(q.Info), waiting)
	case q.Waiting() > 0 && s.isUnread:
		r.Warn("put the receiver into the configuration file again, or forget it: nats consumer rm "+
			stream.Alerts+" "+q.Durable,
			"receiver %s: %s and nobody reads its queue", q.Receiver, waiting)
	case q.Failure() != "":
		r.Fail("fix what the error says, and try it: "+try+" (`supernats consume` keeps trying by itself)",
			"receiver %s: %s, and the last try failed (%s since %s): %s%s",
			q.Receiver, waiting, wording.Count(q.Position.Tries, "try", "tries"),
			wording.Date(q.Position.Since), q.Failure(), in.Config.escalating(q.Receiver))
	case s.wait > maxNotificationWait:
		r.Warn("the log of `supernats consume` says why they are not delivered; try it: "+try,
			"receiver %s: %s, the oldest for %s", q.Receiver, waiting, wording.Compact(s.wait))
	default:
		r.OK("receiver %s: %s", q.Receiver, waiting)
	}
}

// checkParked reports what was given up, for each consumer with its last reason. That
// something critical did not reach a receiver is a failure.
func checkParked(ctx context.Context, in *Installation, r *checkup.Report) error {
	s, err := in.Reader.JS.Stream(ctx, stream.Parked)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	roster, err := in.Reader.Roster(ctx)
	if err != nil {
		return err
	}
	critical, err := in.Reader.CriticalParked(ctx)
	if err != nil {
		return err
	}

	var subjects []string
	for subject := range info.State.Subjects {
		subjects = append(subjects, subject)
	}
	slices.Sort(subjects)
	for _, subject := range subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream.Parked, err)
		}
		durable := strings.TrimPrefix(subject, stream.ParkedSubject(""))
		addParked(r, parkedSubject{
			subject: subject, durable: durable, count: info.State.Subjects[subject], critical: critical[durable],
			last: m, age: info.TimeStamp.Sub(m.Time),
			inUse: !roster.Known || (&inspect.Queue{Durable: durable}).IsAmong(roster.Receivers),
		})
	}
	if len(subjects) == 0 {
		r.OK("nothing was given up")
	}
	return nil
}

// parkedSubject is what one consumer has given up.
type parkedSubject struct {
	subject, durable string
	// count is how many messages, critical how many of them are critical.
	count    uint64
	critical int
	last     *jetstream.RawStreamMsg
	age      time.Duration // of the last one
	// inUse says that the receiver is configured.
	inUse bool
}

func addParked(r *checkup.Report, p parkedSubject) {
	last := fmt.Sprintf("the last one %s ago: %s", wording.Compact(p.age),
		p.last.Header.Get(consumer.HeaderParkedReason))
	receiver, isQueue := stream.ReceiverOf(p.durable)
	if !isQueue {
		r.Warn(fmt.Sprintf("nats stream get %s %d shows it; when it is fixed: "+
			"nats stream purge %[1]s --subject=%[3]s", stream.Parked, p.last.Sequence, p.subject),
			"%s gave up %s, %s", p.durable, wording.Count(p.count, "message", "messages"), last)
		return
	}

	const fix = "supernats alerts shows them; fix what the reason says: `supernats consume` tries again by itself, " +
		"at its start and at least every hour"
	switch {
	case !p.inUse:
		r.Warn("the receiver is not in the configuration file any more; to forget them: nats stream purge "+
			stream.Parked+" --subject="+p.subject,
			"receiver %s gave up %s, %s", receiver, wording.Count(p.count, "message", "messages"), last)
	case p.critical > 0:
		r.Fail(fix, "receiver %s did not take %s, %d of them critical: nobody got them there; %s",
			receiver, wording.Count(p.count, "notification", "notifications"), p.critical, last)
	default:
		r.Warn(fix, "receiver %s did not take %d notifications, %s", receiver, p.count, last)
	}
}
