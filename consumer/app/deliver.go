package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/schema"
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

// forPeople is the limit of what people read one by one.
var forPeople = limit{burst: 2, every: 30 * time.Second}

func (l limit) limiter() *rate.Limiter {
	if l.burst == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Every(l.every), l.burst)
}

// item is a notification; n is nil if it is not for this receiver.
type item struct {
	raw    jetstream.Msg
	n      *schema.CloudEvent[*schema.Alert]
	seq    uint64
	stored time.Time
}

// delivery brings notifications to one address, in the order of the stream: one
// batch at a time, with all that is waiting. What cannot be delivered waits in
// the stream, over restarts too, and holds up no other receiver. A batch that is
// refused for good is halved until the bad notification stands alone; that one is
// parked, so that it holds up no other, and tried again now and then for as long
// as it is kept (90 days).
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
	limiter *rate.Limiter
	counters

	// rest is what was read and not delivered, size how many of it to send at once.
	rest []item
	size int
	// refused counts those that were parked since something was accepted.
	refused int
	parked  parked
}

func newDelivery(js jetstream.JetStream, to addressee, held func() error, times timing, log zerolog.Logger) *delivery {
	log = log.With().Str("receiver", to.Name()).Logger()
	return &delivery{
		to: to, js: js, log: log, times: times, held: held,
		inbox: newInbox(js, to.Name(), log), limiter: to.limit.limiter(),
		parked: parked{due: time.Now()},
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
	t := retry{log: d.log, what: "reading notifications"}
	for {
		err := d.open(ctx)
		for err == nil {
			t.over()
			err = d.turn(ctx)
		}
		if errors.Is(err, errReopen) && ctx.Err() == nil {
			continue
		}
		if err := t.wait(ctx, err); err != nil {
			return err
		}
	}
}

// turn delivers a batch, or waits for one for a while.
func (d *delivery) turn(ctx context.Context) error {
	if d.parked.isDue() {
		return d.retryParked(ctx)
	}
	if len(d.rest) == 0 {
		msgs, err := d.inbox.next(ctx, d.parked.before(d.times.idle))
		if err != nil || len(msgs) == 0 {
			return err
		}
		if err := d.gather(ctx, msgs); err != nil {
			return err
		}
	}
	return d.send(ctx, d.batch())
}

// gather waits until something may be sent, and reads what is there by then.
func (d *delivery) gather(ctx context.Context, msgs []jetstream.Msg) error {
	d.size = maxBatch
	if err := d.add(ctx, msgs); err != nil {
		return err
	}
	resuming := d.inbox.resumes() > 0
	if resuming || !d.wanted() {
		if err := d.grow(ctx); err != nil {
			return err
		}
	}
	if resuming {
		return d.whole()
	}
	if !d.wanted() {
		return nil
	}
	if err := d.limiter.Wait(ctx); err != nil {
		return err
	}
	return d.grow(ctx)
}

// whole sees that a batch that is to be sent again is there as it was.
func (d *delivery) whole() error {
	last := d.rest[len(d.rest)-1]
	meta, err := last.raw.Metadata()
	if err != nil {
		return fmt.Errorf("read a message's metadata: %w", err)
	}
	if last.seq < d.inbox.resumes() && meta.NumPending > 0 && len(d.rest) < maxBatch && d.bytes() < maxBatchBytes {
		return errReopen
	}
	return nil
}

func (d *delivery) wanted() bool {
	return slices.ContainsFunc(d.rest, func(i item) bool { return i.n != nil })
}

// grow adds what is there now, up to the size of a batch.
func (d *delivery) grow(ctx context.Context) error {
	msgs, err := d.inbox.more(ctx, maxBatch-len(d.rest), maxBatchBytes-d.bytes())
	if err != nil {
		return err
	}
	return d.add(ctx, msgs)
}

func (d *delivery) bytes() (size int) {
	for _, it := range d.rest {
		size += len(it.raw.Data())
	}
	return size
}

// add decodes notifications. What nobody can read is parked.
func (d *delivery) add(ctx context.Context, msgs []jetstream.Msg) error {
	for _, raw := range msgs {
		m, err := consumer.NewMessage(raw)
		if err != nil {
			return err
		}
		n, err := decode(m.Subject, m.Data)
		if err != nil {
			if err := d.park(ctx, raw, m.Seq, err); err != nil {
				return err
			}
		} else if len(n.Data.Notify) > 0 && !slices.ContainsFunc(n.Data.Notify, d.to.called) {
			n = nil
		}
		d.rest = append(d.rest, item{raw, n, m.Seq, m.Stored})
	}
	d.setOldest(d.rest)
	return nil
}

// decode reads a notification. Whoever may have a consumer may have it deliver
// into the stream of alerts: what is not about its subject is none.
func decode(subject string, data []byte) (*schema.CloudEvent[*schema.Alert], error) {
	n, err := schema.Unmarshal[*schema.Alert](data)
	if err == nil && n.Data == nil {
		err = errors.New("notification has no data")
	}
	if err == nil && !schema.OfHost(subject, schema.AlertPrefix, n.Data.Host) {
		err = fmt.Errorf("notification %q of host %q was published on %s", n.ID, n.Data.Host, subject)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// batch is what to send next: the one that was being sent when the daemon ended,
// if there is one.
func (d *delivery) batch() []item {
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

func notifications(batch []item) (list []*schema.CloudEvent[*schema.Alert]) {
	for _, it := range batch {
		if it.n != nil {
			list = append(list, it.n)
		}
	}
	return list
}

// send delivers a batch, parks it, or leaves it to be sent in halves. A batch that
// was tried is not extended, so that a mail that was accepted and sent again has
// the same Message-ID.
func (d *delivery) send(ctx context.Context, batch []item) error {
	list := notifications(batch)
	if len(list) == 0 {
		return d.finish(ctx, batch)
	}
	if err := d.inbox.begin(ctx, batch[len(batch)-1].seq); err != nil {
		return err
	}
	for tries, refusals := 1, 0; ; tries++ {
		d.markOver(ctx, list)
		err := d.notify(ctx, list)
		pause := time.Duration(0)
		switch {
		case err == nil:
			d.refused = 0
			d.log.Info().Int("notifications", len(list)).Str("alert", list[0].ID).Int("try", tries).Msg("notified")
			return d.finish(ctx, batch)
		case ctx.Err() != nil:
			return ctx.Err()
		case !notify.IsPermanent(err):
			pause = d.times.again(tries, err)
		case len(list) > 1:
			d.log.Warn().Err(err).Int("notifications", len(list)).Msg("batch is refused; trying it in halves")
			d.size = len(list) / 2
			return nil
		case d.refused > 0 || refusals == len(d.times.refused):
			return d.giveUp(ctx, batch, list[0], err)
		default:
			pause = d.times.refused[refusals]
			refusals++
		}
		d.log.Warn().Err(err).Int("notifications", len(list)).Int("try", tries).Dur("again_in", pause).Msg("notifications could not be delivered")
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// notify hands a batch to the receiver if this is still the active instance.
func (d *delivery) notify(ctx context.Context, list []*schema.CloudEvent[*schema.Alert]) error {
	if err := d.held(); err != nil {
		return err
	}
	// A stop lets what is under way end, which another instance that is active
	// does not.
	calm, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), errLeaseLost) {
			_ = sleep(calm, farewell)
		}
		cancel(context.Cause(ctx))
	})
	defer stop()
	err := d.to.Notify(calm, list)
	d.count(len(list), err)
	return err
}

// finish acknowledges a batch.
func (d *delivery) finish(ctx context.Context, batch []item) error {
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
	return d.inbox.ack(ctx, raw)
}

// giveUp parks the only notification of a batch. If the one before was refused
// too, it is likely that all are, and each is tried once; if not, the others go
// out together.
func (d *delivery) giveUp(ctx context.Context, batch []item, n *schema.CloudEvent[*schema.Alert], reason error) error {
	i := slices.IndexFunc(batch, func(it item) bool { return it.n == n })
	if err := d.park(ctx, batch[i].raw, batch[i].seq, reason); err != nil {
		return err
	}
	if d.size = maxBatch; d.refused > 0 {
		d.size = 1
	}
	d.refused++
	return d.finish(ctx, batch)
}

func (d *delivery) park(ctx context.Context, raw jetstream.Msg, seq uint64, reason error) error {
	if err := consumer.ParkMessage(ctx, d.js, stream.Alerts, d.inbox.name, raw, reason); err != nil {
		return err
	}
	d.log.Error().Err(reason).Uint64("seq", seq).Str("subject", raw.Subject()).Str("parked", stream.ParkedSubject(d.inbox.name)).
		Msg("notification is parked")
	d.setParked(1)
	d.parked.add(d.times)
	return nil
}
