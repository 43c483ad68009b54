package app

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

// mutes follows the bucket of silences.
type mutes struct {
	watcher jetstream.KeyWatcher
	log     zerolog.Logger
	done    chan struct{}
	opened  stream.Identity

	mu   sync.Mutex
	byID map[string]schema.Mute
	// ended are the ids that were deleted, by somebody or by the server: a backup may
	// have them still. At most maxEnded.
	ended map[string]bool
	full  bool          // somebody was told that there were more
	last  uint64        // the newest revision
	list  []schema.Mute // what byID holds; never changed, only replaced
	news  bool          // since now was called
}

// maxEnded bounds what is remembered of silences that are over.
const maxEnded = 10_000

// watchMutes returns when it has all that there are. before is what this process knew,
// or nil: if the bucket is another one by now, it gets the silences that have not run
// out.
func watchMutes(ctx context.Context, js jetstream.JetStream, before *mutes, log zerolog.Logger) (*mutes, error) {
	kv, err := js.KeyValue(ctx, stream.MutesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.MutesBucket, err)
	}
	s, err := js.Stream(ctx, "KV_"+stream.MutesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.MutesBucket, err)
	}
	m := &mutes{log: log, done: make(chan struct{}), opened: stream.IdentityOf(s.CachedInfo()), byID: map[string]schema.Mute{}, ended: map[string]bool{}}
	if before != nil {
		if err := m.keep(ctx, js, kv, before); err != nil {
			return nil, err
		}
	}

	if m.watcher, err = kv.WatchAll(ctx); err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", stream.MutesBucket, err)
	}
	for {
		select {
		case <-ctx.Done():
			_ = m.watcher.Stop()
			return nil, ctx.Err()
		case e, ok := <-m.watcher.Updates():
			if !ok {
				return nil, fmt.Errorf("read bucket %s: the connection was closed", stream.MutesBucket)
			}
			if e == nil {
				go m.run()
				return m, nil
			}
			m.take(e)
		}
	}
}

// isOther reports whether the bucket is not the one that is followed, or was emptied
// without a word.
func (m *mutes) isOther(ctx context.Context, js jetstream.JetStream) (bool, error) {
	s, err := js.Stream(ctx, "KV_"+stream.MutesBucket)
	if err != nil {
		return false, fmt.Errorf("open bucket %s: %w", stream.MutesBucket, err)
	}
	info := s.CachedInfo()

	known, lasts := m.known()
	if other := !stream.IdentityOf(info).Follows(known); other || !lasts || info.State.NumSubjects > 1 {
		return other, nil
	}
	keys, err := stream.Keys(ctx, s)
	if err != nil {
		return false, fmt.Errorf("look up bucket %s: %w", stream.MutesBucket, err)
	}
	return keys == 0, nil
}

// known returns what the bucket was when it was heard of last, and whether it had a
// silence that does not expire before the server has had time to delete it.
func (m *mutes) known() (id stream.Identity, lasts bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mute := range m.byID {
		lasts = lasts || time.Until(mute.Expires.Time) > time.Minute
	}
	return stream.Identity{Created: m.opened.Created, Last: max(m.opened.Last, m.last)}, lasts
}

// keep writes what another life of the bucket held and this one lacks, and deletes what
// was over there.
func (m *mutes) keep(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, before *mutes) error {
	other, err := before.isOther(ctx, js)
	before.mu.Lock()
	defer before.mu.Unlock()
	m.ended, m.full = maps.Clone(before.ended), before.full // before is still followed
	if err != nil || !other {
		return err
	}

	for id := range m.ended {
		if _, err := kv.Get(ctx, id); errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err := kv.Delete(ctx, id); err != nil {
			return fmt.Errorf("delete silence %s again: %w", id, err)
		}
		m.log.Warn().Str("id", id).Msg("bucket of silences was restored from a backup; one that was over is deleted again")
	}
	for id, mute := range before.byID {
		left := time.Until(mute.Expires.Time)
		if left < time.Second { // the server counts in seconds
			continue
		}
		value, err := schema.Marshal(mute)
		if err != nil {
			return err
		}
		_, err = kv.Create(ctx, id, value, jetstream.KeyTTL(left.Truncate(time.Second)))
		if errors.Is(err, jetstream.ErrKeyExists) {
			continue
		}
		if err != nil {
			return fmt.Errorf("store silence %s again: %w", id, err)
		}
		m.log.Warn().Str("id", id).Time("expires", mute.Expires.Time).Msg("silence had vanished with its bucket and is stored again")
	}
	return nil
}

func (m *mutes) run() {
	defer close(m.done)
	for e := range m.watcher.Updates() {
		m.take(e)
	}
}

// take applies a change. A silence that ran out is deleted by the server.
func (m *mutes) take(e jetstream.KeyValueEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, had := m.byID[e.Key()]
	delete(m.byID, e.Key())
	delete(m.ended, e.Key())
	m.last = max(m.last, e.Revision())
	if e.Operation() != jetstream.KeyValuePut {
		m.remember(e.Key())
	}
	if e.Operation() != jetstream.KeyValuePut && !had {
		return
	}
	if e.Operation() == jetstream.KeyValuePut {
		var mute schema.Mute
		if err := json.Unmarshal(e.Value(), &mute); err != nil {
			m.log.Error().Err(err).Str("bucket", stream.MutesBucket).Str("key", e.Key()).Msg("silence is malformed and has no effect; `supernats unmute` removes it")
		} else {
			m.byID[e.Key()] = mute
		}
	}
	m.list = make([]schema.Mute, 0, len(m.byID))
	for _, mute := range m.byID {
		m.list = append(m.list, mute)
	}
	m.news = true
}

// remember notes that a silence is over.
func (m *mutes) remember(id string) {
	if len(m.ended) < maxEnded {
		m.ended[id] = true
		return
	}
	if !m.full {
		m.log.Warn().Int("kept", maxEnded).Msg("more silences have ended than are remembered: if their bucket is restored from a backup, those that ended from now on may be in force again; `supernats mutes` shows them")
	}
	m.full = true
}

// now returns the silences that there are, and whether they have changed since it
// was called last.
func (m *mutes) now() (list []schema.Mute, changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed, m.news = m.news, false
	return m.list, changed
}

// stop ends following. The library asks the server to delete a consumer, and waits for
// an answer that does not come over a connection that has just broken: this does not.
func (m *mutes) stop() {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = m.watcher.Stop()
		<-m.done
	}()
	select {
	case <-stopped:
	case <-time.After(stopWithin):
	}
}

// stopWithin bounds how long the end of following silences is waited for.
const stopWithin = 200 * time.Millisecond
