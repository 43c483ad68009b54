package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"supernats/consumer"
	"supernats/consumer/health"
	"supernats/consumer/lease"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/repeat"
	"supernats/schema/stream"
)

const (
	// A batch has at most so many notifications and bytes of them.
	maxBatch      = 1000
	maxBatchBytes = 8 << 20
	// farewell is how long a mail that is under way may take when the daemon
	// stops: one that is broken off may have been accepted, and would be sent again.
	farewell = 3 * time.Second
)

// addressee is one address of a receiver of the configuration.
type addressee struct {
	notify.Receiver
	// name is what rules call the receiver in `notify`.
	name  string
	limit limit
}

// called reports whether a rule means the receiver by a name: names that differ
// only in small letters and capitals are one.
func (a addressee) called(name string) bool { return strings.EqualFold(a.name, name) }

// limit lets burst batches through at once, and one more per every after that;
// burst 0 is no limit.
type limit struct {
	burst int
	every time.Duration
}

func (l limit) limiter() *rate.Limiter {
	if l.burst == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Every(l.every), l.burst)
}

// item is a notification; n is nil if it is not for this receiver, or done.
type item struct {
	raw    jetstream.Msg
	n      *schema.CloudEvent[*schema.Notification]
	seq    uint64
	stored time.Time
}

// delivery brings notifications to one address, in the order of the stream: one
// batch at a time, with all that is waiting. What cannot be delivered waits in
// the stream, over restarts too, and holds up no other receiver.
//
// A try that fails is one of three things, and the receiver is asked which:
//
//   - It was an outage (notify.Outage: nothing of the batch was seen), or the
//     receiver takes nothing else either. Then everything waits in its order, for
//     pauses of 1, 2, 4 … seconds up to 5 minutes, and nothing is parked.
//   - The batch is too much, or has a bad one in it: it takes a part of it. Then
//     the batch is halved until the bad notification stands alone.
//   - It is this one notification: it takes another. Then that one is set aside: it
//     is parked with the reason, and tried again after 5 minutes, then after 10, 20
//     and so on up to an hour, for as long as it is kept (90 days).
//
// To ask is to send one notification alone, before its turn (probe). It is done when
// the same try has failed three times (after 0, 1 and 3 seconds) or for 10 seconds;
// at once if the answer was a refusal for good or if a batch of several ran out of
// time. If that one is taken, the first is tried once more before the verdict, since
// the receiver may just have come back. So a notification on which a receiver chokes
// holds up those after it for 3 seconds or, if it runs out of time, for two time-outs;
// in a batch of n, log2(n) more tries find it. Of several, each takes a second or two
// more: of a batch that is in parts, up to 8 are set aside in the 10 seconds after
// something was taken, without asking again. One that comes in a pause is itself what
// is asked with, at once, or 5 seconds after the last try if that is later.
//
// Killed anywhere, the same batch, or the same one alone, is sent again (its
// Message-ID is the same), and what was taken before its turn is remembered.
//
// Memory is that of a batch: 8 MiB and the last chunk of 100 notifications.
type delivery struct {
	to    addressee
	js    jetstream.JetStream
	log   zerolog.Logger
	times timing
	// held returns an error if another instance may be the active one.
	held    func() error
	inbox   *inbox
	health  *health.Health // nil in tests
	limiter *rate.Limiter
	counters

	// rest is what was read and not finished, size how many of it to send at once.
	rest []*item
	size int
	// biggest is how many notifications a batch may have at this receiver.
	biggest int
	// most bounds size since a bigger batch ran out of time at tooSlow.
	most    int
	tooSlow time.Time
	// divided is the last sequence of a batch that is being sent in parts, 0 if none
	// is.
	divided uint64
	// took says that something was taken since the batch, or the one of which it is a
	// part, first failed, and since the last one was set aside.
	took bool
	// credit is how many more may be set aside of a batch that is being sent in parts,
	// since something was taken at credited: if there are more bad ones than good ones,
	// not each of them can have its own proof.
	credit   int
	credited time.Time
	// probes counts them, so that it is not always the same.
	probes int
	parked parked
	// failing are the errors since something was accepted, unparked those of what was
	// parked and is tried again.
	failing, unparked repeat.Errors
	// dividing are the errors for which a batch was divided.
	dividing repeat.Errors
}

