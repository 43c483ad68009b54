// Package lease lets one of several instances work: the one that holds a key of a bucket.
//
//	           takes the key                 refresh fails for TTL, or
//	standby ──────────────────▶ active ───── somebody else has the key ─────▶ standby
//	   ▲                          │
//	   └──────────────────────────┘ the work ends: gives the key back
//
// Time limits: the server keeps a key for TTL (5 s) after its last refresh. The holder
// refreshes it every 1.5 s, and each try may take half of that, so that two tries fail
// before the lease ends. After a clean stop another instance is active at once, after a
// crash within TTL.
//
// The holder counts TTL from before it sent the last refresh that was answered. So it
// stops first, also when NATS is away or the process was frozen. Nothing is sure between
// a look at the clock and a write, so writes that matter name the revision that they
// replace.
//
// Under pressure it never gives up: errors are logged once, and raise a trouble when they
// last. A bucket that vanished is created again, and nobody takes the lease before the one
// of before must have ended.
package lease

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// DefaultTTL is how long the server keeps a lease that is not refreshed, in whole
	// seconds: it cuts off the rest.
	DefaultTTL = 5 * time.Second
	// defaultRefresh leaves time for refreshes that fail: each may take half of it.
	defaultRefresh = 1500 * time.Millisecond
	// releaseTimeout bounds how long a stop waits for NATS.
	releaseTimeout = 2 * time.Second

	causeLease = "lease"
)

// ErrLost is why the context of the work ends when another instance may have taken over.
var ErrLost = errors.New("lease lost")

// Options of a lease.
type Options struct {
	// Instance names this one for people.
	Instance string
	// Standby is called, more than once, while another instance is active; nil: nothing.
	Standby func()
	// Create creates the bucket if it is missing; nil: Run waits for the bucket.
	Create func(ctx context.Context) error
	// Health gets what keeps every instance from being active; nil: nobody does.
	Health *health.Health
	Log    zerolog.Logger
}

// Lease is one instance's part in the agreement on who is active. Run belongs to one
// goroutine; Held and OthersWereActive may be called by any.
//
// Invariants:
//   - While Held returns nil, the server keeps our key: until counts from before the last
//     refresh that was answered was sent.
//   - A key that is missing is taken only if it was given back, has expired, or has been
//     missing for TTL.
type Lease struct {
	js      jetstream.JetStream
	options Options
	ttl     time.Duration
	refresh time.Duration
	// token marks our value in the bucket: another life of this instance has another one.
	token string

	// holder is the token of the other instance that was active at the last look; empty:
	// nobody, or nobody knows. Its key has been missing since gone, without a sign that
	// the lease was given back or has expired: the bucket was deleted, emptied or
	// restored. Both belong to Run.
	holder string
	gone   time.Time
	// others is set when another instance was seen to be active since the last call of
	// OthersWereActive.
	others atomic.Bool

	// until is when the lease ends; nil: it is not held. Its clock is the
	// monotonic one, which runs on while a process is frozen.
	until atomic.Pointer[time.Time]
}

// New returns a lease that is not held.
func New(js jetstream.JetStream, o Options) *Lease {
	if o.Standby == nil {
		o.Standby = func() {}
	}
	if o.Create == nil {
		o.Create = func(context.Context) error { return nil }
	}
	return &Lease{js: js, options: o, ttl: DefaultTTL, refresh: defaultRefresh, token: nuid.Next()}
}

// Held returns ErrLost if the lease is not ours now.
func (l *Lease) Held() error {
	if until := l.until.Load(); until == nil || !time.Now().Before(*until) {
		return ErrLost
	}
	return nil
}

// OthersWereActive reports whether another instance was seen to be active since the last
// call: what this one knows is old then.
func (l *Lease) OthersWereActive() bool { return l.others.Swap(false) }

// Run calls work whenever this instance becomes the active one, and ends its
// context when it is no longer. It returns when work returned by itself, when ctx
// has ended and so has work, or when leases are impossible.
func (l *Lease) Run(ctx context.Context, work func(ctx context.Context) error) error {
	if err := l.checkBucket(ctx); err != nil {
		return err
	}

	for {
		h, err := l.acquire(ctx)
		if err != nil {
			return err
		}
		l.options.Log.Info().Str("instance", l.options.Instance).Msg("active")
		err = h.hold(ctx, work)
		if !errors.Is(err, ErrLost) {
			return err
		}
	}
}

// checkBucket asks until NATS has answered, and returns an error if the bucket cannot hold
// a lease.
func (l *Lease) checkBucket(ctx context.Context) error {
	t := l.newRetry("looking up bucket " + stream.LeasesBucket)
	var s jetstream.Stream
	err := t.Until(ctx, func() (err error) {
		s, err = l.openBucket(ctx)
		return err
	})
	if err == nil && !s.CachedInfo().Config.AllowMsgTTL {
		return fmt.Errorf("bucket %s allows no TTL of keys, by which several instances agree who is active: "+
			"upgrade to nats-server 2.11 or later and delete it (nats kv del %[1]s): the next start creates it again",
			stream.LeasesBucket)
	}
	return err
}

// CheckServer returns what is wrong with a server that knows no TTL of messages.
func CheckServer(ctx context.Context, js jetstream.JetStream) error {
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("ask for the level of the JetStream API: %w", err)
	}
	if info.API.Level < 1 {
		return fmt.Errorf("nats-server 2.11 or later is needed, and %s is %s: "+
			"it knows no TTL of messages, by which silences end and several instances agree who is active",
			js.Conn().ConnectedUrlRedacted(), js.Conn().ConnectedServerVersion())
	}
	return nil
}

func (l *Lease) newRetry(what string) health.Retry {
	return health.Retry{
		Log: l.options.Log, What: what, Conn: l.js.Conn(),
		Health: l.options.Health, Cause: causeLease, Fix: health.RunDoctor,
	}
}

// openBucket looks up the bucket, which is created if it is missing.
func (l *Lease) openBucket(ctx context.Context) (jetstream.Stream, error) {
	name := stream.OfBucket(stream.LeasesBucket)
	s, err := l.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err := l.options.Create(ctx); err != nil {
			return nil, err
		}
		s, err = l.js.Stream(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	return s, nil
}

// newValue returns our value of the key.
func (l *Lease) newValue() ([]byte, error) {
	return schema.Marshal(stream.LeaseRecord{
		Instance: l.options.Instance, Since: schema.Time{Time: time.Now().UTC()}, Token: l.token,
	})
}
