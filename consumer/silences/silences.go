// Package silences follows the bucket of silences, and remembers what it held: a silence
// that vanishes with its bucket is stored again, and one that was over and comes back with
// a backup is deleted again.
//
// It holds all silences that there are, and the ids of the last 10,000 that are over.
package silences

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// maxEnded bounds what is remembered of silences that are over.
	maxEnded = 10_000
	// stopWithin bounds how long Stop waits.
	stopWithin = 200 * time.Millisecond
)

// Silences follows the bucket of silences until Stop.
type Silences struct {
	watcher jetstream.KeyWatcher
	log     zerolog.Logger
	done    chan struct{} // closed when follow has ended
	// opened is the identity of the bucket, and reconnects the connection's count of
	// reconnects, when Watch began.
	opened     stream.Identity
	reconnects uint64

	mu   sync.Mutex
	byID map[string]schema.Mute
	// ended holds the ids that were deleted, by a person or by the server, at most
	// maxEnded: a backup may still have them. full is set when there were more.
	ended map[string]bool
	full  bool
	last  uint64        // the newest revision
	list  []schema.Mute // what byID holds; never changed, only replaced
	news  bool          // something changed since Now was called
}

// Watch returns after it has read all silences. before is what this process knew, or nil:
// if the bucket was replaced, those of before that have not expired are stored in it.
func Watch(ctx context.Context, js jetstream.JetStream, before *Silences, log zerolog.Logger) (*Silences, error) {
	reconnects := js.Conn().Stats().Reconnects
	kv, err := js.KeyValue(ctx, stream.MutesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.MutesBucket, err)
	}
	bucket, err := bucketStream(ctx, js)
	if err != nil {
		return nil, err
	}
	s := &Silences{
		log: log, done: make(chan struct{}), opened: stream.IdentityOf(bucket.CachedInfo()), reconnects: reconnects,
		byID: map[string]schema.Mute{}, ended: map[string]bool{},
	}
	if before != nil {
		if err := s.restoreFrom(ctx, js, kv, before); err != nil {
			return nil, err
		}
	}

	s.watcher, err = kv.WatchAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", stream.MutesBucket, err)
	}
	for {
		select {
		case <-ctx.Done():
			_ = s.watcher.Stop()
			return nil, ctx.Err()
		case e, ok := <-s.watcher.Updates():
			if !ok {
				return nil, fmt.Errorf("read bucket %s: the connection was closed", stream.MutesBucket)
			}
			if e == nil { // that was all
				go s.follow()
				return s, nil
			}
			s.apply(e)
		}
	}
}

func bucketStream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, stream.OfBucket(stream.MutesBucket))
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.MutesBucket, err)
	}
	return s, nil
}

// Renew reads the silences again if the connection of js has reconnected since they were
// read. The watcher would notice only seconds later that it misses changes. Renew returns
// the Silences to use from now on, and stops the old ones.
func (s *Silences) Renew(ctx context.Context, js jetstream.JetStream) (*Silences, error) {
	if js.Conn().Stats().Reconnects == s.reconnects {
		return s, nil
	}
	renewed, err := Watch(ctx, js, s, s.log)
	if err != nil {
		return s, err
	}
	s.Stop()
	return renewed, nil
}

// IsOther reports whether the bucket is not the one that is followed, or was emptied
// without a marker.
func (s *Silences) IsOther(ctx context.Context, js jetstream.JetStream) (bool, error) {
	bucket, err := bucketStream(ctx, js)
	if err != nil {
		return false, err
	}
	info := bucket.CachedInfo()
	known, lasts := s.identity()
	if other := !stream.IdentityOf(info).Follows(known); other || !lasts || info.State.NumSubjects > 1 {
		return other, nil
	}

	keys, err := stream.Keys(ctx, bucket)
	if err != nil {
		return false, fmt.Errorf("look up bucket %s: %w", stream.MutesBucket, err)
	}
	return keys == 0, nil
}

