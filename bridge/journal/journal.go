// Package journal is what the bridge writes: it appends events, and records of our own, to
// the spool, and keeps account of them for the next run.
//
// Under pressure: a spool that is nearly full (shedAbove) drops TICK and PROCESS_LOG, which
// are counted and reported; a full one, or a disk that takes nothing while the memory for
// events is full too, makes Store wait, so that supervisord buffers. Losses gather for
// lossEvery before they become a record.
package journal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/bridge/boot"
	"supernats/bridge/eventlistener"
	"supernats/bridge/ledger"
	"supernats/bridge/proctable"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
	"supernats/schema"
)

const (
	// shedAbove is the part of the spool above which what matters least is dropped.
	shedAbove = 0.9
	// retryFull is how often a spool that takes nothing is tried.
	retryFull = 100 * time.Millisecond
)

// CauseFull is the cause of the trouble that the spool is full, or nearly.
const CauseFull = "spool-full"

const fixFull = "bring NATS back, make room on the disk, or raise --spool-max"

// Metrics counts losses; n may be 0 for an unknown number.
type Metrics interface {
	Loss(cause string, n uint64)
}

// Troubles reports what is wrong, and that it is over. Either may be called again, from
// any goroutine.
type Troubles interface {
	Raise(cause, text, fix string)
	Clear(cause string)
}

// Config is what a Journal needs.
type Config struct {
	Host     string
	Log      zerolog.Logger
	Metrics  Metrics
	Troubles Troubles
	Life     *boot.Life
	Table    *proctable.Table // is given the events that are accounted for
	// Dropped is called when the loss of events that supervisord dropped is stored. It must
	// not call the journal.
	Dropped func(events uint64)
}

// Journal appends records to the spool and keeps account of them.
//
//   - A record is appended and accounted for under one lock, so that the next run finds
//     the account in the records: see past.
//   - Every record of our own holds the header line of the last event before it.
//   - Losses become records some time after they were noticed, see ReportLosses.
type Journal struct {
	cfg Config

	// queue is set once, when the spool is open; others than the goroutine that runs the
	// bridge may look before that.
	queue atomic.Pointer[queue.Queue]
	// ending says that no event will come any more.
	ending atomic.Bool
	noted  chan struct{} // holds a value while there are losses to report

	// reportedFull, of the goroutine that listens, says that the trouble of a full spool
	// is raised.
	reportedFull bool
	// before is what the run before has left in the spool: set when it is opened, and used
	// until the first event.
	before *past

	mu      sync.Mutex // guards the account, and the order of records in the spool
	account ledger.Ledger
}

// New returns a journal whose spool is not open yet.
func New(cfg Config) *Journal {
	return &Journal{cfg: cfg, noted: make(chan struct{}, 1)}
}

// Spool returns the spool, nil before it is open.
func (j *Journal) Spool() *queue.Queue { return j.queue.Load() }

// End says that no event will come any more: EndOfSpool ends the spool when all is read.
func (j *Journal) End() {
	j.ending.Store(true)
	j.Spool().Wake()
}

// ReportLeft logs how much JetStream does not have yet.
func (j *Journal) ReportLeft() {
	queue := j.Spool()
	if n := queue.Stats().Records; n > 0 {
		j.cfg.Log.Warn().Uint64("records", n).Str("spool", queue.Dir()).
			Msg("stopped; what JetStream does not have yet waits in the spool")
	}
}

// Close closes the spool.
func (j *Journal) Close() {
	if err := j.Spool().Close(); err != nil {
		j.cfg.Log.Error().Err(err).Msg("spool is closed with an error")
	}
}

// NearlyFull reports whether what matters least is dropped.
func (j *Journal) NearlyFull() bool { return j.Spool().Used() > shedAbove }

// Store appends a record. If there is no room, an event that may be shed is counted and
// dropped; for any other one it waits, and supervisord buffers. It also waits for one
// that is in memory, which a kill takes away: until the stream has it, or the disk takes
// it after all. h is nil for a record of our own.
func (j *Journal) Store(ctx context.Context, rec []byte, h *eventlistener.Header) error {
	queue := j.Spool()
	sheddable := h != nil && (schema.Is(h.Event, "TICK") || schema.Is(h.Event, "PROCESS_LOG"))
	for {
		if sheddable && queue.Used() > shedAbove {
			j.Shed(rec, h)
			return nil
		}

		// Asked for before the attempt: room that is made after it is not missed.
		room := queue.Room()
		settled, err := j.appendRecord(rec, h, !sheddable)
		switch {
		case err == nil:
			if j.reportedFull && queue.Used() < shedAbove {
				j.reportedFull = false
				j.cfg.Troubles.Clear(CauseFull)
			}
			return awaitSettled(ctx, settled)

		case errors.Is(err, spool.ErrTooBig), errors.Is(err, spool.ErrFinished):
			return err

		case sheddable && errors.Is(err, spool.ErrFull):
			j.Shed(rec, h)
			return nil
		}

		j.reportFull("spool takes no events, supervisord buffers them: " + err.Error())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		case <-time.After(retryFull):
		}
	}
}

