package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// holding is a lease that was taken.
type holding struct {
	*lease
	revision uint64
	value    []byte
}

// hold runs work while the lease is ours, and gives it back.
func (h *holding) hold(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	lose := func(err error) {
		if h.until.Swap(nil) == nil {
			return // it is already
		}
		if end(err); context.Cause(ctx) == err { // and not ended before
			h.log.Warn().Err(err).Str("instance", h.instance).Msg("lease lost")
		}
	}
	expiry := time.AfterFunc(h.left(), func() {
		if h.Held() != nil {
			lose(h.expired())
		}
	})
	defer expiry.Stop()
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	defer h.release()
	next := time.NewTimer(h.refresh)
	defer next.Stop()
	for {
		select {
		case err := <-done:
			if lost := context.Cause(ctx); errors.Is(lost, errLeaseLost) {
				return lost
			}
			return err
		case <-next.C:
		}
		next.Reset(h.refresh)
		// Also while ctx has ended and the work is ending.
		switch err := h.extend(context.WithoutCancel(ctx)); {
		case err == nil:
			expiry.Reset(h.left())
		case errors.Is(err, errLeaseLost):
			lose(err)
		default:
			next.Reset(h.refresh / 4)
		}
	}
}

func (h *holding) expired() error {
	return fmt.Errorf("%w: it could not be refreshed for %v", errLeaseLost, h.ttl)
}

func (h *holding) left() time.Duration {
	if until := h.until.Load(); until != nil {
		return time.Until(*until)
	}
	return 0
}

// extend refreshes the lease. errLeaseLost is its end; after any other error it is
// ours for as long as it was.
func (h *holding) extend(ctx context.Context) error {
	until := h.until.Load()
	if h.Held() != nil {
		return h.expired()
	}
	err := h.put(ctx, until)
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		// The bucket is gone. Nobody else takes the lease before ours has ended.
		if _, e := h.open(ctx); e != nil {
			return fmt.Errorf("%w; %w", err, e)
		}
	} else if !stream.IsWrongLast(err) {
		return err
	}
	revision, other, _, err := h.look(ctx)
	switch {
	case err != nil:
		return err
	case revision == 0:
		h.revision = 0 // the bucket was made again, or emptied
		return h.put(ctx, until)
	case other.Token == h.token:
		h.revision = revision // of an earlier refresh, whose answer was lost
		return h.put(ctx, until)
	case other.Token == "":
		return fmt.Errorf("%w: it expired or was deleted", errLeaseLost)
	}
	h.others.Store(true)
	return fmt.Errorf("%w: host %s has taken over", errLeaseLost, other.Instance)
}

// put writes the key again, if the lease is what it was until then: nil, or a time
// that is not over. There is no call for it: what kv.Update writes would stay.
func (h *holding) put(ctx context.Context, was *time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, h.refresh/2)
	defer cancel()
	until := time.Now().Add(h.ttl)
	ack, err := h.js.PublishMsg(ctx, &nats.Msg{Subject: stream.KeySubject(h.js, stream.LeasesBucket, leaseKey), Data: h.value},
		jetstream.WithMsgTTL(h.ttl), jetstream.WithExpectLastSequencePerSubject(h.revision))
	if err != nil {
		return fmt.Errorf("refresh the lease: %w", err)
	}
	h.revision = ack.Sequence
	if was != nil && !time.Now().Before(*was) || !h.until.CompareAndSwap(was, &until) {
		return h.expired() // the answer came too late
	}
	return nil
}

// release lets another instance begin at once.
func (h *holding) release() {
	h.until.Store(nil)
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	var err error = nats.ErrConnectionClosed
	if h.js.Conn().IsConnected() { // a stop waits for nothing that is in vain
		_, err = h.js.PublishMsg(ctx, &nats.Msg{Subject: stream.KeySubject(h.js, stream.LeasesBucket, leaseKey), Header: nats.Header{
			"KV-Operation": {"DEL"}, headerReleased: {h.token},
		}}, jetstream.WithExpectLastSequencePerSubject(h.revision))
	}
	if err != nil {
		h.log.Debug().Err(err).Msg("lease was not given back; it expires by itself")
	}
}
