package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema/repeat"
	"supernats/schema/stream"
)

// maxWrites is how many records are on their way to a bucket at a time.
const maxWrites = 1000

// markerTTL is how long it is seen that a key was deleted: names come and go, and what is
// left of each would fill the bucket.
const markerTTL = "1h"

// bucket writes records. Each write names the revision that it replaces, so a
// record that another daemon has changed meanwhile is never overwritten: an error
// is the end of the one that is not the active one any more.
type bucket[T any] struct {
	js    jetstream.JetStream
	log   zerolog.Logger
	name  string
	limit int // of a record in bytes
	// expires says that what a deleted key leaves behind may expire.
	expires   bool
	revisions map[string]uint64
	// opened is what it was when it was read, last the newest write since.
	opened stream.Identity
	last   uint64
	// restored says that a write has shown that it is not that any more.
	restored bool
	// unheld is the highest revision of a key that is not in revisions: of one that was
	// deleted, or for whose record there was no room.
	unheld uint64
	// failing are records that do not fit: they are written again and again.
	failing repeat.Errors
}

// errRestored says that a bucket is not the one that was read.
var errRestored = errors.New("bucket is another one than before, or was restored from a backup")

// record is what is written under a key; a nil value deletes it.
type record[T any] struct {
	key   string
	value *T
}

// openBucket reads all of a bucket. A record that cannot be understood begins anew,
// since no event may wait for a person; what it was stays in the log. room says which
// records are kept; nil keeps all.
func openBucket[T any](ctx context.Context, js jetstream.JetStream, name string, room *share[T], log zerolog.Logger) (*bucket[T], map[string]*T, error) {
	b := &bucket[T]{js: js, log: log, name: name, revisions: map[string]uint64{}}
	s, err := b.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	info := s.CachedInfo()
	b.opened, b.limit, b.expires = stream.IdentityOf(info), recordLimit(js, info.Config), info.Config.AllowMsgTTL
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
			if e.Operation() != jetstream.KeyValuePut {
				b.drop(e.Key(), e.Revision())
				continue
			}
			v := new(T)
			if err := unmarshalRecord(e.Value(), v); err != nil {
				log.Error().Err(err).Str("bucket", name).Str("key", e.Key()).Bytes("record", e.Value()).Msg("record is malformed and begins again from nothing")
				b.drop(e.Key(), e.Revision())
				continue
			}
			if room != nil {
				instead, kept := room.add(e.Key(), v)
				if !kept {
					b.drop(e.Key(), e.Revision())
					continue
				}
				if instead != "" {
					b.drop(instead, b.revisions[instead])
					delete(records, instead)
				}
			}
			b.revisions[e.Key()], records[e.Key()] = e.Revision(), v
		}
	}
}

// look returns what the bucket is now.
func (b *bucket[T]) look(ctx context.Context) (jetstream.Stream, error) {
	s, err := b.js.Stream(ctx, "KV_"+b.name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", b.name, err)
	}
	return s, nil
}

// isOther reports whether the bucket is not the one that was read, or lacks most of
// what it had: that is in memory alone. A record that somebody deletes leaves a marker.
func (b *bucket[T]) isOther(ctx context.Context) (bool, error) {
	s, err := b.look(ctx)
	if err != nil {
		return false, err
	}
	info := s.CachedInfo()
	known := stream.Identity{Created: b.opened.Created, Last: b.newest()}
	if b.restored || !stream.IdentityOf(info).Follows(known) {
		return true, nil
	}

	have, lacking := info.State.NumSubjects, func(keys uint64) bool { return 2*keys < uint64(len(b.revisions)) }
	if !lacking(have - min(have, 1)) { // whatever one of them is
		return false, nil
	}
	keys, err := stream.Keys(ctx, s)
	if err != nil {
		return false, fmt.Errorf("look up bucket %s: %w", b.name, err)
	}
	return lacking(keys), nil
}

// drop forgets the revision of a key without a record: there may be millions of them.
func (b *bucket[T]) drop(key string, revision uint64) {
	delete(b.revisions, key)
	b.unheld = max(b.unheld, revision)
}