// awaitSettled waits until what was in memory is safe.
func awaitSettled(ctx context.Context, settled <-chan struct{}) error {
	if settled == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-settled:
		return nil
	}
}

// appendRecord stores a record; the event of h, if it is one, is then accounted for. If that
// is in memory and has to be safe, settled is closed when it is.
func (j *Journal) appendRecord(rec []byte, h *eventlistener.Header, safe bool) (settled <-chan struct{}, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()

	queue := j.Spool()
	if h == nil {
		return nil, queue.Append(rec)
	}
	if safe {
		settled, err = queue.AppendSafe(rec)
	} else {
		err = queue.Append(rec)
	}
	if err == nil {
		j.accountFor(rec, h, false)
	}
	return settled, err
}

// Shed drops an event, and accounts for it.
func (j *Journal) Shed(rec []byte, h *eventlistener.Header) {
	j.reportFull("spool is nearly full; TICK and PROCESS_LOG are dropped and counted")

	j.mu.Lock()
	defer j.mu.Unlock()
	j.accountFor(rec, h, true)
}

// accountFor takes note of an event that is stored or shed. j.mu is held.
func (j *Journal) accountFor(rec []byte, h *eventlistener.Header, shed bool) {
	event := ledgerEvent(h)
	view, _ := record.Parse(rec)
	if !j.account.Account(event, view.Header) {
		return // it is in the stream already
	}
	if shed {
		j.account.Shed(event)
		j.cfg.Metrics.Loss(ledger.CauseFull, 1)
	}

	at, _ := record.Time(rec)
	j.cfg.Table.Event(tableEvent(j.account.Boot(), h, view.Body, at))
	if j.account.Open() > 0 {
		j.noteLosses()
	}
}

// reportFull raises the trouble of a full spool, once.
func (j *Journal) reportFull(text string) {
	if !j.reportedFull {
		j.reportedFull = true
		j.cfg.Troubles.Raise(CauseFull, text, fixFull)
	}
}

// OfferedAgain reports whether the event of a header is the last one that is accounted
// for.
func (j *Journal) OfferedAgain(header []byte) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(header) == string(j.account.Header())
}

// encodeMessage makes a record of our own. j.mu is held.
func (j *Journal) encodeMessage(at time.Time, subject, id string, json []byte) []byte {
	return record.AppendMessage(nil, at, j.cfg.Life.ID(), j.account.Header(), subject, id, json)
}

// AppendMessage stores a record of our own if there is room.
func (j *Journal) AppendMessage(at time.Time, subject, id string, json []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Spool().Append(j.encodeMessage(at, subject, id, json))
}

// StoreMessage stores a record of our own, and waits for room.
func (j *Journal) StoreMessage(ctx context.Context, at time.Time, subject, id string, json []byte) error {
	j.mu.Lock()
	rec := j.encodeMessage(at, subject, id, json)
	j.mu.Unlock()
	return j.Store(ctx, rec, nil)
}

// EndOfSpool is called when all is read. When no event will come any more it stores
// the losses that came to light by reading, and more is true: they, or the end of the
// spool, can be read.
func (j *Journal) EndOfSpool() (more bool) {
	if !j.ending.Load() {
		return false
	}

	if j.openLosses() > 0 {
		err := j.StoreLosses()
		if err == nil {
			return true
		}
		if !errors.Is(err, spool.ErrFinished) {
			j.cfg.Log.Error().Err(err).Msg("losses cannot be stored")
		}
	}
	j.Spool().Finish()
	return true
}

// ledgerEvent is an event for the account.
func ledgerEvent(h *eventlistener.Header) ledger.Event {
	return ledger.Event{Name: h.Event, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial}
}

// tableEvent is an event for the process table.
func tableEvent(boot string, h *eventlistener.Header, payload []byte, at time.Time) proctable.Event {
	return proctable.Event{
		Boot: boot, Name: h.Event, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial,
		Payload: payload, At: at,
	}
}
