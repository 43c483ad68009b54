package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema/stream"
)

const (
	// behindFor is how long an event may wait for `supernats consume`, untoldFor
	// how long a notification may wait for its receiver.
	behindFor = time.Minute
	untoldFor = 5 * time.Minute
	// named is how many hosts are named in one line.
	named = 5
)

func (d *doctor) consume(ctx context.Context) error {
	l, err := readLease(ctx, d.js)
	if err != nil {
		return err
	}
	if d.active = l != nil; !d.active {
		d.fail("supernats consume -c FILE (as a service: systemctl start supernats)", "no `supernats consume` is active: nobody is told of anything")
		return nil
	}
	d.ok("`supernats consume` is active on %s since %s", l.Instance, date(&l.Since))
	return nil
}

// events reports how far the reading of events is behind.
func (d *doctor) events(ctx context.Context) error {
	const durable = "supernats"
	c, err := d.js.Consumer(ctx, stream.Events, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		if d.active {
			d.fail("its log says why", "consumer %s of stream %s is missing, and `supernats consume` has not created it again: no events are read", durable, stream.Events)
			return nil
		}
		d.fail("supernats consume -c FILE", "consumer %s of stream %s is missing: no `supernats consume` has ever read events", durable, stream.Events)
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", durable, err)
	}
	q := queue{info: c.CachedInfo()}
	if q.info.Paused {
		d.fail(resume(stream.Events, durable), "consumer %s is paused until %s: no event is read, %d messages wait", durable, pausedUntil(q.info), q.waiting())
		return nil
	}
	wait, err := d.oldest(ctx, stream.Events, q.info)
	if err != nil {
		return err
	}
	switch {
	case wait > behindFor && !d.active:
		d.fail("supernats consume -c FILE", "%s to be read, the oldest for %s", waits(q.waiting(), "message"), age(wait))
	case wait > behindFor:
		d.warn("if it does not get less, the log of `supernats consume` says why", "`supernats consume` is %s behind, the oldest waits for %s", counted(q.waiting(), "message"), age(wait))
	default:
		d.ok("`supernats consume` is %s behind", counted(q.waiting(), "message"))
	}
	return nil
}

// oldest is how long the first message waits that a consumer has not acknowledged.
func (d *doctor) oldest(ctx context.Context, streamName string, info *jetstream.ConsumerInfo) (time.Duration, error) {
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return 0, nil
	}
	s, err := d.js.Stream(ctx, streamName)
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

func (d *doctor) receivers(ctx context.Context) error {
	queues, err := readQueues(ctx, d.js)
	if err != nil {
		return err
	}
	inUse, known, err := readRoster(ctx, d.js)
	if err != nil {
		return err
	}
	for _, name := range receivers(d.cfg) {
		if !slices.ContainsFunc(queues, func(q queue) bool { return q.of(name) }) {
			d.fail("restart `supernats consume` with this configuration file", "receiver %s of the configuration file has no queue: it is told nothing", name)
		}
	}
	if len(queues) == 0 || known && len(inUse) == 0 {
		d.warn("add a section mail: or receivers: to the configuration file of `supernats consume`", "there is no receiver: nobody is told of anything")
	}

	for i := range queues {
		q := &queues[i]
		if q.info.Paused {
			d.fail(resume(stream.Alerts, q.durable), "receiver %s: its consumer %s is paused until %s, %s", q.receiver, q.durable, pausedUntil(q.info), waits(q.waiting(), "notification"))
			continue
		}
		wait, err := d.oldest(ctx, stream.Alerts, q.info)
		if err != nil {
			return err
		}
		unread := q.info.NumWaiting == 0 && q.info.NumAckPending == 0
		if known {
			unread = !q.isIn(inUse)
		}
		switch {
		case q.waiting() > 0 && unread && d.active:
			d.warn("put the receiver into the configuration file again, or forget it: nats consumer rm "+stream.Alerts+" "+q.durable, "receiver %s: %s and nobody reads its queue", q.receiver, waits(q.waiting(), "notification"))
		case q.failure() != "":
			d.fail("fix what the error says, and try it: supernats test-alert "+quote(q.receiver)+" (`supernats consume` keeps trying by itself)",
				"receiver %s: %s, and the last try failed (%s since %s): %s", q.receiver, waits(q.waiting(), "notification"), tries(q.at.Tries), date(q.at.Since), q.failure())
		case wait > untoldFor:
			d.warn("the log of `supernats consume` says why it is not told; try it: supernats test-alert "+quote(q.receiver), "receiver %s: %s, the oldest for %s", q.receiver, waits(q.waiting(), "notification"), age(wait))
		default:
			d.ok("receiver %s: %s", q.receiver, waits(q.waiting(), "notification"))
		}
	}
	return nil
}

