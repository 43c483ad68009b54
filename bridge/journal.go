package bridge

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/bridge/eventlistener"
	"supernats/bridge/ledger"
	"supernats/bridge/proctable"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/bridge/trouble"
	"supernats/schema"
)

const (
	// shedAbove is the part of the spool above which what matters least is dropped.
	shedAbove = 0.9
	// retryFull is how often a spool that takes nothing is tried.
	retryFull = 100 * time.Millisecond
)

const fixFull = "bring NATS back, make room on the disk, or raise --spool-max"

// journal appends records to the spool and keeps account of them.
//
//   - A record is appended and accounted for under one lock, so that the next run finds
//     the account in the records: see pastRun.
//   - Every record of our own holds the header line of the last event before it.
//   - Losses become records some time after they were noticed, see reportNoted.
type journal struct {
	host     string
	log      zerolog.Logger
	metrics  *metrics
	troubles *trouble.Board
	boot     *bootValue
	table    *proctable.Table // is given the events that are accounted for
	// dropped is called when the loss of events that supervisord dropped is stored.
	dropped func(events uint64)

	// spool is set once, when it is open; others than the goroutine that runs the bridge
	// may look before that.
	spool atomic.Pointer[spool.Queue]
	// ending says that no event will come any more.
	ending atomic.Bool
	// reportedFull, of the goroutine that listens, says that the trouble of a full spool
	// is raised.
	reportedFull bool
	noted        chan struct{} // holds a value while there are losses to report

	mu      sync.Mutex // guards the ledger, and the order of records in the spool
	account ledger.Ledger
}

// store appends a record. If there is no room, an event that may be shed is counted and
// dropped; for any other one it waits, and supervisord buffers. It also waits for one
// that is in memory, which a kill takes away: until the stream has it, or the disk takes
// it after all. h is nil for a record of our own.
func (j *journal) store(ctx context.Context, rec []byte, h *eventlistener.Header) error {
	queue := j.spool.Load()
	sheddable := h != nil && (schema.Is(h.Event, "TICK") || schema.Is(h.Event, "PROCESS_LOG"))
	for {
		if sheddable && queue.Used() > shedAbove {
			j.shed(rec, h)
			return nil
		}

		// Asked for before the attempt: room that is made after it is not missed.
		room := queue.Room()
		settled, err := j.append(rec, h, !sheddable)
		switch {
		case err == nil:
			if j.reportedFull && queue.Used() < shedAbove {
				j.reportedFull = false
				j.troubles.Clear(troubleFull)
			}
			return awaitSettled(ctx, settled)

		case errors.Is(err, spool.ErrTooBig), errors.Is(err, spool.ErrFinished):
			return err

		case sheddable && errors.Is(err, spool.ErrFull):
			j.shed(rec, h)
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

// append stores a record; the event of h, if it is one, is then accounted for. If that
// is in memory and has to be safe, settled is closed when it is.
func (j *journal) append(rec []byte, h *eventlistener.Header, safe bool) (settled <-chan struct{}, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()

	queue := j.spool.Load()
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

// shed drops an event, and accounts for it.
func (j *journal) shed(rec []byte, h *eventlistener.Header) {
	j.reportFull("spool is nearly full; TICK and PROCESS_LOG are dropped and counted")

	j.mu.Lock()
	defer j.mu.Unlock()
	j.accountFor(rec, h, true)
}

// accountFor takes note of an event that is stored or shed. j.mu is held.
func (j *journal) accountFor(rec []byte, h *eventlistener.Header, shed bool) {
	event := ledgerEvent(h)
	view, _ := record.Parse(rec)
	if !j.account.Account(event, view.Header) {
		return // it is in the stream already
	}
	if shed {
		j.account.Shed(event)
		j.metrics.loss(ledger.CauseFull, 1)
	}

	at, _ := record.Time(rec)
	j.table.Event(tableEvent(j.account.Boot(), h, view.Body, at))
	if j.account.Open() > 0 {
		j.noteLosses()
	}
}

func (j *journal) reportFull(text string) {
	if !j.reportedFull {
		j.reportedFull = true
		j.troubles.Raise(troubleFull, text, fixFull)
	}
}

// offeredAgain reports whether the event of a header is the last one that is accounted
// for.
func (j *journal) offeredAgain(header []byte) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(header) == string(j.account.Header())
}

// message makes a record of our own.
func (j *journal) message(at time.Time, subject, id string, json []byte) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.encodeMessage(at, subject, id, json)
}

// encodeMessage is message while j.mu is held.
func (j *journal) encodeMessage(at time.Time, subject, id string, json []byte) []byte {
	return record.AppendMessage(nil, at, j.boot.load(), j.account.Header(), subject, id, json)
}

// appendMessage makes and stores a record of our own.
func (j *journal) appendMessage(at time.Time, subject, id string, json []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.spool.Load().Append(j.encodeMessage(at, subject, id, json))
}

// endOfSpool is called when all is read. When no event will come any more it stores
// the losses that came to light by reading, and more is true: they, or the end of the
// spool, can be read.
func (j *journal) endOfSpool() (more bool) {
	if !j.ending.Load() {
		return false
	}
	if j.openLosses() > 0 {
		err := j.storeLosses()
		if err == nil {
			return true
		}
		if !errors.Is(err, spool.ErrFinished) {
			j.log.Error().Err(err).Msg("losses cannot be stored")
		}
	}
	j.spool.Load().Finish()
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
