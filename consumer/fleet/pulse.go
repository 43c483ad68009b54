package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/health"
	"supernats/consumer/inspect"
	"supernats/schema/stream"
)

const (
	// pulseEvery is how often it is checked whether the records are up to date, pulseTimeout
	// how long that may take.
	pulseEvery   = 2 * time.Second
	pulseTimeout = 5 * time.Second
	// LateAfter is how long an event may wait to be read before the records are late.
	LateAfter = 30 * time.Second
)

// pulse finds out whether the records are as the stream says.
type pulse struct {
	js    jetstream.JetStream
	model *model

	// ahead is by how much the server's clock is ahead of ours.
	ahead atomic.Int64
	// right is when all was well last, by the server's clock; zero: never yet.
	right time.Time
}

// now returns the server's time.
func (p *pulse) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

// run checks until ctx ends.
func (p *pulse) run(ctx context.Context) error {
	for {
		status := p.check(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.model.mu.Lock()
		p.model.setStatus(status)
		p.model.mu.Unlock()

		if err := health.Sleep(ctx, pulseEvery); err != nil {
			return err
		}
	}
}

// check returns how things are.
func (p *pulse) check(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, pulseTimeout)
	defer cancel()

	s := Status{Loaded: true, Live: true}
	if err := p.look(ctx, &s); err != nil {
		s.Live, s.Why = false, err.Error()
	}
	if s.Live {
		p.right = p.now()
		return s
	}
	if p.right.IsZero() {
		p.right = p.recordedUntil(ctx)
	}
	s.Since = p.right
	return s
}

// recordedUntil returns up to when the records are right though nobody has looked at that
// time: until the oldest event that waits was stored; zero if that cannot be found out.
func (p *pulse) recordedUntil(ctx context.Context) time.Time {
	events, err := p.js.Stream(ctx, stream.Events)
	if err != nil {
		return time.Time{}
	}
	c, err := events.Consumer(ctx, stream.EventsConsumer)
	if err != nil {
		return time.Time{}
	}
	if waiting(c.CachedInfo()) == 0 {
		return p.now()
	}
	oldest, err := oldestWaiting(ctx, events, c.CachedInfo())
	if err != nil {
		return time.Time{}
	}
	return oldest
}

// waiting is how many messages of the stream were not read yet.
func waiting(c *jetstream.ConsumerInfo) uint64 { return c.NumPending + uint64(c.NumAckPending) }

// oldestWaiting returns when the oldest message was stored that was not read yet. Those before
// it may have expired: ticks are kept for an hour.
func oldestWaiting(ctx context.Context, events jetstream.Stream, c *jetstream.ConsumerInfo) (time.Time, error) {
	m, err := events.GetMsg(ctx, c.AckFloor.Stream+1, jetstream.WithGetMsgSubject(">"))
	if err != nil {
		return time.Time{}, err
	}
	return m.Time, nil
}

// look fills in a status. The error says why it is not live.
func (p *pulse) look(ctx context.Context, s *Status) error {
	if nc := p.js.Conn(); !nc.IsConnected() {
		return fmt.Errorf("NATS cannot be reached")
	}
	events, err := p.js.Stream(ctx, stream.Events)
	if err != nil {
		return fmt.Errorf("stream %s cannot be read: %w", stream.Events, err)
	}
	info := events.CachedInfo()
	p.ahead.Store(int64(time.Until(info.TimeStamp)))

	lease, err := (&inspect.Reader{JS: p.js}).Lease(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("who records events cannot be found out: %w", err)
	case lease == nil:
		return fmt.Errorf("no `supernats consume` is recording events")
	}
	s.Active = lease.Instance
	return p.lookLag(ctx, s, events)
}

// lookLag finds out how far the reading of events is.
func (p *pulse) lookLag(ctx context.Context, s *Status, events jetstream.Stream) error {
	c, err := events.Consumer(ctx, stream.EventsConsumer)
	if err != nil {
		return fmt.Errorf("how far events are recorded cannot be found out: %w", err)
	}
	if s.Lag = waiting(c.CachedInfo()); s.Lag == 0 {
		return nil
	}
	oldest, err := oldestWaiting(ctx, events, c.CachedInfo())
	switch {
	case err == nil:
		s.LagAge = max(0, p.now().Sub(oldest))
	case !errors.Is(err, jetstream.ErrMsgNotFound): // all that waited have been read, or expired
		return fmt.Errorf("how far events are recorded cannot be found out: %w", err)
	}
	if s.LagAge > LateAfter {
		return fmt.Errorf("events are recorded late: %d wait, the oldest for %s",
			s.Lag, s.LagAge.Round(time.Second))
	}
	return nil
}
