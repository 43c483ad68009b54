// Package records keeps records in the key-value buckets of NATS. A Bucket holds all
// records of one kind, as the daemon has them in memory; a Table holds the few that
// somebody asks for by key.
//
// A write names the revision that it replaces: what another daemon has written meanwhile
// is never overwritten, and an instance that was frozen while another one took over
// writes no more. Writes block until the server has answered, at most 1,000 of them on
// their way at a time. A record that is too large is shortened, and one that does not
// fit at all stays in memory: no other record waits for it.
package records

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fit"
	"supernats/schema/repeat"
	"supernats/schema/stream"
)

const (
	// maxWrites is how many records are on their way to a bucket at a time.
	maxWrites = 1000
	// recordHeaders is more than the headers of a record take, in bytes.
	recordHeaders = 512
	// markerTTL is how long a bucket shows that a key was deleted. Names come and go, and
	// their markers would fill the bucket.
	markerTTL = "1h"
	// purgeWithin is how long the server may take to remove records: where the right is
	// missing, no answer comes, and no event is read meanwhile.
	purgeWithin = 5 * time.Second
	// purgeMarkerWithin is the same for one marker, which nothing needs to be gone.
	purgeMarkerWithin = 3 * time.Second

	headerOperation = "KV-Operation"
)

var (
	// ErrRestored means that the bucket is no longer the one that was read.
	ErrRestored = errors.New("bucket is another one than before, or was restored from a backup")

	errOtherWriter = fmt.Errorf("somebody else has written it: %w", errors.New("wrong last sequence"))
)

// Record is what is written under a key; a nil value deletes it.
type Record[T any] struct {
	Key   string
	Value *T
}

// Bucket writes the records of one bucket. It is for one goroutine.
//
//   - A key in revisions has a record on the server, or had one that was too large; every
//     other key has none, or one of a revision up to unheld.
//   - A write that fails with anything but ErrRestored leaves memory as it was: the
//     records have to be derived again from what the bucket holds.
type Bucket[T any] struct {
	js   jetstream.JetStream
	log  zerolog.Logger
	name string
	// limit is that of a record in bytes, as the stream of the bucket had it when it
	// was opened.
	limit int
	// expires reports whether the marker of a deleted key can expire.
	expires   bool
	revisions map[string]uint64
	// opened is what the bucket was when it was read, last the newest write since.
	opened stream.Identity
	last   uint64
	// restored is set when a write shows that the bucket has been replaced.
	restored bool
	// unheld is the highest revision of any key that is not in revisions: it was deleted,
	// or there was no room for its record.
	unheld uint64
	// failing holds the records that do not fit, which are written again and again.
	failing repeat.Errors
}

// Open reads all of a bucket. A record that cannot be understood begins again from
// nothing, since no event may wait for a person; the log has what it was. room selects the
// records to keep; nil keeps all.
func Open[T any](
	ctx context.Context, js jetstream.JetStream, name string, room *Share[T], log zerolog.Logger,
) (*Bucket[T], map[string]*T, error) {
	b := &Bucket[T]{js: js, log: log, name: name, revisions: map[string]uint64{}}
	s, err := b.stream(ctx)
	if err != nil {
		return nil, nil, err
	}
	info := s.CachedInfo()
	b.opened = stream.IdentityOf(info)
	b.limit = recordLimit(js, info.Config)
	b.expires = info.Config.AllowMsgTTL

	kv, err := js.KeyValue(ctx, name)
	if err != nil {
		return nil, nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read bucket %s: %w", name, err)
	}
	defer func() { _ = w.Stop() }()

	records := map[string]*T{}
	for {
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("read bucket %s: %w", name, ctx.Err())
		case e, ok := <-w.Updates():
			if !ok {
				return nil, nil, fmt.Errorf("read bucket %s: %w", name, nats.ErrConnectionClosed)
			}
			if e == nil { // that was all
				return b, records, nil
			}
			b.load(e, records, room)
		}
	}
}

