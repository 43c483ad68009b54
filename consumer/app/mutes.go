package app

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

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

	mu   sync.Mutex
	byID map[string]schema.Mute
	list []schema.Mute // what byID holds; never changed, only replaced
	news bool          // since now was called
}

// watchMutes returns when it has all that there are.
func watchMutes(ctx context.Context, js jetstream.JetStream, log zerolog.Logger) (*mutes, error) {
	kv, err := js.KeyValue(ctx, stream.MutesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.MutesBucket, err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", stream.MutesBucket, err)
	}
	m := &mutes{watcher: w, log: log, done: make(chan struct{}), byID: map[string]schema.Mute{}}
	for {
		select {
		case <-ctx.Done():
			_ = w.Stop()
			return nil, ctx.Err()
		case e, ok := <-w.Updates():
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
	delete(m.byID, e.Key())
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

// now returns the silences that there are, and whether they have changed since it
// was called last.
func (m *mutes) now() (list []schema.Mute, changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed, m.news = m.news, false
	return m.list, changed
}

func (m *mutes) stop() {
	_ = m.watcher.Stop()
	<-m.done
}
