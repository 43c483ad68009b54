// Package snapshot decides when supervisord's process table is published, and keeps it
// for the next run.
//
// A snapshot costs supervisord up to some milliseconds a program, and it does nothing
// else meanwhile. So whoever asks for one gets it after a pause: a loss or a reconnect
// that comes again for as long as something is wrong must not make it worse.
//
// Under pressure: snapshots take a tenth of supervisord's time at most, and there are
// leastPause between two of them. While one waits for the stream, none is taken by the
// clock for waitLimit: over an outage they would push events out of the spool. In a spool
// that is nearly full none is stored.
package snapshot

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/schema"
	"supernats/schema/repeat"
)

// Reasons why a snapshot is taken.
const (
	Start     = "start"
	Interval  = "interval"
	Loss      = "loss"
	Reconnect = "reconnect"
	Stopping  = "stopping"
)

const (
	// leastPause is the time from one snapshot to one that is asked for, at least.
	leastPause = 5 * time.Second
	// waitLimit is how long no other snapshot is taken by the clock while one waits for the
	// stream.
	waitLimit = 10 * time.Minute
	// pauseFactor is how many times as long as a snapshot took the pause after it is.
	pauseFactor = 10
	// keepEvery is how often a process table that has changed is kept for the next
	// run. What is missing in it then is in the spool.
	keepEvery = 5 * time.Second
	// compareAfter is how long after supervisord's answer its table is compared with
	// the one before: what it had buffered has arrived by then.
	compareAfter = time.Second
)

// Table is the process table that is kept from one run to the next.
type Table interface {
	// Ask is called before supervisord is asked, Answer with what it answers.
	Ask()
	Answer(processes []schema.SnapshotProcess)
	// Due reports whether the table is to be compared with one of supervisord.
	Due() bool
	// Compare returns what happened while supervisord had no section of ours, nil if
	// nothing did; the other two are what our section is subscribed to.
	Compare(first []schema.SnapshotProcess, seesStarts, seesExits bool) *schema.Loss
	Save(dir string) error
}

// Config is what a Taker needs.
type Config struct {
	Log   zerolog.Logger
	Host  string
	Every time.Duration // 0: never
	Table Table

	// Ask asks supervisord; nil if it has no XML-RPC for us. Failed is called when it does
	// not answer, Answered with its answer, before that is stored.
	Ask      func(ctx context.Context) (*schema.Snapshot, error)
	Failed   func(err error)
	Answered func(ctx context.Context, s *schema.Snapshot)

	Boot   func() string // the life of supervisord that is listened to
	Serial func() uint64 // of the last event that was read
	// Sees reports whether our section is subscribed to an event.
	Sees func(event string) bool

	// Full reports whether the spool has no room for snapshots. Store stores one.
	Full  func() bool
	Store func(at time.Time, subject, id string, json []byte) error
	// Lost reports what happened while supervisord had no section of ours. An error says
	// that it is not stored yet.
	Lost func(loss *schema.Loss) error
	// Dir returns the directory where the table is kept, empty while there is none.
	Dir func() string
}

// Taker takes snapshots. Run and Take are not called at the same time; Want and Stored
// may be called by any goroutine.
type Taker struct {
	cfg    Config
	wanted chan string // holds a reason when one is asked for
	// waits is since when a snapshot is stored that the stream does not have yet, Unix
	// nanoseconds; 0 if there is none.
	waits atomic.Int64
	fails repeat.Errors // of storing

	// due receives when it is time to compare first, the first table since a comparison
	// has become due, with the table before it; nil while none is due.
	due   <-chan time.Time
	first []schema.SnapshotProcess
}

// New returns a Taker.
func New(cfg Config) *Taker { return &Taker{cfg: cfg, wanted: make(chan string, 1)} }

// Want asks for a snapshot without waiting for it.
func (t *Taker) Want(reason string) {
	select {
	case t.wanted <- reason:
	default: // one is asked for already
	}
}

// Stored says that the stream has the last snapshot.
func (t *Taker) Stored() { t.waits.Store(0) }