// load takes in an entry of the bucket that is being opened.
func (b *Bucket[T]) load(e jetstream.KeyValueEntry, records map[string]*T, room *Share[T]) {
	if e.Operation() != jetstream.KeyValuePut {
		b.drop(e.Key(), e.Revision())
		return
	}
	v := new(T)
	if err := json.Unmarshal(e.Value(), v); err != nil {
		b.log.Error().Err(err).Str("bucket", b.name).Str("key", e.Key()).Bytes("record", e.Value()).
			Msg("record is malformed and begins again from nothing")
		b.drop(e.Key(), e.Revision())
		return
	}

	if room != nil {
		instead, kept := room.admit(e.Key(), v)
		if !kept {
			b.drop(e.Key(), e.Revision())
			return
		}
		if instead != "" {
			b.drop(instead, b.revisions[instead])
			delete(records, instead)
		}
	}
	b.revisions[e.Key()] = e.Revision()
	records[e.Key()] = v
}

// recordLimit is how large a record of a bucket may be, in bytes: the server and the
// stream of the bucket each have a limit.
func recordLimit(js jetstream.JetStream, s jetstream.StreamConfig) int {
	limit := int(js.Conn().MaxPayload())
	if s.MaxMsgSize > 0 {
		limit = min(limit, int(s.MaxMsgSize))
	}
	return limit - recordHeaders
}

// Name returns the name of the bucket.
func (b *Bucket[T]) Name() string { return b.name }

// Limit returns how large a record may be, in bytes.
func (b *Bucket[T]) Limit() int { return b.limit }

// Use sets the connection for everything from now on.
func (b *Bucket[T]) Use(js jetstream.JetStream) { b.js = js }

// stream looks up the stream of the bucket.
func (b *Bucket[T]) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := b.js.Stream(ctx, stream.OfBucket(b.name))
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", b.name, err)
	}
	return s, nil
}

// IsOther reports whether the bucket is not the one that was read, or lacks most of what
// it had, which then is in memory alone. A record that somebody deletes leaves a marker.
func (b *Bucket[T]) IsOther(ctx context.Context) (bool, error) {
	s, err := b.stream(ctx)
	if err != nil {
		return false, err
	}
	info := s.CachedInfo()
	known := stream.Identity{Created: b.opened.Created, Last: b.newest()}
	if b.restored || !stream.IdentityOf(info).Follows(known) {
		return true, nil
	}

	lacksMost := func(keys uint64) bool { return 2*keys < uint64(len(b.revisions)) }
	subjects := info.State.NumSubjects
	if !lacksMost(subjects - min(subjects, 1)) { // one of them may be a marker
		return false, nil
	}
	keys, err := stream.Keys(ctx, s)
	if err != nil {
		return false, fmt.Errorf("look up bucket %s: %w", b.name, err)
	}
	return lacksMost(keys), nil
}

// newest is the highest revision that is known.
func (b *Bucket[T]) newest() uint64 { return max(b.opened.Last, b.last) }

// drop forgets the revision of a key without a record. There may be millions of them.
func (b *Bucket[T]) drop(key string, revision uint64) {
	delete(b.revisions, key)
	b.unheld = max(b.unheld, revision)
}

