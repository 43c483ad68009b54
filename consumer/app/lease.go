package app

import (
	"context"
	"encoding/json"
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
	leaseKey = "consume"
	// leaseTTL is how long the server keeps a lease that is not refreshed, in whole
	// seconds: it cuts off the rest.
	leaseTTL = 5 * time.Second
	// leaseRefresh leaves time for refreshes that fail: each may take half of it.
	leaseRefresh = 1500 * time.Millisecond
	// releaseTimeout bounds how long a stop waits for NATS.
	releaseTimeout = 2 * time.Second
)

// errLeaseLost is why the context of the work ends when another instance may
// have taken over.
var errLeaseLost = errors.New("lease lost")

// lease lets one of several instances work: the one that holds a key of a bucket.
// The server deletes the key when it was not refreshed for ttl, and the holder
// counts that time from before it sent the last refresh that was answered: it
// stops first, also when NATS is away or the process was frozen. Nothing is sure
// between a look at the clock and a write, so writes that matter name the
// revision that they replace.
type lease struct {
	js       jetstream.JetStream
	log      zerolog.Logger
	instance string
	ttl      time.Duration
	refresh  time.Duration
	// standby is called, more than once, when another instance is active.
	standby func()
	// create makes the bucket if it is missing; health gets what keeps every instance
	// from being active, or is nil.
	create func(ctx context.Context) error
	health *health.Health

	// other is who was active when the bucket was looked at last; empty: nobody, or
	// nobody knows. Its key has been missing since gone, without a word that the lease
	// was given back or has expired: the bucket was deleted, emptied or restored.
	other string
	gone  time.Time
	// others says that another instance was seen to be active. The work clears it.
	others atomic.Bool

	// token tells our value in the bucket from those of other lives.
	token string
	// until is when the lease ends; nil: it is not held. Its clock is the
	// monotonic one, which goes on while a process is frozen.
	until atomic.Pointer[time.Time]
}

// leaseRecord is the value of the key, for people but for the token.
type leaseRecord struct {
	Instance string      `json:"instance"`
	Since    schema.Time `json:"since"`
	Token    string      `json:"token"`
}

func newLease(js jetstream.JetStream, instance string, log zerolog.Logger) *lease {
	return &lease{
		js: js, log: log, instance: instance, ttl: leaseTTL, refresh: leaseRefresh, standby: func() {},
		create: func(context.Context) error { return nil },
		token:  nuid.Next(),
	}
}

// Held returns an error if the lease is not ours now.
func (l *lease) Held() error {
	if until := l.until.Load(); until == nil || !time.Now().Before(*until) {
		return errLeaseLost
	}
	return nil
}

// Run calls work whenever this instance becomes the active one, and ends its
// context when it is no longer. It returns when work returned by itself, when ctx
// has ended and so has work, or when leases are impossible.
func (l *lease) Run(ctx context.Context, work func(ctx context.Context) error) error {
	if err := l.possible(ctx); err != nil {
		return err
	}
	for {
		h, err := l.acquire(ctx)
		if err != nil {
			return err
		}
		l.log.Info().Str("instance", l.instance).Msg("active")
		err = h.hold(ctx, work)
		if !errors.Is(err, errLeaseLost) {
			return err
		}
	}
}

// possible asks until NATS has answered.
func (l *lease) possible(ctx context.Context) error {
	t := l.retry("looking up bucket " + stream.LeasesBucket)
	var s jetstream.Stream
	err := t.Until(ctx, func() (err error) {
		s, err = l.open(ctx)
		return err
	})
	if err == nil && !s.CachedInfo().Config.AllowMsgTTL {
		return fmt.Errorf("bucket %s allows no TTL of keys, by which several instances agree who is active: upgrade to nats-server 2.11 or later and delete it (nats kv del %[1]s): the next start creates it again", stream.LeasesBucket)
	}
	return err
}

const causeLease = "lease"

func (l *lease) retry(what string) health.Retry {
	return health.Retry{Log: l.log, What: what, Conn: l.js.Conn(), Health: l.health, Cause: causeLease, Fix: health.RunDoctor}
}

// open looks up the bucket, which is made if it is missing.
func (l *lease) open(ctx context.Context) (jetstream.Stream, error) {
	s, err := l.js.Stream(ctx, "KV_"+stream.LeasesBucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err := l.create(ctx); err != nil {
			return nil, err
		}
		s, err = l.js.Stream(ctx, "KV_"+stream.LeasesBucket)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	return s, nil
}

// needTTL says what is missing on a server that knows no TTL of messages.
func needTTL(ctx context.Context, js jetstream.JetStream) error {
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("ask for the level of the JetStream API: %w", err)
	}
	if info.API.Level < 1 {
		return fmt.Errorf("nats-server 2.11 or later is needed, and %s is %s: it knows no TTL of messages, by which silences end and several instances agree who is active",
			js.Conn().ConnectedUrlRedacted(), js.Conn().ConnectedServerVersion())
	}
	return nil
}

