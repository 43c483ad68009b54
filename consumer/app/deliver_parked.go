package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/health"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// maxParkedTries bounds how often the other side is asked in one round: it may
	// refuse every single one.
	maxParkedTries = 32
	// parkedTime is after what time of a round no further try begins: what is new
	// waits for it.
	parkedTime = 10 * time.Second
	// parkedWaits is how long a round waits for a moment in which nothing is new.
	parkedWaits = time.Minute
	// maxEnd bounds how many notifications are read to find the end of an alert.
	maxEnd = 100
)

// parked says when those that were parked are tried again.
type parked struct {
	// due is the next time; zero: there are none.
	due   time.Time
	pause time.Duration
}

func (p *parked) isDue() bool { return !p.due.IsZero() && !time.Now().Before(p.due) }

// before shortens a time to wait so that it ends when it is due.
func (p *parked) before(wait time.Duration) time.Duration {
	if p.due.IsZero() {
		return wait
	}
	return min(wait, time.Until(p.due))
}

// add says that one was parked.
func (p *parked) add(t timing) {
	if p.due.IsZero() {
		p.pause = t.parkedFirst
		p.due = time.Now().Add(p.pause)
	}
}

// done says how a round went.
func (p *parked) done(t timing, left, some bool) {
	switch {
	case !left:
		*p = parked{}
		return
	case some || p.pause == 0:
		p.pause = t.parkedFirst
	default:
		p.pause = min(2*p.pause, t.parkedMax)
	}
	p.due = time.Now().Add(p.pause)
}

// overdue reports whether it was due some time ago, and there was always something
// new to be delivered first.
func (p *parked) overdue() bool { return p.isDue() && time.Since(p.due) > parkedWaits }

// parkedOne is a notification in the stream of parked messages, under seq there; it
// was under from in the stream of notifications.
type parkedOne struct {
	n         *schema.CloudEvent[*schema.Notification]
	seq, from uint64
}

// retryParked tries what was parked again, as one batch if that is taken, and
// deletes what was delivered. At the start this comes first: somebody may have
// fixed the settings.
func (d *delivery) retryParked(ctx context.Context) error {
	var s jetstream.Stream
	var all []parkedOne
	var unread int
	var more bool
	err := health.Unbroken(ctx, d.js.Conn(), func(ctx context.Context) (err error) {
		if s, err = d.js.Stream(ctx, stream.Parked); err != nil {
			return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
		}
		all, unread, more, err = d.readParked(ctx, s)
		return err
	})
	if err != nil {
		return err
	}
	r := round{d: d, parked: s, tries: maxParkedTries, until: time.Now().Add(parkedTime), left: len(all)}
	err = r.try(ctx, all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	left := r.left
	d.parked.done(d.times, left > 0 || more, left < len(all))
	d.resetParked(left + unread)
	if len(all) > 0 {
		var e *zerolog.Event
		if err != nil {
			e = d.unparked.Log(d.log, err)
		} else {
			e = d.unparked.AddOver(d.log.Info())
		}
		e.Int("delivered", len(all)-left).Int("parked", left).Dur("again_in_ms", d.parked.pause).Msg("parked notifications were tried again")
	}
	if errors.Is(err, errParked) {
		return err
	}
	return nil
}

// errParked is an error of the stream, not of the receiver.
var errParked = errors.New("stream of parked messages")

// readParked returns a batch of what is parked, how many nobody can read, and
// whether there is more.
func (d *delivery) readParked(ctx context.Context, s jetstream.Stream) (all []parkedOne, unread int, more bool, err error) {
	subject, size := stream.ParkedSubject(d.inbox.name), 0
	for seq := uint64(1); ; seq++ {
		m, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, unread, false, nil
		}
		if err != nil {
			return nil, 0, false, fmt.Errorf("read what is parked: %w", err)
		}
		seq = m.Sequence
		n, err := decode(m.Header.Get(consumer.HeaderParkedSubject), m.Data)
		if err != nil && m.Header.Get(consumer.HeaderParkedCut) != "" {
			n, err = d.original(ctx, m)
		}
		if err != nil {
			unread++
			continue
		}
		if size += len(m.Data); len(all) == maxBatch || len(all) > 0 && size > maxBatchBytes {
			return all, unread, true, nil
		}
		from, _ := strconv.ParseUint(m.Header.Get(consumer.HeaderParkedSeq), 10, 64)
		all = append(all, parkedOne{n, seq, from})
	}
}