// Write stores records, each key at most once. Those before an error may be stored.
func (b *Bucket[T]) Write(ctx context.Context, records []Record[T]) error {
	for len(records) > 0 {
		n := min(len(records), maxWrites)
		acks, err := b.publish(records[:n])
		if err != nil {
			return err
		}
		if err := b.confirm(ctx, records[:n], acks); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// publish sends records. The acknowledgement of one that is too large is nil.
func (b *Bucket[T]) publish(records []Record[T]) ([]jetstream.PubAckFuture, error) {
	acks := make([]jetstream.PubAckFuture, len(records))
	for i, r := range records {
		m, err := b.message(r)
		if err != nil {
			return nil, fmt.Errorf("write %s of bucket %s: %w", r.Key, b.name, err)
		}
		if m == nil {
			continue
		}
		acks[i], err = b.js.PublishMsgAsync(m, jetstream.WithExpectLastSequencePerSubject(b.revisions[r.Key]))
		if err != nil {
			return nil, fmt.Errorf("write %s of bucket %s: %w", r.Key, b.name, err)
		}
	}
	return acks, nil
}

// message returns the message to publish for a record; nil if the record is too large.
func (b *Bucket[T]) message(r Record[T]) (*nats.Msg, error) {
	m := &nats.Msg{Subject: stream.KeySubject(b.js, b.name, r.Key)}
	if r.Value == nil {
		// Purge the history as well: the record below a marker would reappear when the
		// marker expires.
		m.Header = nats.Header{headerOperation: {"PURGE"}, jetstream.MsgRollup: {jetstream.MsgRollupSubject}}
		if b.expires {
			m.Header.Set(jetstream.MsgTTLHeader, markerTTL)
		}
		return m, nil
	}

	data, short, err := fit.Record(r.Value, min(b.limit, int(b.js.Conn().MaxPayload())-recordHeaders))
	if errors.Is(err, fit.ErrTooLarge) {
		// No other record may wait for it. It stays in memory until the daemon ends.
		if b.failing.FailedAt(r.Key+" "+err.Error(), time.Now()) {
			b.log.Error().Err(err).Str("bucket", b.name).Str("key", r.Key).Msg("record is not stored")
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if short && b.failing.FailedAt(r.Key+" is shortened", time.Now()) {
		b.log.Warn().Str("bucket", b.name).Str("key", r.Key).Int("record_bytes", len(data)).
			Msg("record is too large for this server and is shortened")
	}
	m.Data = data
	return m, nil
}

// confirm waits until records are stored. It reads every answer: one revision that was
// already used shows that the bucket was restored from a backup, even if other writes
// failed for another reason.
func (b *Bucket[T]) confirm(ctx context.Context, records []Record[T], acks []jetstream.PubAckFuture) error {
	var failed error
	before := b.newest()
	for i, ack := range acks {
		if ack == nil {
			continue // too large
		}
		r := records[i]
		select {
		case a := <-ack.Ok():
			b.last = max(b.last, a.Sequence)
			if a.Sequence <= before {
				b.restored = true
				failed = fmt.Errorf("write %s of bucket %s: %w", r.Key, b.name, ErrRestored)
			}
			b.wrote(r, a.Sequence)

		case err := <-ack.Err():
			var revision uint64
			if stream.IsWrongLast(err) && b.revisions[r.Key] == 0 {
				revision, err = b.writeUnheld(ctx, ack.Msg())
			}
			if err != nil {
				failed = cmp.Or(failed, fmt.Errorf("write %s of bucket %s: %w", r.Key, b.name, err))
				continue
			}
			b.wrote(r, revision)

		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return failed
}

// wrote remembers the revision of a record that was stored, or deleted.
func (b *Bucket[T]) wrote(r Record[T], revision uint64) {
	if r.Value == nil {
		b.drop(r.Key, revision)
		return
	}
	b.revisions[r.Key] = revision
}

// writeUnheld writes a record again whose key has a revision that was not kept, and
// returns the new one.
func (b *Bucket[T]) writeUnheld(ctx context.Context, m *nats.Msg) (revision uint64, err error) {
	s, err := b.stream(ctx)
	if err != nil {
		return 0, err
	}
	last, err := s.GetLastMsgForSubject(ctx, m.Subject)
	if err != nil {
		return 0, fmt.Errorf("read its last revision: %w", err)
	}
	if last.Sequence > b.unheld {
		return 0, errOtherWriter
	}

	retry := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
	for _, name := range []string{headerOperation, jetstream.MsgRollup, jetstream.MsgTTLHeader} {
		if value := m.Header.Get(name); value != "" {
			retry.Header.Set(name, value)
		}
	}
	ack, err := b.js.PublishMsg(ctx, retry, jetstream.WithExpectLastSequencePerSubject(last.Sequence))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