// resume is the command that ends a pause.
func resume(streamName, durable string) string {
	return "nats consumer resume " + streamName + " " + durable
}

// pausedUntil is when the pause of a consumer ends by itself.
func pausedUntil(info *jetstream.ConsumerInfo) string {
	return info.TimeStamp.Add(info.PauseRemaining).UTC().Format(time.RFC3339)
}

// critical is the severity of what nobody may miss.
const critical = "critical"

// parked reports what was given up, for each consumer with its last reason. That
// nobody was told of something critical is a failure.
func (d *doctor) parked(ctx context.Context) error {
	s, err := d.js.Stream(ctx, stream.Parked)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	inUse, known, err := readRoster(ctx, d.js)
	if err != nil {
		return err
	}
	untold, err := readUntold(ctx, d.js)
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
		durable, count := strings.TrimPrefix(subject, stream.ParkedSubject("")), info.State.Subjects[subject]
		last := fmt.Sprintf("the last one %s ago: %s", age(info.TimeStamp.Sub(m.Time)), m.Header.Get(consumer.HeaderParkedReason))
		if !strings.HasPrefix(durable, queuePrefix) {
			d.warn(fmt.Sprintf("nats stream get %s %d shows it; when it is fixed: nats stream purge %[1]s --subject=%[3]s", stream.Parked, m.Sequence, subject),
				"%s gave up %s, %s", durable, counted(count, "message"), last)
			continue
		}

		q := queue{durable: durable, receiver: receiverOf(durable)}
		switch {
		case known && !q.isIn(inUse):
			d.warn("the receiver is not in the configuration file any more; to forget them: nats stream purge "+stream.Parked+" --subject="+subject,
				"receiver %s gave up %s, %s", q.receiver, counted(count, "message"), last)
		case untold[durable] > 0:
			d.fail("supernats alerts shows them; fix what the reason says: `supernats consume` tries again by itself, at its start and at least every hour",
				"receiver %s did not take %s, %d of them critical: nobody got them there; %s", q.receiver, counted(count, "notification"), untold[durable], last)
		default:
			d.warn("supernats alerts shows them; fix what the reason says: `supernats consume` tries again by itself, at its start and at least every hour",
				"receiver %s did not take %d notifications, %s", q.receiver, count, last)
		}
	}
	if len(subjects) == 0 {
		d.ok("nothing was given up")
	}
	return nil
}

// readUntold counts by queue what is parked and critical, or too damaged to say that
// it is not.
func readUntold(ctx context.Context, js jetstream.JetStream) (map[string]int, error) {
	untold := map[string]int{}
	all, err := readParked(ctx, js, start{})
	for _, p := range all {
		if p.Severity == critical || p.ID == "" {
			untold[p.durable]++
		}
	}
	return untold, err
}

// quote writes a name so that a shell takes it for one: the commands are there to
// be copied.
func quote(name string) string {
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./@:", r)
	}) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// some are the first names of a list.
func some(names []string) string {
	if len(names) <= named {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:named], ", ") + fmt.Sprintf(" and %d more", len(names)-named)
}

func keys(m map[string][]string) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
