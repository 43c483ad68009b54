package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// headerReleased is that of a deletion by which an instance gives the lease back.
const headerReleased = "Supernats-Released"

// holding is a lease that was taken. It belongs to Run's goroutine, but for lose, which
// the timer calls too.
type holding struct {
	lease *Lease
	// revision is that of the key as it was written last.
	revision uint64
	value    []byte
}

// hold runs work while the lease is ours, and gives it back.
func (h *holding) hold(ctx context.Context, work func(ctx context.Context) error) error {
	l := h.lease
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)

	lose := func(err error) {
		if l.until.Swap(nil) == nil {
			return // it is already
		}
		if end(err); context.Cause(ctx) == err { // and not ended before
			l.options.Log.Warn().Err(err).Str("instance", l.options.Instance).Msg("lease lost")
		}
	}
	expiry := time.AfterFunc(h.timeLeft(), func() {
		if l.Held() != nil {
			lose(h.errExpired())
		}
	})
	defer expiry.Stop()

	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	defer h.release()

	next := time.NewTimer(l.refresh)
	defer next.Stop()
	for {
		select {
		case err := <-done:
			if lost := context.Cause(ctx); errors.Is(lost, ErrLost) {
				return lost
			}
			return err
		case <-next.C:
		}

		// Also while ctx has ended and the work is ending.
		next.Reset(l.refresh)
		switch err := h.refreshOnce(context.WithoutCancel(ctx)); {
		case err == nil:
			expiry.Reset(h.timeLeft())
		case errors.Is(err, ErrLost):
			lose(err)
		default:
			next.Reset(l.refresh / 4)
		}
	}
}

func (h *holding) errExpired() error {
	return fmt.Errorf("%w: it could not be refreshed for %v", ErrLost, h.lease.ttl)
}

func (h *holding) timeLeft() time.Duration {
	if until := h.lease.until.Load(); until != nil {
		return time.Until(*until)
	}
	return 0
}

// refreshOnce refreshes the lease. ErrLost is its end; after any other error it is
// ours for as long as it was.
func (h *holding) refreshOnce(ctx context.Context) error {
	l := h.lease
	until := l.until.Load()
	if l.Held() != nil {
		return h.errExpired()
	}

	err := h.writeKey(ctx, until)
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		// The bucket is gone. Nobody else takes the lease before ours has ended.
		if _, e := l.openBucket(ctx); e != nil {
			return fmt.Errorf("%w; %w", err, e)
		}
	} else if !stream.IsWrongLast(err) {
		return err
	}

	key, err := l.lookUp(ctx)
	switch {
	case err != nil:
		return err
	case key.revision == 0: // the bucket was created again, or emptied
		h.revision = 0
		return h.writeKey(ctx, until)
	case key.record.Token == l.token: // of an earlier refresh, whose answer was lost
		h.revision = key.revision
		return h.writeKey(ctx, until)
	case key.record.Token == "":
		return fmt.Errorf("%w: it expired or was deleted", ErrLost)
	}
	l.others.Store(true)
	return fmt.Errorf("%w: host %s has taken over", ErrLost, key.record.Instance)
}

// writeKey writes the key again, if the lease is what it was until then: nil, or a time
// that is not over. It publishes the message itself: what kv.Update writes has no TTL.
func (h *holding) writeKey(ctx context.Context, was *time.Time) error {
	l := h.lease
	ctx, cancel := context.WithTimeout(ctx, l.refresh/2)
	defer cancel()

	// The time of the lease counts from before the request.
	until := time.Now().Add(l.ttl)
	m := &nats.Msg{Subject: h.subject(), Data: h.value}
	ack, err := l.js.PublishMsg(ctx, m,
		jetstream.WithMsgTTL(l.ttl), jetstream.WithExpectLastSequencePerSubject(h.revision))
	if err != nil {
		return fmt.Errorf("refresh the lease: %w", err)
	}

	h.revision = ack.Sequence
	if was != nil && !time.Now().Before(*was) || !l.until.CompareAndSwap(was, &until) {
		return h.errExpired() // the answer came too late
	}
	return nil
}

// release lets another instance begin at once.
func (h *holding) release() {
	l := h.lease
	l.until.Store(nil)

	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	err := nats.ErrConnectionClosed
	if l.js.Conn().IsConnected() { // a stop does not wait in vain
		// What kv.Delete writes has no header of ours.
		m := &nats.Msg{Subject: h.subject(), Header: nats.Header{"KV-Operation": {"DEL"}, headerReleased: {l.token}}}
		_, err = l.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(h.revision))
	}
	if err != nil {
		l.options.Log.Debug().Err(err).Msg("lease was not given back; it expires by itself")
	}
}

func (h *holding) subject() string {
	return stream.KeySubject(h.lease.js, stream.LeasesBucket, stream.LeaseKey)
}
