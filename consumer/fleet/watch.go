package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// snapshotEvery is the shortest time between two snapshots.
	snapshotEvery = 250 * time.Millisecond
	// checkEvery is how often a bucket is checked to be the one that is being followed.
	checkEvery = 10 * time.Second
)

// Run follows the buckets over a connection until ctx ends. What is known outlives it, and
// may be continued over another connection.
func (f *Fleet) Run(ctx context.Context, js jetstream.JetStream, log zerolog.Logger) error {
	g, ctx := errgroup.WithContext(ctx)
	var loading []<-chan struct{}
	for _, follow := range f.mirrors {
		loaded := make(chan struct{})
		loading = append(loading, loaded)
		g.Go(func() error { return follow(ctx, js, log, sync.OnceFunc(func() { close(loaded) })) })
	}

	p := &pulse{js: js, model: f.model, right: f.right}
	g.Go(func() error {
		for _, loaded := range loading {
			select {
			case <-loaded:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return p.run(ctx)
	})
	g.Go(func() error { return f.publishChanges(ctx, p) })
	err := g.Wait()
	f.right = p.right
	f.end(p)
	return err
}

// end says that nobody follows any more.
func (f *Fleet) end(p *pulse) {
	f.model.mu.Lock()
	s := f.model.status
	if s.Live {
		s = Status{Loaded: true, Since: p.right, Why: "NATS cannot be reached"}
	}
	f.model.setStatus(s)
	f.model.mu.Unlock()

	if s.Loaded {
		f.publish(f.model.snapshot(p.now()))
	}
}

// follower follows a bucket over a connection until ctx ends. It calls loaded each time it has
// read all that the bucket holds.
type follower func(ctx context.Context, js jetstream.JetStream, log zerolog.Logger, loaded func()) error

// mirrorsOf are the buckets that a model shows.
func mirrorsOf(m *model) []follower {
	states := newMirror(m, stream.StateBucket, m.setProcess, m.removeProcess,
		func(p *schema.ProcessRecord) string { return schema.StateKey(p.Host, p.Group, p.Process) })
	hosts := newMirror(m, stream.HostsBucket, m.setHost, m.removeHost,
		func(h *schema.HostRecord) string { return schema.Token(h.Host) })
	alerts := newMirror(m, stream.AlertsBucket, m.setAlert, m.removeAlert, alertKey)
	mutes := newMirror(m, stream.MutesBucket, m.setMute, m.removeMute,
		func(mute *schema.Mute) string { return mute.ID })
	return []follower{states.follow, hosts.follow, alerts.follow, mutes.follow}
}

// publishChanges makes snapshots until ctx ends.
func (f *Fleet) publishChanges(ctx context.Context, p *pulse) error {
	for {
		if s := f.model.snapshot(p.now()); s != f.Snapshot() && s.Status.Loaded {
			f.publish(s)
		}
		if err := health.Sleep(ctx, snapshotEvery); err != nil {
			return err
		}
	}
}

// mirror follows one bucket into the model, over one connection after the other.
type mirror[T any] struct {
	model  *model
	bucket string
	// set takes in a record, remove what was last set under a key; key is that of a record.
	// The model is locked while they run.
	set, remove func(*T)
	key         func(*T) string

	// held is what was set, by key. A record is needed again to remove it.
	held map[string]*T
}

func newMirror[T any](m *model, bucket string, set, remove func(*T), key func(*T) string) *mirror[T] {
	return &mirror[T]{model: m, bucket: bucket, set: set, remove: remove, key: key, held: map[string]*T{}}
}

// follow follows the bucket until ctx ends, whatever becomes of it.
func (b *mirror[T]) follow(ctx context.Context, js jetstream.JetStream, log zerolog.Logger, loaded func()) error {
	retry := health.Retry{Log: log, What: "following bucket " + b.bucket, Conn: js.Conn()}
	return retry.Until(ctx, func() error { return b.run(ctx, js, loaded) })
}

// errReplaced says that a bucket is not the one that was being followed.
var errReplaced = errors.New("the bucket was created again or restored")

// run follows the bucket until ctx ends, or the bucket is another one.
func (b *mirror[T]) run(ctx context.Context, js jetstream.JetStream, loaded func()) error {
	s, err := js.Stream(ctx, stream.OfBucket(b.bucket))
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", b.bucket, err)
	}
	kv, err := js.KeyValue(ctx, b.bucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", b.bucket, err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("read bucket %s: %w", b.bucket, err)
	}
	defer func() { _ = w.Stop() }()

	known := stream.IdentityOf(s.CachedInfo())
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	seen := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-check.C:
			if known, err = b.checkIdentity(ctx, js, known); err != nil {
				return err
			}
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("read bucket %s: %w", b.bucket, nats.ErrConnectionClosed)
			case e == nil: // that was all
				b.removeOthers(seen)
				seen = nil
				loaded()
			default:
				if seen != nil {
					seen[e.Key()] = true
				}
				b.apply(e)
			}
		}
	}
}

// checkIdentity returns an error if the bucket is not the one that was opened. That it
// cannot be looked up now is none: the watch resumes by itself.
func (b *mirror[T]) checkIdentity(
	ctx context.Context, js jetstream.JetStream, known stream.Identity,
) (stream.Identity, error) {
	s, err := js.Stream(ctx, stream.OfBucket(b.bucket))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return known, fmt.Errorf("follow bucket %s: %w", b.bucket, err)
	case err != nil:
		return known, nil
	}

	current := stream.IdentityOf(s.CachedInfo())
	if !current.Follows(known) {
		return known, fmt.Errorf("follow bucket %s: %w", b.bucket, errReplaced)
	}
	return current, nil
}

// apply takes in an entry. A record that cannot be read, or belongs under another key,
// counts as none: `supernats consume` reports and repairs it.
func (b *mirror[T]) apply(e jetstream.KeyValueEntry) {
	var record *T
	if e.Operation() == jetstream.KeyValuePut {
		record = new(T)
		if err := json.Unmarshal(e.Value(), record); err != nil || b.key(record) != e.Key() {
			record = nil
		}
	}

	b.model.mu.Lock()
	defer b.model.mu.Unlock()
	if record == nil {
		b.drop(e.Key())
		return
	}
	b.held[e.Key()] = record
	b.set(record)
}

// drop removes what is held under a key. The model is locked.
func (b *mirror[T]) drop(key string) {
	if old := b.held[key]; old != nil {
		delete(b.held, key)
		b.remove(old)
	}
}

// removeOthers removes all that the bucket does not have any more.
func (b *mirror[T]) removeOthers(seen map[string]bool) {
	b.model.mu.Lock()
	defer b.model.mu.Unlock()
	for key := range b.held {
		if !seen[key] {
			b.drop(key)
		}
	}
}
