package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// acquire waits until the lease is ours.
func (l *Lease) acquire(ctx context.Context) (*holding, error) {
	t := l.newRetry("taking the lease")
	defer t.Stop()

	logged := "" // the token of the holder that the log has named
	for {
		h, err := l.standBy(ctx, &logged, t.Recovered)
		if err == nil {
			return h, nil
		}
		if err := t.Wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

// standBy tries to take the lease now and whenever it may have become free. recovered is
// called after each answer of NATS.
func (l *Lease) standBy(ctx context.Context, logged *string, recovered func()) (*holding, error) {
	short, cancel := context.WithTimeout(ctx, l.ttl)
	defer cancel()
	if _, err := l.openBucket(short); err != nil {
		return nil, err
	}
	kv, err := l.js.KeyValue(short, stream.LeasesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}

	// The watch reports the end of a lease at once, but after a restart of the server
	// seconds later: so the key is tried now and then too.
	changes, err := kv.Watch(ctx, stream.LeaseKey, jetstream.UpdatesOnly())
	if err != nil {
		return nil, fmt.Errorf("watch bucket %s: %w", stream.LeasesBucket, err)
	}
	defer func() { _ = changes.Stop() }()
	retry := time.NewTicker(max(l.ttl/5, 100*time.Millisecond))
	defer retry.Stop()

	for {
		h, err := l.tryTake(ctx, kv, logged)
		if h != nil || err != nil {
			return h, err
		}
		recovered()
		if err := waitForChange(ctx, changes, retry.C); err != nil {
			return nil, err
		}
	}
}

// waitForChange returns when a key is gone or it is time to try again.
func waitForChange(ctx context.Context, changes jetstream.KeyWatcher, retry <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry:
			return nil
		case e, ok := <-changes.Updates():
			if !ok {
				return errors.New("watch has ended")
			}
			if e != nil && e.Operation() != jetstream.KeyValuePut {
				return nil
			}
		}
	}
}

// tryTake takes the lease if it is free; the result is nil if it is not.
func (l *Lease) tryTake(ctx context.Context, kv jetstream.KeyValue, logged *string) (*holding, error) {
	value, err := l.newValue()
	if err != nil {
		return nil, err
	}
	if free, err := l.mayTake(ctx); err != nil || !free {
		return nil, err
	}

	// The time of the lease counts from before the request.
	until := time.Now().Add(l.ttl)
	short, cancel := context.WithTimeout(ctx, l.refresh)
	defer cancel()
	revision, err := kv.Create(short, stream.LeaseKey, value, jetstream.KeyTTL(l.ttl))
	if err == nil {
		l.until.Store(&until)
		l.forgetHolder()
		return &holding{lease: l, revision: revision, value: value}, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return nil, fmt.Errorf("take the lease: %w", err)
	}

	key, err := l.lookUp(ctx)
	switch {
	case err != nil:
		return nil, err
	case key.record.Token == "":
		return nil, nil // gone again
	case key.record.Token == l.token:
		// The answer to an earlier try or to a refresh was lost. How old it is
		// nobody knows, so it counts from the refresh of now.
		h := &holding{lease: l, revision: key.revision, value: value}
		l.until.Store(nil)
		l.forgetHolder()
		return h, h.writeKey(ctx, nil)
	}
	l.noteHolder(key.record, logged)
	return nil, nil
}

func (l *Lease) forgetHolder() {
	l.holder = ""
	l.gone = time.Time{}
}

// noteHolder notes that another instance is active, and logs its name once.
func (l *Lease) noteHolder(other stream.LeaseRecord, logged *string) {
	l.holder = other.Token
	l.gone = time.Time{}
	l.others.Store(true)

	if *logged != other.Token {
		*logged = other.Token
		l.options.Log.Info().Str("instance", l.options.Instance).Str("active", other.Instance).
			Time("since", other.Since.Time).Msg("standby: host " + other.Instance + " is active")
	}
	l.options.Standby()
}

// mayTake reports whether a key that is missing may be taken. An instance that gives the
// lease back leaves a sign, and so does the server when it expires. A key that has vanished
// without one was deleted or lost with its bucket: its holder may be active for ttl yet.
func (l *Lease) mayTake(ctx context.Context) (bool, error) {
	key, err := l.lookUp(ctx)
	if err != nil || key.record.Token != "" || key.ended {
		return true, err // if there is a key, taking it fails
	}
	if l.holder == "" {
		return l.isSettled(ctx)
	}

	if l.gone.IsZero() {
		l.gone = time.Now()
		l.options.Log.Warn().Str("instance", l.options.Instance).Dur("wait_ms", l.ttl).
			Msg("lease has vanished; its holder may be active for a while yet")
	}
	return time.Since(l.gone) >= l.ttl, nil
}

// isSettled reports whether nobody can hold a lease that vanished before this instance saw
// it. An active instance writes its key again, and so to the bucket, more often than ttl:
// a bucket that was not written for ttl is free. Others write to it too, though, to try
// whether they can. A bucket that was created together with streams that were never used
// is the first one.
func (l *Lease) isSettled(ctx context.Context) (bool, error) {
	if l.gone.IsZero() {
		l.gone = time.Now()
	}
	if time.Since(l.gone) >= l.ttl {
		return true, nil
	}

	ctx, cancel := context.WithTimeout(ctx, l.refresh)
	defer cancel()
	s, err := l.openBucket(ctx)
	if err != nil {
		return false, err
	}
	bucket := s.CachedInfo()
	lastWrite := bucket.State.LastTime
	if bucket.State.LastSeq > 0 && lastWrite.IsZero() { // it was emptied; nobody knows when
		return false, nil
	}
	if bucket.Created.After(lastWrite) {
		lastWrite = bucket.Created
	}
	if bucket.TimeStamp.Sub(lastWrite) >= l.ttl {
		return true, nil
	}

	alerts, err := l.js.Stream(ctx, stream.Alerts)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	first := alerts.CachedInfo()
	isUnused := bucket.State.LastSeq == 0 && first.State.LastSeq == 0
	return isUnused && bucket.Created.Sub(first.Created) < l.ttl, nil
}

// storedKey is the key as the bucket's stream has it.
type storedKey struct {
	// revision is 0 if there is no trace of any.
	revision uint64
	// record names the holder of the lease; it is empty if there is none.
	record stream.LeaseRecord
	// ended reports that the last holder has given the lease back, or that it expired.
	ended bool
}

// lookUp returns who holds the lease.
func (l *Lease) lookUp(ctx context.Context) (storedKey, error) {
	ctx, cancel := context.WithTimeout(ctx, l.refresh/2)
	defer cancel()
	s, err := l.js.Stream(ctx, stream.OfBucket(stream.LeasesBucket))
	if err != nil {
		return storedKey{}, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, stream.StoredKey(stream.LeasesBucket, stream.LeaseKey))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return storedKey{}, nil
	}
	if err != nil {
		return storedKey{}, fmt.Errorf("look up who has the lease: %w", err)
	}

	key := storedKey{revision: m.Sequence}
	key.ended = m.Header.Get(headerReleased) != "" || m.Header.Get(jetstream.MarkerReasonHeader) == "MaxAge"
	if len(m.Data) == 0 {
		return key, nil
	}
	if err := json.Unmarshal(m.Data, &key.record); err != nil || key.record.Token == "" {
		// Somebody else's value keeps the lease until it expires or is deleted.
		key.record = stream.LeaseRecord{Instance: "?", Token: "?"}
	}
	return key, nil
}