// acquire waits until the lease is ours.
func (l *lease) acquire(ctx context.Context) (*holding, error) {
	t := l.retry("taking the lease")
	defer t.Stop()
	holder := ""
	for {
		h, err := l.stand(ctx, &holder, t.Recovered)
		if err == nil {
			return h, nil
		}
		if err := t.Wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

// stand tries to take the lease now and whenever it may have become free. holder
// is whom the log has named.
func (l *lease) stand(ctx context.Context, holder *string, ok func()) (*holding, error) {
	short, cancel := context.WithTimeout(ctx, l.ttl)
	defer cancel()
	if _, err := l.open(short); err != nil {
		return nil, err
	}
	kv, err := l.js.KeyValue(short, stream.LeasesBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	// It tells of the end of a lease at once, but after a restart of the server
	// seconds later: so it is asked for too.
	changes, err := kv.Watch(ctx, leaseKey, jetstream.UpdatesOnly())
	if err != nil {
		return nil, fmt.Errorf("watch bucket %s: %w", stream.LeasesBucket, err)
	}
	defer func() { _ = changes.Stop() }()
	ask := time.NewTicker(max(l.ttl/5, 100*time.Millisecond))
	defer ask.Stop()
	for {
		h, err := l.try(ctx, kv, holder)
		if err != nil {
			return nil, err
		}
		if h != nil {
			return h, nil
		}
		ok()
		if err := wait(ctx, changes, ask.C); err != nil {
			return nil, err
		}
	}
}

// wait returns when a key is gone or it is time to look.
func wait(ctx context.Context, changes jetstream.KeyWatcher, look <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look:
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

// try takes the lease if it is free; nil without an error says that it is not.
func (l *lease) try(ctx context.Context, kv jetstream.KeyValue, holder *string) (*holding, error) {
	value, err := schema.Marshal(leaseRecord{Instance: l.instance, Since: schema.Time{Time: time.Now().UTC()}, Token: l.token})
	if err != nil {
		return nil, err
	}
	if free, err := l.isFree(ctx); err != nil || !free {
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, l.refresh)
	defer cancel()
	until := time.Now().Add(l.ttl)
	revision, err := kv.Create(short, leaseKey, value, jetstream.KeyTTL(l.ttl))
	if err == nil {
		l.until.Store(&until)
		l.other, l.gone = "", time.Time{}
		return &holding{lease: l, revision: revision, value: value}, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return nil, fmt.Errorf("take the lease: %w", err)
	}
	revision, other, _, err := l.look(ctx)
	switch {
	case err != nil:
		return nil, err
	case other.Token == "":
		return nil, nil // gone again
	case other.Token == l.token:
		// The answer to an earlier try or to a refresh was lost. How old it is
		// nobody knows, so it counts from the refresh of now.
		h := &holding{lease: l, revision: revision, value: value}
		l.until.Store(nil)
		l.other, l.gone = "", time.Time{}
		return h, h.put(ctx, nil)
	}
	l.other, l.gone = other.Token, time.Time{}
	l.others.Store(true)
	if *holder != other.Token {
		*holder = other.Token
		l.log.Info().Str("instance", l.instance).Str("active", other.Instance).Time("since", other.Since.Time).
			Msg("standby: host " + other.Instance + " is active")
	}
	l.standby()
	return nil, nil
}

// isFree reports whether a key that is not there may be taken. Who gives the lease back
// says so, and the server does when it expires. A key that has vanished without a word
// was deleted or lost with its bucket: whoever held it may do so for ttl yet.
func (l *lease) isFree(ctx context.Context) (bool, error) {
	_, other, ended, err := l.look(ctx)
	if err != nil || other.Token != "" || ended {
		return true, err // if there is a key, taking it fails
	}
	if l.other == "" {
		return l.isSettled(ctx)
	}
	if l.gone.IsZero() {
		l.gone = time.Now()
		l.log.Warn().Str("instance", l.instance).Dur("wait_ms", l.ttl).Msg("lease has vanished; who held it may do so for a while yet")
	}
	return time.Since(l.gone) >= l.ttl, nil
}

// isSettled reports whether nobody can hold a lease that has vanished before this
// instance saw it: whoever is active writes its key again, and to the bucket more often
// than ttl. So do others, though, that try whether the bucket can be written. One that
// was made together with streams that were never used is the first one.
func (l *lease) isSettled(ctx context.Context) (bool, error) {
	if l.gone.IsZero() {
		l.gone = time.Now()
	}
	if time.Since(l.gone) >= l.ttl {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.refresh)
	defer cancel()
	s, err := l.open(ctx)
	if err != nil {
		return false, err
	}
	info := s.CachedInfo()
	written := info.State.LastTime
	if info.State.LastSeq > 0 && written.IsZero() { // it was emptied; nobody knows when
		return false, nil
	}
	if info.TimeStamp.Sub(later(written, info.Created)) >= l.ttl {
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
	return info.State.LastSeq == 0 && first.State.LastSeq == 0 && info.Created.Sub(first.Created) < l.ttl, nil
}

// headerReleased is that of a deletion by which an instance gives the lease back.
const headerReleased = "Supernats-Released"

// look returns who holds the lease; an empty record if nobody does. ended says that the
// one before has given it back, or that it has expired. Revision 0: there is no trace of
// any.
func (l *lease) look(ctx context.Context) (revision uint64, r leaseRecord, ended bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.refresh/2)
	defer cancel()
	s, err := l.js.Stream(ctx, "KV_"+stream.LeasesBucket)
	if err != nil {
		return 0, r, false, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, leaseSubject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, r, false, nil
	}
	if err != nil {
		return 0, r, false, fmt.Errorf("look who has the lease: %w", err)
	}
	ended = m.Header.Get(headerReleased) != "" || m.Header.Get(jetstream.MarkerReasonHeader) == "MaxAge"
	if len(m.Data) > 0 && json.Unmarshal(m.Data, &r) != nil || len(m.Data) > 0 && r.Token == "" {
		r = leaseRecord{Instance: "?", Token: "?"} // somebody else's, until it expires or is deleted
	}
	return m.Sequence, r, ended, nil
}

const leaseSubject = "$KV." + stream.LeasesBucket + "." + leaseKey