// Run stores the process table when it is wanted and now and then, until ctx ends. It is
// not on supervisord's path.
func (t *Taker) Run(ctx context.Context) {
	var tick <-chan time.Time
	if t.cfg.Every > 0 {
		ticker := time.NewTicker(t.cfg.Every)
		defer ticker.Stop()
		tick = ticker.C
	}
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()

	var earliest time.Time
	for {
		reason := Interval
		select {
		case <-ctx.Done():
			return
		case <-tick:
			if time.Now().Before(earliest) || t.waitsForStream(time.Now()) {
				continue
			}
		case reason = <-t.wanted:
		case <-keep.C:
			t.Keep()
			continue
		case <-t.due:
			t.compareTables()
			continue
		}

		if !repeat.Sleep(ctx, time.Until(earliest)) {
			return
		}
		begun := time.Now()
		t.Take(ctx, reason)
		earliest = earliestNext(begun, time.Now())
	}
}

// waitsForStream reports whether a snapshot was stored not long ago that the stream does not
// have yet.
func (t *Taker) waitsForStream(now time.Time) bool {
	stored := t.waits.Load()
	return stored != 0 && now.Sub(time.Unix(0, stored)) < waitLimit
}

// earliestNext is when the next one may be taken.
func earliestNext(begun, ended time.Time) time.Time {
	return ended.Add(max(leastPause, pauseFactor*ended.Sub(begun)))
}

// Take takes a snapshot and stores it. supervisord answers no call once it was asked to
// stop or restart (rpcinterface.py, _update): then there is none.
func (t *Taker) Take(ctx context.Context, reason string) {
	if t.cfg.Ask == nil || t.cfg.Every == 0 {
		return
	}

	// Both before the question: the answer holds all that happened until then.
	serial := t.cfg.Serial()
	t.cfg.Table.Ask()
	snap, err := t.cfg.Ask(ctx)
	if err != nil {
		if ctx.Err() == nil && reason != Stopping {
			t.cfg.Failed(err)
		}
		return
	}

	t.cfg.Answered(ctx, snap)
	t.cfg.Table.Answer(snap.Processes)
	if t.cfg.Table.Due() && t.due == nil {
		t.first, t.due = snap.Processes, time.After(compareAfter)
	}
	snap.Host, snap.Boot, snap.Serial, snap.Reason = t.cfg.Host, t.cfg.Boot(), serial, reason
	t.storeTable(snap)
}

// storeTable stores a snapshot.
func (t *Taker) storeTable(snap *schema.Snapshot) {
	now := time.Now()
	envelope := snap.Envelope(now)
	json, err := schema.Marshal(envelope)
	if err != nil {
		t.cfg.Log.Error().Err(err).Msg("snapshot cannot be encoded")
		return
	}
	if t.cfg.Full() {
		return // the next one says the same
	}

	if err := t.cfg.Store(now, schema.SnapshotSubject(t.cfg.Host), envelope.ID, json); err != nil {
		if t.fails.Failed(err) {
			t.cfg.Log.Warn().Err(err).Msg("snapshot cannot be stored")
		}
		return
	}
	t.waits.Store(now.UnixNano())
	t.fails.LogOver(t.cfg.Log).Msg("snapshots are stored again")
}

// compareTables reports what happened while supervisord had no section of ours. The table
// before it is kept until that is stored.
func (t *Taker) compareTables() {
	seesStarts, seesExits := t.cfg.Sees(schema.ProcessStateStarting), t.cfg.Sees(schema.ProcessStateExited)
	loss := t.cfg.Table.Compare(t.first, seesStarts, seesExits)
	t.first, t.due = nil, nil

	if loss != nil && t.cfg.Lost(loss) != nil {
		return
	}
	t.Keep()
}

// Keep keeps the table for the next run, if there is a directory to keep it in.
func (t *Taker) Keep() {
	dir := t.cfg.Dir()
	if dir == "" {
		return
	}
	if err := t.cfg.Table.Save(dir); err != nil {
		t.cfg.Log.Debug().Err(err).
			Msg("process table cannot be kept: " +
				"what happens while supervisord has no section of this bridge is not noticed")
	}
}