// original returns the whole of a notification that left no room for a reason.
func (d *delivery) original(ctx context.Context, m *jetstream.RawStreamMsg) (*schema.CloudEvent[*schema.Notification], error) {
	seq, err := strconv.ParseUint(m.Header.Get(consumer.HeaderParkedSeq), 10, 64)
	if err != nil {
		return nil, err
	}
	alerts, err := d.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, err
	}
	whole, err := alerts.GetMsg(ctx, seq)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(whole.Data, m.Data) {
		return nil, fmt.Errorf("message %d of stream %s is another one by now", seq, stream.Alerts)
	}
	return decode(whole.Subject, whole.Data)
}

// round is one in which what is parked is tried again.
type round struct {
	d      *delivery
	parked jetstream.Stream
	// tries are left, and left of those that are parked.
	tries, left int
	until       time.Time
	// took says that something was taken, refused how many were not, each alone.
	took    bool
	refused int
}

// over reports whether to stop: there is nothing to be learned from a receiver that
// takes nothing at all.
func (r *round) over() bool {
	return r.tries == 0 || time.Now().After(r.until) || !r.took && r.refused >= 2
}

// try sends a batch, in halves if it is not taken. Its error is the last one, and an
// outage or that of the stream if there was such a one.
func (r *round) try(ctx context.Context, batch []parkedOne) error {
	if len(batch) == 0 || r.over() {
		return nil
	}
	r.tries--
	err := r.send(ctx, &batch)
	if err == nil || len(batch) == 0 || notify.IsOutage(err) || errors.Is(err, errParked) || ctx.Err() != nil {
		return err
	}
	if _, asked := notify.RetryAfter(err); asked {
		return err
	}
	if len(batch) == 1 {
		r.refused++
		return err
	}

	halves := [][]parkedOne{batch[:len(batch)/2], batch[len(batch)/2:]}
	if rand.N(2) == 0 { // so that no half is the one that there are no tries left for
		halves[0], halves[1] = halves[1], halves[0]
	}
	for _, half := range halves {
		if e := r.try(ctx, half); e != nil {
			if err = e; notify.IsOutage(e) || errors.Is(e, errParked) {
				return e
			}
		}
	}
	return err
}

// send sends a batch, with the ends of its alerts, and leaves of it what was not
// taken.
func (r *round) send(ctx context.Context, batch *[]parkedOne) error {
	if err := r.d.held(); err != nil {
		return fmt.Errorf("%w: %w", errParked, err)
	}
	var list []*schema.CloudEvent[*schema.Notification]
	err := health.Unbroken(ctx, r.d.js.Conn(), func(ctx context.Context) (err error) {
		list, err = r.d.withEnds(ctx, *batch)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errParked, err)
	}

	failure := r.d.notify(ctx, list)
	taken := *batch
	if failure != nil {
		taken = nil
		for _, i := range notify.Taken(failure) {
			if i < len(*batch) {
				taken = append(taken, (*batch)[i])
			}
		}
	}
	if len(taken) == 0 {
		return failure
	}
	r.took = true
	r.d.log.Info().Int("notifications", len(taken)).Str("alert", taken[0].n.ID).Msg("notified of what was parked")
	if err := r.unpark(ctx, taken); err != nil {
		return err
	}
	now := time.Now().UTC()
	for _, p := range taken {
		r.d.inbox.took(now, made{p.from, p.n.Time.Time})
	}
	if err := r.d.inbox.recovered(ctx); err != nil {
		return fmt.Errorf("%w: %w", errParked, err)
	}
	*batch = slices.DeleteFunc(slices.Clone(*batch), func(p parkedOne) bool { return slices.Contains(taken, p) })
	return failure
}

// unpark deletes what was delivered.
func (r *round) unpark(ctx context.Context, taken []parkedOne) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	return health.Unbroken(ctx, r.d.js.Conn(), func(ctx context.Context) error {
		for _, p := range taken {
			if err := r.parked.DeleteMsg(ctx, p.seq); err != nil {
				return fmt.Errorf("%w: delete message %d: %w", errParked, p.seq, err)
			}
			r.left--
		}
		return nil
	})
}