// write stores records, each key at most once.
func (b *bucket[T]) write(ctx context.Context, records []record[T]) error {
	for len(records) > 0 {
		n := min(len(records), maxWrites)
		if err := b.writeSome(ctx, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

func (b *bucket[T]) writeSome(ctx context.Context, records []record[T]) error {
	acks := make([]jetstream.PubAckFuture, len(records))
	for i, r := range records {
		m := &nats.Msg{Subject: stream.KeySubject(b.js, b.name, r.key)}
		if r.value == nil {
			// With its history: what a marker is written over would be there again when
			// the marker expires.
			m.Header = nats.Header{"KV-Operation": {"PURGE"}, jetstream.MsgRollup: {jetstream.MsgRollupSubject}}
			if b.expires {
				m.Header.Set(jetstream.MsgTTLHeader, markerTTL)
			}
		} else {
			data, short, err := fitted(r.value, min(b.limit, int(b.js.Conn().MaxPayload())-recordHeaders))
			if errors.Is(err, errTooLarge) {
				// Nobody may wait for it; it is in memory until the daemon ends.
				if b.failing.FailedAt(r.key+" "+err.Error(), time.Now()) {
					b.log.Error().Err(err).Str("bucket", b.name).Str("key", r.key).Msg("record is not stored")
				}
				continue
			}
			if err != nil {
				return fmt.Errorf("write %s of bucket %s: %w", r.key, b.name, err)
			}
			if short && b.failing.FailedAt(r.key+" is shortened", time.Now()) {
				b.log.Warn().Str("bucket", b.name).Str("key", r.key).Int("record_bytes", len(data)).Msg("record is too large for this server and is shortened")
			}
			m.Data = data
		}
		ack, err := b.js.PublishMsgAsync(m, jetstream.WithExpectLastSequencePerSubject(b.revisions[r.key]))
		if err != nil {
			return fmt.Errorf("write %s of bucket %s: %w", r.key, b.name, err)
		}
		acks[i] = ack
	}

	// All answers are looked at: a write that took a number of before shows that the
	// bucket was restored from a backup, whatever the others say.
	var failed error
	before := b.newest()
	for i, ack := range acks {
		key := records[i].key
		if ack == nil {
			continue // too large
		}
		select {
		case a := <-ack.Ok():
			b.last = max(b.last, a.Sequence)
			if a.Sequence <= before {
				b.restored = true
				failed = fmt.Errorf("write %s of bucket %s: %w", key, b.name, errRestored)
			}
			if b.revisions[key] = a.Sequence; records[i].value == nil {
				b.drop(key, a.Sequence)
			}
		case err := <-ack.Err():
			if stream.IsWrongLast(err) && b.revisions[key] == 0 {
				err = b.writeAgain(ctx, ack.Msg(), key)
			}
			switch {
			case err != nil:
				failed = cmp.Or(failed, fmt.Errorf("write %s of bucket %s: %w", key, b.name, err))
			case records[i].value == nil:
				b.drop(key, b.revisions[key])
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return failed
}

// newest is the highest revision that is known.
func (b *bucket[T]) newest() uint64 { return max(b.opened.Last, b.last) }

// writeAgain writes a record whose key has a revision that was not kept.
func (b *bucket[T]) writeAgain(ctx context.Context, m *nats.Msg, key string) error {
	s, err := b.js.Stream(ctx, "KV_"+b.name)
	if err != nil {
		return fmt.Errorf("open bucket: %w", err)
	}
	last, err := s.GetLastMsgForSubject(ctx, m.Subject)
	if err != nil {
		return fmt.Errorf("read its last revision: %w", err)
	}
	if last.Sequence > b.unheld {
		return fmt.Errorf("somebody else has written it: %w", errors.New("wrong last sequence"))
	}
	again := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
	for _, name := range []string{"KV-Operation", jetstream.MsgRollup, jetstream.MsgTTLHeader} {
		if value := m.Header.Get(name); value != "" {
			again.Header.Set(name, value)
		}
	}
	ack, err := b.js.PublishMsg(ctx, again, jetstream.WithExpectLastSequencePerSubject(last.Sequence))
	if err == nil {
		b.revisions[key] = ack.Sequence
	}
	return err
}
