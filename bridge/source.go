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
	"supernats/bridge/spool/queue"
	"supernats/schema"
)

const (
	// readAhead bounds how many records are looked at together, and readBytes how large
	// they are.
	readAhead = 256
	readBytes = 4 << 20
	// keepBytes is the most that is kept of the memory of what was published.
	keepBytes = 256 << 10
)

// The publisher looks for the methods of these by itself.
var (
	_ publish.Doubter = (*source)(nil)
	_ publish.Awaiter = (*source)(nil)
)

// source is the publisher's side of the spool: a publish.Source. It takes what is there as
// one batch, has the reasons of the deaths in it found out, and hands it on record by
// record. Events wait for their reasons here, in their order, some
// milliseconds or for as long as deathreason.DefaultLimit: supervisord was answered before.
//
// It belongs to the goroutine of the publisher.
type source struct {
	queue *queue.Queue
	// end is called when all is read; more says that there is more, or the end. May be nil.
	end     func() (more bool)
	encoder record.Encoder
	reasons *deathreason.Reasons
	metrics *metrics.Metrics
	skip    []string // events that are not published, by name
	// tableStored is called when the stream has a process table; may be nil.
	tableStored func()

	// What was read together. next is handed on next.
	batch  []decoded
	next   int
	deaths []deathreason.Received // those of a batch, while it is read
	arena  []byte                 // holds the records of the batch
	msg    *nats.Msg              // the last event's message: the next one is made in its memory

	// What was handed on and is not acknowledged: when each event was read, zero for other
	// records, and which of them are process tables.
	inFlight []time.Time
	tables   []int
}

// decoded is a record of the batch: a publish.Record. event is nil if it is not one of an
// event, or cannot be decoded.
type decoded struct {
	source *source
	rec    []byte
	at     time.Time
	event  *schema.Event
	facts  *record.Facts // of the death that the event reports, where known
}

// Next implements publish.Source.
func (s *source) Next() (publish.Record, bool, error) {
	if s.next == len(s.batch) {
		if err := s.fillBatch(); err != nil {
			return nil, false, err
		}
	}
	if s.next == len(s.batch) {
		return nil, false, nil
	}

	d := &s.batch[s.next]
	s.next++
	if view, _ := record.Parse(d.rec); view.IsTable() {
		s.tables = append(s.tables, len(s.inFlight))
	}
	s.inFlight = append(s.inFlight, d.at)
	return d, true, nil
}

// fillBatch reads a batch, and finds out the reasons of its deaths.
func (s *source) fillBatch() error {
	s.dropBatch()
	if err := s.readBatch(); err != nil {
		return err
	}
	if len(s.deaths) > 0 {
		s.reasons.Explain(context.Background(), s.deaths) // bounded by its own limit
	}
	for i := range s.batch {
		s.batch[i].facts.Apply(s.batch[i].event)
	}
	return nil
}

// readBatch reads a batch. An error, or the end of the spool, comes again when what was read
// before it has been handed on.
func (s *source) readBatch() error {
	for len(s.batch) < readAhead && len(s.arena) < readBytes {
		rec, ok, err := s.queue.Next()
		if !ok && err == nil && len(s.batch) == 0 && s.end != nil && s.end() {
			continue
		}
		if errors.Is(err, queue.ErrEarlier) {
			err = publish.ErrBeginAgain
		}
		if err != nil && len(s.batch) == 0 {
			return err
		}
		if err != nil || !ok {
			return nil
		}
		s.addToBatch(rec)
	}
	return nil
}

// addToBatch copies a record into the batch.
func (s *source) addToBatch(rec []byte) {
	s.arena = append(s.arena, rec...)
	d := decoded{source: s, rec: s.arena[len(s.arena)-len(rec) : len(s.arena) : len(s.arena)]}
	if at, event, facts, err := s.encoder.Decode(d.rec); err == nil && event != nil {
		d.at, d.event, d.facts = at, event, facts
		s.deaths = append(s.deaths, receivedWith(facts, event, at))
	}
	s.batch = append(s.batch, d)
}

// receivedWith is an event for the search of reasons, with what the kernel said.
func receivedWith(facts *record.Facts, e *schema.Event, at time.Time) deathreason.Received {
	if facts == nil {
		return deathreason.Received{Event: e, At: at}
	}
	return deathreason.Received{Event: e, At: at, Kernel: facts.Exit}
}

// dropBatch drops the batch. What it took of memory stays for the next one, unless that is
// much.
func (s *source) dropBatch() {
	clear(s.batch)
	clear(s.deaths)
	s.batch = s.batch[:0]
	s.deaths = s.deaths[:0]
	s.arena = s.arena[:0]
	s.next = 0
	if cap(s.arena) > keepBytes {
		s.arena = nil
	}
}

// More implements publish.Source.
func (s *source) More() <-chan struct{} { return s.queue.More() }

// Ack implements publish.Source.
func (s *source) Ack(n int, seq uint64) error {
	now := time.Now()
	for _, at := range s.inFlight[:n] {
		if !at.IsZero() {
			s.metrics.Published(at, now)
		}
	}
	s.inFlight = slices.Delete(s.inFlight, 0, n)

	stored := 0
	for i, at := range s.tables {
		if s.tables[i] = at - n; at < n {
			stored++
		}
	}
	s.tables = slices.Delete(s.tables, 0, stored)
	if stored > 0 && s.tableStored != nil {
		s.tableStored()
	}
	return s.queue.Ack(n, seq)
}

// Doubt implements publish.Doubter.
func (s *source) Doubt() (records int, seq uint64) { return s.queue.Doubt() }

// Awaited implements publish.Awaiter.
func (s *source) Awaited() bool { return s.queue.Awaited() }

// Rewind implements publish.Source.
func (s *source) Rewind() error {
	s.dropBatch()
	s.inFlight = nil
	s.tables = nil
	return s.queue.Rewind()
}

// Messages implements publish.Record. An event that is to be skipped has no message: it
// was stored nevertheless, since the next run finds out from the spool which events there
// were.
func (d *decoded) Messages(maxPayload int) ([]*nats.Msg, error) {
	s := d.source
	if d.event == nil {
		return s.encoder.Encode(d.rec, maxPayload)
	}
	if s.skips(d.event.Event) {
		return nil, nil
	}

	if s.msg == nil || cap(s.msg.Data) > keepBytes {
		s.msg = new(nats.Msg)
	}
	return s.encoder.EncodeEvent(s.msg, d.event, d.at, maxPayload)
}

// Size implements publish.Record.
func (d *decoded) Size() int { return len(d.rec) }

func (s *source) skips(event string) bool {
	return slices.ContainsFunc(s.skip, func(name string) bool { return schema.Is(event, name) })
}
