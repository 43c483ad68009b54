package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/stream"
)

// maxParkedTries bounds how often the other side is asked in one round: of a
// recipient that does not exist every single notification is refused.
const maxParkedTries = 32

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

// parkedOne is a notification in the stream of parked messages, under seq there.
type parkedOne struct {
	n   *schema.CloudEvent[*schema.Alert]
	seq uint64
}

// retryParked tries what was parked again, as one batch if that is taken, and
// deletes what was delivered. At the start this comes first: somebody may have
// mended the settings.
func (d *delivery) retryParked(ctx context.Context) error {
	s, err := d.js.Stream(ctx, stream.Parked)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	all, unread, more, err := d.readParked(ctx, s)
	if err != nil {
		return err
	}
	tries, left := maxParkedTries, len(all)
	err = d.tryParked(ctx, s, all, &tries, &left)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.parked.done(d.times, left > 0 || more, left < len(all))
	d.resetParked(left + unread)
	if len(all) > 0 {
		e := d.log.Info()
		if err != nil {
			e = d.log.Warn().Err(err)
		}
		e.Int("delivered", len(all)-left).Int("parked", left).Dur("again_in", d.parked.pause).Msg("parked notifications were tried again")
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
		all = append(all, parkedOne{n, seq})
	}
}

// original returns the whole of a notification that left no room for a reason.
func (d *delivery) original(ctx context.Context, m *jetstream.RawStreamMsg) (*schema.CloudEvent[*schema.Alert], error) {
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

// tryParked sends a batch, in halves if it is refused; left counts down what was
// delivered. Its error is the last one, and not a refusal if there was another.
func (d *delivery) tryParked(ctx context.Context, s jetstream.Stream, batch []parkedOne, tries, left *int) error {
	if len(batch) == 0 || *tries == 0 {
		return nil
	}
	*tries--
	list := make([]*schema.CloudEvent[*schema.Alert], len(batch))
	for i, p := range batch {
		list[i] = p.n
	}
	err := d.notify(ctx, list)
	if err == nil {
		d.log.Info().Int("notifications", len(list)).Str("alert", list[0].ID).Msg("notified of what was parked")
		return d.unpark(ctx, s, batch, left)
	}
	if !notify.IsPermanent(err) || len(batch) == 1 {
		return err
	}
	halves := [][]parkedOne{batch[:len(batch)/2], batch[len(batch)/2:]}
	if rand.N(2) == 0 { // so that no half is the one that there are no tries left for
		halves[0], halves[1] = halves[1], halves[0]
	}
	for _, half := range halves {
		if e := d.tryParked(ctx, s, half, tries, left); e != nil {
			if err = e; !notify.IsPermanent(e) {
				return e
			}
		}
	}
	return err
}

// unpark deletes what was delivered.
func (d *delivery) unpark(ctx context.Context, s jetstream.Stream, batch []parkedOne, left *int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	for _, p := range batch {
		if err := s.DeleteMsg(ctx, p.seq); err != nil {
			return fmt.Errorf("%w: delete message %d: %w", errParked, p.seq, err)
		}
		*left--
	}
	return nil
}
