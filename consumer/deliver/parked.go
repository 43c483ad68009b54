package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/health"
	"supernats/schema/stream"
)

// parkedPatience is how long a due round waits for a moment without new notifications.
const parkedPatience = time.Minute

// parkedSchedule is when parked notifications are tried again.
type parkedSchedule struct {
	// due is the time of the next round; zero if nothing is parked.
	due   time.Time
	pause time.Duration
}

func (p *parkedSchedule) isDue() bool { return !p.due.IsZero() && !time.Now().Before(p.due) }

// isOverdue reports whether a round has been due for long, because new notifications always
// came first.
func (p *parkedSchedule) isOverdue() bool { return p.isDue() && time.Since(p.due) > parkedPatience }

// untilDue shortens a waiting time so that it ends when the next round is due.
func (p *parkedSchedule) untilDue(wait time.Duration) time.Duration {
	if p.due.IsZero() {
		return wait
	}
	return min(wait, time.Until(p.due))
}

// addParked is called when a notification was parked.
func (p *parkedSchedule) addParked(t timing) {
	if p.due.IsZero() {
		p.pause = t.parkedFirst
		p.due = time.Now().Add(p.pause)
	}
}

// endRound is called after a round: left if notifications remain, taken if some were accepted.
func (p *parkedSchedule) endRound(t timing, left, taken bool) {
	switch {
	case !left:
		*p = parkedSchedule{}
		return
	case taken || p.pause == 0:
		p.pause = t.parkedFirst
	default:
		p.pause = min(2*p.pause, t.parkedMax)
	}
	p.due = time.Now().Add(p.pause)
}

// parkedOne is a parked notification: seq is its sequence in the stream of parked messages,
// from the one that it had in the stream of alerts.
type parkedOne struct {
	n         notification
	seq, from uint64
}

// retryParked tries parked notifications again, as one batch if the receiver accepts that,
// and deletes those that were delivered. It is the first thing at a start: somebody may
// have fixed the settings.
func (d *Delivery) retryParked(ctx context.Context) error {
	parked := parkedStore{js: d.js, consumer: d.inbox.Name()}
	var all []parkedOne
	var more bool
	err := health.Unbroken(ctx, d.js.Conn(), func(ctx context.Context) (err error) {
		all, more, err = parked.read(ctx)
		return err
	})
	if err != nil {
		return err
	}

	r := round{delivery: d, parked: parked, tries: maxParkedTries, until: time.Now().Add(parkedTime), left: len(all)}
	err = r.tryBatch(ctx, all)
	if ctx.Err() != nil {
		return ctx.Err()
	}

	taken := len(all) - r.left
	d.parked.endRound(d.timing, r.left > 0 || more, taken > 0)
	if len(all) > 0 {
		var e *zerolog.Event
		if err != nil {
			e = d.unparking.Log(d.log, err)
		} else {
			e = d.unparking.AddOver(d.log.Info())
		}
		e.Int("delivered", taken).Int("parked", r.left).Dur("again_in_ms", d.parked.pause).
			Msg("parked notifications were tried again")
	}
	if errors.Is(err, errParked) {
		return err
	}
	return nil
}

// parkedStore is the part of the stream of parked messages that belongs to a receiver.
type parkedStore struct {
	js       jetstream.JetStream
	consumer string
}

func (p parkedStore) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := p.js.Stream(ctx, stream.Parked)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Parked, err)
	}
	return s, nil
}

// read returns a batch of parked notifications that are readable, and whether there are more.
func (p parkedStore) read(ctx context.Context) (all []parkedOne, more bool, err error) {
	parked, err := p.stream(ctx)
	if err != nil {
		return nil, false, err
	}
	subject := stream.ParkedSubject(p.consumer)
	size := 0
	for seq := uint64(1); ; seq++ {
		m, err := parked.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("read what is parked: %w", err)
		}
		seq = m.Sequence

		n, err := decode(m.Header.Get(consumer.HeaderParkedSubject), m.Data)
		if err != nil && m.Header.Get(consumer.HeaderParkedCut) != "" {
			n, err = p.readOriginal(ctx, m)
		}
		if err != nil {
			continue // it is unreadable
		}
		if size += len(m.Data); len(all) == maxBatch || len(all) > 0 && size > maxBatchBytes {
			return all, true, nil
		}
		from, _ := strconv.ParseUint(m.Header.Get(consumer.HeaderParkedSeq), 10, 64)
		all = append(all, parkedOne{n, seq, from})
	}
}

// readOriginal returns the whole of a notification of which only the beginning is parked:
// the rest left no room for the reason.
func (p parkedStore) readOriginal(ctx context.Context, m *jetstream.RawStreamMsg) (notification, error) {
	seq, err := strconv.ParseUint(m.Header.Get(consumer.HeaderParkedSeq), 10, 64)
	if err != nil {
		return nil, err
	}
	alerts, err := p.js.Stream(ctx, stream.Alerts)
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

// remove deletes notifications that were delivered, and calls removed after each.
func (p parkedStore) remove(ctx context.Context, taken []parkedOne, removed func()) error {
	parked, err := p.stream(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errParked, err)
	}
	for _, one := range taken {
		if err := parked.DeleteMsg(ctx, one.seq); err != nil {
			return fmt.Errorf("%w: delete message %d: %w", errParked, one.seq, err)
		}
		removed()
	}
	return nil
}