func newDelivery(js jetstream.JetStream, to addressee, held func() error, times timing, log zerolog.Logger) *delivery {
	log = log.With().Str("receiver", to.Name()).Logger()
	biggest := maxBatch
	if s, ok := to.Receiver.(notify.Sized); ok {
		biggest = min(maxBatch, s.MaxBatch())
	}
	return &delivery{
		to: to, js: js, log: log, times: times, held: held,
		inbox: newInbox(js, to.Name(), log), limiter: to.limit.limiter(),
		biggest: biggest, most: biggest, parked: parked{due: time.Now()},
	}
}

// deliveryName makes the name of a durable of a receiver's.
func deliveryName(receiver string) string {
	return schema.Token("notify_" + strings.ToLower(receiver))
}

// Create makes the queue of a receiver that is new. Call it before something is
// published that must not be missed; Run goes on from there.
func (d *delivery) Create(ctx context.Context) error { return d.open(ctx) }

func (d *delivery) open(ctx context.Context) error {
	if err := d.held(); err != nil {
		return err
	}
	d.rest = nil
	return d.inbox.open(ctx)
}

// Run delivers until ctx ends and returns its error. Whatever else goes wrong is
// tried again.
func (d *delivery) Run(ctx context.Context) error {
	t := health.Retry{
		Log: d.log, What: "reading the notifications for " + d.to.Name(), Conn: d.js.Conn(),
		Health: d.health, Cause: causeAlerts + " " + d.to.Name(), Fix: health.RunDoctor,
	}
	defer t.Stop()
	for {
		err := d.open(ctx)
		for err == nil {
			t.Recovered()
			err = d.turn(ctx)
		}
		if errors.Is(err, errReopen) && ctx.Err() == nil {
			continue
		}
		if err := t.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// turn delivers a batch, or waits for one for a while.
func (d *delivery) turn(ctx context.Context) error {
	if d.parked.overdue() {
		return d.retryParked(ctx)
	}
	if len(d.rest) == 0 {
		msgs, err := d.inbox.next(ctx, d.parked.before(d.times.idle))
		if err == nil && len(msgs) == 0 && d.parked.isDue() {
			return d.retryParked(ctx)
		}
		if err != nil || len(msgs) == 0 {
			return err
		}
		if err := d.gather(ctx, msgs); err != nil {
			return err
		}
	}
	if d.inbox.at.Alone > 0 {
		return d.resumeAlone(ctx)
	}
	return d.send(ctx, d.batch())
}

// batch is what to send next: the one that was being sent when the daemon ended,
// if there is one.
func (d *delivery) batch() []*item {
	resumes, count, size := d.inbox.resumes(), 0, 0
	for i, it := range d.rest {
		size += len(it.raw.Data())
		if i > 0 && (resumes > 0 && it.seq > resumes || size > maxBatchBytes || it.n != nil && count == d.size) {
			return d.rest[:i]
		}
		if it.n != nil {
			count++
		}
	}
	return d.rest
}

func notifications(batch []*item) (list []*schema.CloudEvent[*schema.Notification]) {
	for _, it := range batch {
		if it.waits() {
			list = append(list, it.n)
		}
	}
	return list
}

// finish acknowledges a batch.
func (d *delivery) finish(ctx context.Context, batch []*item) error {
	raw := make([]jetstream.Msg, len(batch))
	for i, it := range batch {
		raw[i] = it.raw
	}
	d.rest = d.rest[len(batch):]
	d.setOldest(d.rest)
	d.inbox.delivered(batch[len(batch)-1].seq)
	if err := d.held(); err != nil {
		return err // another instance has its own order
	}
	if err := d.inbox.ack(ctx, raw); err != nil {
		return err
	}
	return d.inbox.recovered(ctx)
}

func (d *delivery) park(ctx context.Context, raw jetstream.Msg, seq uint64, reason error) error {
	err := health.Unbroken(ctx, d.js.Conn(), func(ctx context.Context) error {
		return consumer.ParkMessage(ctx, d.js, stream.Alerts, d.inbox.name, raw, reason)
	})
	if err != nil {
		return err
	}
	d.log.Error().Err(reason).Uint64("seq", seq).Str("subject", raw.Subject()).Str("parked", stream.ParkedSubject(d.inbox.name)).
		Msg("notification is parked")
	d.setParked(1)
	d.parked.add(d.times)
	return nil
}

// notify hands notifications to the receiver.
func (d *delivery) notify(ctx context.Context, list []*schema.CloudEvent[*schema.Notification]) error {
	// A stop lets what is under way end, which another instance that is active
	// does not.
	calm, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), lease.ErrLost) {
			_ = health.Sleep(calm, farewell)
		}
		cancel(context.Cause(ctx))
	})
	defer stop()
	d.markOver(calm, list)
	err := d.to.Notify(calm, list)
	d.count(len(list), err)
	return err
}
