// Package deliver brings the notifications of the stream of alerts to the receivers: a
// Delivery for each address, one batch at a time, with all that is waiting. What a
// receiver does not take waits in the stream, over restarts too, and holds up no other
// receiver; what only it does not take is parked, and tried again.
//
// Memory is that of a batch for each receiver: 8 MiB and the last chunk of 100
// notifications.
package deliver

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"supernats/consumer"
	"supernats/consumer/deliver/inbox"
	"supernats/consumer/health"
	"supernats/consumer/lease"
	"supernats/consumer/notify"
	"supernats/schema/repeat"
	"supernats/schema/stream"
)

const (
	// maxBatch and maxBatchBytes bound the notifications of a batch.
	maxBatch      = 1000
	maxBatchBytes = 8 << 20
	// farewell is how long a mail that is under way may take when the daemon stops: one
	// that is broken off may have been accepted, and would be sent again.
	farewell = 3 * time.Second

	// CauseAlerts begins the cause of the trouble that a receiver cannot be notified.
	CauseAlerts = "alerts"
)

// Addressee is one address of a receiver of the configuration.
type Addressee struct {
	notify.Receiver
	// Called is what rules call the receiver in `notify`.
	Called string
	Limit  Limit
}

// isCalled reports whether a rule means the receiver by a name: names that differ only
// in small letters and capitals are one.
func (a Addressee) isCalled(name string) bool { return strings.EqualFold(a.Called, name) }

// Limit lets Burst batches through at once, and one more per Every after that; Burst 0
// is no limit.
type Limit struct {
	Burst int
	Every time.Duration
}

func (l Limit) limiter() *rate.Limiter {
	if l.Burst == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Every(l.Every), l.Burst)
}

// Options are what a delivery has from the daemon.
type Options struct {
	// Held returns an error if another instance may be the active one.
	Held func() error
	// Memory remembers where the receiver stands; it outlives the delivery. May be nil.
	Memory *inbox.Memory
	// Health gets what keeps notifications from being delivered; may be nil.
	Health *health.Health
	Log    zerolog.Logger
}

// Delivery brings notifications to one address, in the order of the stream. It is for
// one goroutine.
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
type Delivery struct {
	to      Addressee
	js      jetstream.JetStream
	options Options
	log     zerolog.Logger
	timing  timing
	inbox   *inbox.Inbox
	history history
	limiter *rate.Limiter

	// rest is what was read and not finished, size how much of it to send at once.
	rest items
	size batchSize
	// divided is the last sequence of a batch that is being sent in parts, 0 if none
	// is; proof is of what the receiver takes.
	divided uint64
	proof   proof
	probes  candidates
	parked  parkedSchedule
	// failing are the errors since something was accepted, dividing those for which a
	// batch was divided, unparking those of what was parked and is tried again.
	failing, dividing, unparking repeat.Errors
}

// New returns the delivery of an addressee, which has no queue yet.
func New(js jetstream.JetStream, to Addressee, o Options) *Delivery {
	log := o.Log.With().Str("receiver", to.Name()).Logger()
	biggest := maxBatch
	if s, ok := to.Receiver.(notify.Sized); ok {
		biggest = min(maxBatch, s.MaxBatch())
	}
	return &Delivery{
		to: to, js: js, options: o, log: log, timing: defaultTiming(),
		inbox: inbox.New(js, to.Name(), o.Memory, log), history: history{js}, limiter: to.Limit.limiter(),
		size: batchSize{biggest: biggest, most: biggest}, parked: parkedSchedule{due: time.Now()},
	}
}

// Create makes the queue of a receiver that is new. Call it before something is published
// that must not be missed; Run continues from there.
func (d *Delivery) Create(ctx context.Context) error { return d.open(ctx) }

func (d *Delivery) open(ctx context.Context) error {
	if err := d.options.Held(); err != nil {
		return err
	}
	d.rest = nil
	return d.inbox.Open(ctx)
}

// Run delivers until ctx ends and returns its error. Whatever else goes wrong is tried
// again.
func (d *Delivery) Run(ctx context.Context) error {
	t := health.Retry{
		Log: d.log, What: "reading the notifications for " + d.to.Name(), Conn: d.js.Conn(),
		Health: d.options.Health, Cause: CauseAlerts + " " + d.to.Name(), Fix: health.RunDoctor,
	}
	defer t.Stop()

	for {
		err := d.open(ctx)
		for err == nil {
			t.Recovered()
			err = d.deliverNext(ctx)
		}
		if errors.Is(err, inbox.ErrReopen) && ctx.Err() == nil {
			continue
		}
		if err := t.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// deliverNext delivers a batch, or waits for one for a while.
func (d *Delivery) deliverNext(ctx context.Context) error {
	if d.parked.isOverdue() {
		return d.retryParked(ctx)
	}

	if len(d.rest) == 0 {
		msgs, err := d.inbox.Next(ctx, d.parked.before(d.timing.idle))
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

	if d.inbox.Alone() > 0 {
		return d.resumeAlone(ctx)
	}
	return d.send(ctx, d.rest.batch(d.inbox.Resumes(), d.size.now))
}

// finish acknowledges a batch.
func (d *Delivery) finish(ctx context.Context, batch items) error {
	last := batch[len(batch)-1]
	d.rest = d.rest[len(batch):]
	d.inbox.SetDelivered(last.seq)
	if err := d.options.Held(); err != nil {
		return err // another instance has its own order
	}

	if err := d.inbox.Ack(ctx, last.raw); err != nil {
		return err
	}
	return d.inbox.SetRecovered(ctx)
}

// park stores a notification in the stream of parked messages, with the reason.
func (d *Delivery) park(ctx context.Context, raw jetstream.Msg, seq uint64, reason error) error {
	err := health.Unbroken(ctx, d.js.Conn(), func(ctx context.Context) error {
		return consumer.ParkMessage(ctx, d.js, stream.Alerts, d.inbox.Name(), raw, reason)
	})
	if err != nil {
		return err
	}

	d.log.Error().Err(reason).Uint64("seq", seq).Str("subject", raw.Subject()).
		Str("parked", stream.ParkedSubject(d.inbox.Name())).
		Msg("notification is parked")
	d.parked.add(d.timing)
	return nil
}

// notify hands notifications to the receiver. A stop lets what is under way end, a lease
// that is lost does not.
func (d *Delivery) notify(ctx context.Context, list []notification) error {
	calm, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), lease.ErrLost) {
			_ = health.Sleep(calm, farewell)
		}
		cancel(context.Cause(ctx))
	})
	defer stop()

	d.history.markOver(calm, list)
	return d.to.Notify(calm, list)
}
