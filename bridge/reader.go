package bridge

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/bridge/deathreason"
	"supernats/bridge/metrics"
	"supernats/bridge/publish"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/schema"
)

const (
	// readAhead bounds how many records are looked at together, and readBytes how
	// large they are.
	readAhead = 256
	readBytes = 4 << 20
	// keepBytes is the most that is kept of the memory of what was published.
	keepBytes = 256 << 10
)

// reader is the publisher's side of the spool. It takes what is there as one
// batch, has the reasons of the deaths in it found out, and hands it on record
// by record. Events wait for their reasons here, in their order, some milliseconds
// or for as long as deathreason.DefaultLimit: supervisord was answered before.
type reader struct {
	*spool.Queue
	// end is called when all is read; more says that there is more, or the end.
	end     func() (more bool)
	encoder record.Encoder
	reasons *deathreason.Reasons
	metrics *metrics.Metrics
	skip    []string  // events that are not published, by name
	batch   []decoded // what was read together; next is handed on next
	next    int
	deaths  []deathreason.Received // those of a batch, while it is read
	arena   []byte                 // what holds the records of the batch
	current decoded
	msg     *nats.Msg   // the last event's message: the next one is made in its memory
	flying  []time.Time // when each event handed on, and not acknowledged, was read; zero for other records
	tables  []int       // which of flying are process tables
	stored  func()      // called when the stream has a process table; may be nil
}

// decoded is a record; event is nil if it is none, or cannot be decoded.
type decoded struct {
	rec   []byte
	at    time.Time
	event *schema.Event
	facts *record.Facts // of the death that the event reports, where known
}

// Next implements publish.Source.
func (r *reader) Next() ([]byte, bool, error) {
	if r.next == len(r.batch) {
		if err := r.fill(); err != nil {
			return nil, false, err
		}
	}
	if r.next == len(r.batch) {
		return nil, false, nil
	}
	r.current = r.batch[r.next]
	r.next++
	if v, _ := record.Parse(r.current.rec); v.IsTable() {
		r.tables = append(r.tables, len(r.flying))
	}
	r.flying = append(r.flying, r.current.at)
	return r.current.rec, true, nil
}

// fill reads a batch. An error, or the end of the spool, comes again when what
// was read before it has been handed on.
func (r *reader) fill() error {
	r.forget()
	for len(r.batch) < readAhead && len(r.arena) < readBytes {
		rec, ok, err := r.Queue.Next()
		if !ok && err == nil && len(r.batch) == 0 && r.end != nil && r.end() {
			continue
		}
		if errors.Is(err, spool.ErrEarlier) {
			err = publish.ErrBeginAgain
		}
		if err != nil && len(r.batch) == 0 {
			return err
		}
		if err != nil || !ok {
			break
		}
		r.arena = append(r.arena, rec...)
		d := decoded{rec: r.arena[len(r.arena)-len(rec) : len(r.arena) : len(r.arena)]}
		if at, event, f, err := r.encoder.Decode(d.rec); err == nil && event != nil {
			d.at, d.event, d.facts = at, event, f
			r.deaths = append(r.deaths, received(f, event, at))
		}
		r.batch = append(r.batch, d)
	}
	if len(r.deaths) > 0 {
		r.reasons.Explain(context.Background(), r.deaths) // bounded by its own limit
	}
	for i := range r.batch {
		r.batch[i].facts.Apply(r.batch[i].event)
	}
	return nil
}

// forget lets the batch go. What it took of memory stays for the next one, unless
// that is much.
func (r *reader) forget() {
	clear(r.batch)
	clear(r.deaths)
	r.batch, r.next, r.deaths, r.arena = r.batch[:0], 0, r.deaths[:0], r.arena[:0]
	if cap(r.arena) > keepBytes {
		r.arena = nil
	}
}

// Ack implements publish.Source.
func (r *reader) Ack(n int, seq uint64) error {
	now := time.Now()
	for _, at := range r.flying[:n] {
		if !at.IsZero() {
			r.metrics.Published(at, now)
		}
	}
	r.flying = slices.Delete(r.flying, 0, n)
	done := 0
	for i, at := range r.tables {
		if r.tables[i] = at - n; at < n {
			done++
		}
	}
	r.tables = slices.Delete(r.tables, 0, done)
	if done > 0 && r.stored != nil {
		r.stored()
	}
	return r.Queue.Ack(n, seq)
}

// Rewind implements publish.Source.
func (r *reader) Rewind() error {
	r.forget()
	r.current, r.flying, r.tables = decoded{}, nil, nil
	return r.Queue.Rewind()
}

// Encode makes the messages of the record that Next has returned last. Of an event
// that is to be skipped there is none: it was stored all the same, since the next
// run finds out from the spool which events there were.
func (r *reader) Encode(rec []byte, maxPayload int) ([]*nats.Msg, error) {
	if r.current.event != nil {
		if r.skips(r.current.event.Event) {
			return nil, nil
		}
		if r.msg == nil || cap(r.msg.Data) > keepBytes {
			r.msg = new(nats.Msg)
		}
		return r.encoder.EncodeEvent(r.msg, r.current.event, r.current.at, maxPayload)
	}
	return r.encoder.Encode(rec, maxPayload)
}

func (r *reader) skips(event string) bool {
	return slices.ContainsFunc(r.skip, func(name string) bool { return schema.Is(event, name) })
}

// received is an event for the search of reasons, with what the kernel said.
func received(f *record.Facts, e *schema.Event, at time.Time) deathreason.Received {
	if f == nil {
		return deathreason.Received{Event: e, At: at}
	}
	return deathreason.Received{Event: e, At: at, Kernel: f.Exit}
}