// identity returns the identity of the bucket as of its last change, and whether it held a
// silence that cannot have expired since.
func (s *Silences) identity() (id stream.Identity, lasts bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, mute := range s.byID {
		lasts = lasts || time.Until(mute.Expires.Time) > time.Minute
	}
	return stream.Identity{Created: s.opened.Created, Last: max(s.opened.Last, s.last)}, lasts
}

// restoreFrom stores the silences that the bucket of before held and this one lacks, and
// deletes those that had ended there.
func (s *Silences) restoreFrom(
	ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, before *Silences,
) error {
	other, err := before.IsOther(ctx, js)
	before.mu.Lock()
	defer before.mu.Unlock()
	s.ended, s.full = maps.Clone(before.ended), before.full // before is still followed
	if err != nil || !other {
		return err
	}

	for id := range s.ended {
		if err := s.deleteAgain(ctx, kv, id); err != nil {
			return err
		}
	}
	for id, mute := range before.byID {
		if err := s.storeAgain(ctx, kv, id, mute); err != nil {
			return err
		}
	}
	return nil
}

func (s *Silences) deleteAgain(ctx context.Context, kv jetstream.KeyValue, id string) error {
	if _, err := kv.Get(ctx, id); errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err := kv.Delete(ctx, id); err != nil {
		return fmt.Errorf("delete silence %s again: %w", id, err)
	}
	s.log.Warn().Str("id", id).Msg("bucket of silences was restored from a backup; one that was over is deleted again")
	return nil
}

func (s *Silences) storeAgain(ctx context.Context, kv jetstream.KeyValue, id string, mute schema.Mute) error {
	left := time.Until(mute.Expires.Time)
	if left < time.Second { // the server counts in seconds
		return nil
	}
	value, err := schema.Marshal(mute)
	if err != nil {
		return err
	}

	_, err = kv.Create(ctx, id, value, jetstream.KeyTTL(left.Truncate(time.Second)))
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store silence %s again: %w", id, err)
	}
	s.log.Warn().Str("id", id).Time("expires", mute.Expires.Time).
		Msg("silence had vanished with its bucket and is stored again")
	return nil
}

func (s *Silences) follow() {
	defer close(s.done)
	for e := range s.watcher.Updates() {
		s.apply(e)
	}
}

// apply applies a change. The server deletes a silence that has expired.
func (s *Silences) apply(e jetstream.KeyValueEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, had := s.byID[e.Key()]
	delete(s.byID, e.Key())
	delete(s.ended, e.Key())
	s.last = max(s.last, e.Revision())

	if e.Operation() == jetstream.KeyValuePut {
		var mute schema.Mute
		if err := json.Unmarshal(e.Value(), &mute); err != nil {
			s.log.Error().Err(err).Str("bucket", stream.MutesBucket).Str("key", e.Key()).
				Msg("silence is malformed and has no effect; `supernats unmute` removes it")
		} else {
			s.byID[e.Key()] = mute
		}
	} else {
		s.rememberEnded(e.Key())
		if !had {
			return
		}
	}

	s.list = make([]schema.Mute, 0, len(s.byID))
	for _, mute := range s.byID {
		s.list = append(s.list, mute)
	}
	s.news = true
}

// rememberEnded remembers that a silence has ended.
func (s *Silences) rememberEnded(id string) {
	if len(s.ended) < maxEnded {
		s.ended[id] = true
		return
	}
	if !s.full {
		s.log.Warn().Int("kept", maxEnded).Msg("more silences have ended than are remembered: " +
			"if their bucket is restored from a backup, those that ended from now on may be in force again; " +
			"`supernats mutes` shows them")
	}
	s.full = true
}

// Now returns the current silences, and whether they have changed since the last call.
func (s *Silences) Now() (list []schema.Mute, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, s.news = s.news, false
	return s.list, changed
}

// Stop stops following the bucket. nats.go asks the server to delete a consumer, and waits
// for an answer that never comes over a connection that has just broken; Stop does not.
func (s *Silences) Stop() {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = s.watcher.Stop()
		<-s.done
	}()
	select {
	case <-stopped:
	case <-time.After(stopWithin):
	}
}
