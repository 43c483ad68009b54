package bridge

import (
	"bytes"
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/bridge/spool"
	"supernats/bridge/supervisord"
	"supernats/schema"
)

const (
	// readAhead bounds how many records are looked at together, and readBytes how
	// large they are.
	readAhead = 256
	readBytes = 4 << 20
)

// reader is the publisher's side of the spool. It takes what is there as one
// batch, has the reasons of the deaths in it found out, and hands it on record
// by record. Events wait for their reasons here, in their order, some milliseconds
// or for as long as supervisord.DefaultLimit: supervisord was answered before.
type reader struct {
	*spool.Spool
	encoder encoder
	reasons *supervisord.Reasons
	metrics *metrics
	batch   []decoded // read, and not handed on yet
	current decoded
	flying  []time.Time // when each event handed on, and not acknowledged, was read; zero for other records
}

// decoded is a record; event is nil if it is none, or cannot be decoded.
type decoded struct {
	rec   []byte
	at    time.Time
	event *schema.Event
}

// Next implements publish.Source.
func (r *reader) Next() ([]byte, bool, error) {
	if len(r.batch) == 0 {
		if err := r.fill(); err != nil {
			return nil, false, err
		}
	}
	if len(r.batch) == 0 {
		return nil, false, nil
	}
	r.current, r.batch = r.batch[0], r.batch[1:]
	r.flying = append(r.flying, r.current.at)
	return r.current.rec, true, nil
}

// fill reads a batch. An error, or the end of the spool, comes again when what
// was read before it has been handed on.
func (r *reader) fill() error {
	var deaths []supervisord.Received
	for size := 0; len(r.batch) < readAhead && size < readBytes; {
		rec, ok, err := r.Spool.Next()
		if err != nil && len(r.batch) == 0 {
			return err
		}
		if err != nil || !ok {
			break
		}
		size += len(rec)
		d := decoded{rec: bytes.Clone(rec)}
		if at, event, err := r.encoder.decode(d.rec); err == nil && event != nil {
			d.at, d.event = at, event
			deaths = append(deaths, supervisord.Received{Event: event, At: at})
		}
		r.batch = append(r.batch, d)
	}
	if len(deaths) > 0 {
		r.reasons.Explain(context.Background(), deaths) // bounded by its own limit
	}
	return nil
}

// Ack implements publish.Source.
func (r *reader) Ack(n int, seq uint64) error {
	now := time.Now()
	for _, at := range r.flying[:n] {
		if !at.IsZero() {
			r.metrics.published(at, now)
		}
	}
	r.flying = r.flying[n:]
	return r.Spool.Ack(n, seq)
}

// Rewind implements publish.Source.
func (r *reader) Rewind() error {
	r.batch, r.current, r.flying = nil, decoded{}, nil
	return r.Spool.Rewind()
}

// Encode makes the messages of the record that Next has returned last.
func (r *reader) Encode(rec []byte, maxPayload int) ([]*nats.Msg, error) {
	if r.current.event != nil {
		return r.encoder.event(r.current.event, r.current.at, maxPayload)
	}
	return r.encoder.Encode(rec, maxPayload)
}
