// Package deliver delivers the notifications of the stream of alerts to the receivers. Each
// address has a Delivery of its own, which sends one batch at a time, with everything that
// is waiting.
//
// Under pressure nothing is dropped. What a receiver does not accept waits in the stream,
// over restarts too, and delays no other receiver. A notification that a receiver refuses
// while it accepts others is parked and tried again later. Memory is bounded by one batch
// for each receiver: 8 MiB and the last chunk of 100 notifications.
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
	// farewell is how long a delivery in progress may take when the daemon stops. A mail
	// that is broken off may have been accepted, and would be sent again.
	farewell = 3 * time.Second

	// CauseAlerts begins the cause of the trouble that notifications cannot be read.
	CauseAlerts = "alerts"
)

// Addressee is one address of a receiver of the configuration.
type Addressee struct {
	notify.Receiver
	// Called is what rules call the receiver in `notify`.
	Called string
	Limit  Limit
}

// isCalled reports whether a name in a rule means the receiver. Case does not matter.
func (a Addressee) isCalled(name string) bool { return strings.EqualFold(a.Called, name) }

// Limit allows Burst batches at once, and one more per Every after that. Burst 0 means no
// limit.
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

// Options are what the daemon gives a delivery.
type Options struct {
	// Held returns an error if another instance may be the active one.
	Held func() error
	// Memory remembers the position of the receiver, and outlives the delivery; may be nil.
	Memory *inbox.Memory
	// Health shows what keeps notifications from being delivered; may be nil.
	Health *health.Health
	// Count is called after every try, with how many notifications the receiver has taken,
	// how many it has not, and why; may be nil.
	Count func(receiver string, taken, left int, failure error)
	Log   zerolog.Logger
}

// Delivery delivers notifications to one address, in the order of the stream. It belongs
// to one goroutine.
//
// A failed try has one of three reasons, and the receiver is probed to find out which:
//
//   - An outage (notify.Outage: the receiver saw nothing of the batch), or the receiver
//     accepts nothing else either. Everything waits in order, with pauses of 1, 2, 4 …
//     seconds up to 5 minutes, and nothing is parked.
//   - The batch is too large or contains a bad notification: the receiver accepts a part
//     of it. The batch is halved until the bad notification is alone.
//   - The receiver refuses this one notification, and accepts another. It is set aside:
//     parked with the reason, and tried again after 5 minutes, then after 10, 20 and so on
//     up to an hour, for as long as it is kept (90 days).
//
// A probe sends one notification alone, before its turn. It takes place after the same try
// has failed three times (after 0, 1 and 3 seconds) or for 10 seconds; at once if the
// receiver refused for good, or if a batch of several ran out of time. If the probe is
// accepted, the first notification is tried once more before the verdict, since the
// receiver may just have recovered. So a notification on which a receiver chokes delays
// later ones by 3 seconds or, if it runs out of time, by two time-outs; in a batch of n,
// log2(n) more tries find it. Each further bad notification takes a second or two: in the
// 10 seconds after the receiver accepted something, up to 8 of a divided batch are set
// aside without another probe. A notification that arrives during a pause serves as the
// probe, at once, or 5 seconds after the last try if that is later.
//
// After a kill at any point the same batch, or the same notification alone, is sent again
// with the same Message-ID. What was accepted before its turn is remembered.
type Delivery struct {
	to      Addressee
	js      jetstream.JetStream
	options Options
	log     zerolog.Logger
	timing  timing
	inbox   *inbox.Inbox
	history history
	limiter *rate.Limiter

	// rest holds what was read and is not finished; size is how much of it to send at once.
	rest items
	size batchSize
	// divided is the last sequence of a batch that is being sent in parts, 0 if there is
	// none; proof is the evidence that the receiver accepts notifications at all.
	divided uint64
	proof   proof
	probes  candidates
	parked  parkedSchedule
	// failing counts the errors since something was accepted, dividing those for which a
	// batch was divided, unparking those of parked notifications that are tried again.
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

// Create creates the queue of a new receiver. Call it before anything is published that the
// receiver must not miss; Run continues from there.
func (d *Delivery) Create(ctx context.Context) error { return d.open(ctx) }

func (d *Delivery) open(ctx context.Context) error {
	if err := d.options.Held(); err != nil {
		return err
	}
	d.rest = nil
	return d.inbox.Open(ctx)
}

// Run delivers until ctx ends, and returns its error. It retries after every other error.
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

// deliverNext delivers one batch, or waits a while for one.
func (d *Delivery) deliverNext(ctx context.Context) error {
	if d.parked.isOverdue() {
		return d.retryParked(ctx)
	}

	if len(d.rest) == 0 {
		msgs, err := d.inbox.Next(ctx, d.parked.untilDue(d.timing.idle))
		if err == nil && len(msgs) == 0 && d.parked.isDue() {
			return d.retryParked(ctx)
		}
		if err != nil || len(msgs) == 0 {
			return err
		}
		if err := d.gatherBatch(ctx, msgs); err != nil {
			return err
		}
	}

	if d.inbox.Alone() > 0 {
		return d.resumeAlone(ctx)
	}
	return d.sendBatch(ctx, d.rest.batch(d.inbox.Resumes(), d.size.now))
}

// finishBatch acknowledges a batch.
func (d *Delivery) finishBatch(ctx context.Context, batch items) error {
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
	d.parked.addParked(d.timing)
	return nil
}

// notify hands notifications to the receiver. When ctx ends, a delivery in progress may
// finish within farewell, unless the lease is lost.
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
	failure := d.to.Notify(calm, list)
	if d.options.Count != nil && calm.Err() == nil { // one that was broken off says nothing
		taken := len(list)
		if failure != nil {
			taken = len(notify.Taken(failure))
		}
		d.options.Count(d.to.Name(), taken, len(list)-taken, failure)
	}
	return failure
}
