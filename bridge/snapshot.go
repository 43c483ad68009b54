package bridge

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"supernats/schema"
	"supernats/schema/repeat"
)

// Reasons why a snapshot is taken.
const (
	snapshotStart     = "start"
	snapshotInterval  = "interval"
	snapshotLoss      = "loss"
	snapshotReconnect = "reconnect"
	snapshotStopping  = "stopping"
)

// A snapshot costs supervisord up to some milliseconds a program, and it does nothing
// else meanwhile. So what asks for them gets one after a pause: a loss or a reconnect
// that comes again for as long as something is wrong must not make it worse.
const (
	// snapshotLeast is the time from one snapshot to one that is asked for, at least.
	snapshotLeast = 5 * time.Second
	// snapshotWaits is how long no other one is taken by the clock while one waits for
	// the stream: over an outage they would push events out of the spool.
	snapshotWaits = 10 * time.Minute
	// snapshotPart is the largest share of the time that snapshots take.
	snapshotPart = 10
)

// snapshots stores the process table when the first event has come, after losses
// and now and then, until ctx ends. It is not on supervisord's path, but each
// snapshot costs supervisord a few milliseconds.
func (b *Bridge) snapshots(ctx context.Context) {
	var tick <-chan time.Time
	if every := time.Duration(b.cfg.SnapshotEvery); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()
	var earliest time.Time
	for {
		reason := snapshotInterval
		select {
		case <-ctx.Done():
			return
		case <-tick:
			if time.Now().Before(earliest) || b.snapshotWaits(time.Now()) {
				continue
			}
		case reason = <-b.snap:
		case <-keep.C:
			b.keepTable()
			continue
		case <-b.unheard.settled():
			b.compareTables()
			continue
		}
		if !repeat.Sleep(ctx, time.Until(earliest)) {
			return
		}

		begun := time.Now()
		b.snapshot(ctx, reason)
		earliest = afterSnapshot(begun, time.Now())
	}
}

// snapshotWaits reports whether a snapshot was stored not long ago that the stream does
// not have yet.
func (b *Bridge) snapshotWaits(now time.Time) bool {
	stored := b.tableWaits.Load()
	return stored != 0 && now.Sub(time.Unix(0, stored)) < snapshotWaits
}

// afterSnapshot is when the next one may be taken.
func afterSnapshot(begun, ended time.Time) time.Time {
	return ended.Add(max(snapshotLeast, snapshotPart*ended.Sub(begun)))
}

// wantSnapshot asks for a snapshot without waiting for it.
func (b *Bridge) wantSnapshot(reason string) {
	select {
	case b.snap <- reason:
	default: // one is asked for already
	}
}

// snapshot takes one and stores it. supervisord answers no call once it was told
// to stop or restart (rpcinterface.py, _update): then there is none.
func (b *Bridge) snapshot(ctx context.Context, reason string) {
	if b.server == nil || b.cfg.SnapshotEvery == 0 {
		return
	}
	serial := b.serial.Load()
	b.table.Ask()
	snap, _, err := b.server.Snapshot(ctx)
	if err != nil {
		if ctx.Err() == nil && reason != snapshotStopping {
			b.serverTrouble(err)
		}
		return
	}
	b.serverAnswered()
	b.reasons.Know(snap.Processes)
	b.keepProcesses(snap)
	b.deaths.Know(snap.Processes)
	b.reasons.Follow(ctx)
	b.table.Answer(snap.Processes)
	b.unheard.answer(b.table.Due(), snap.Processes)
	now := time.Now()
	snap.Host, snap.Boot, snap.Serial, snap.Reason = b.cfg.Host, b.life.boot.String(), serial, reason
	ce := snap.Envelope(now)
	json, err := schema.Marshal(ce)
	if err != nil {
		b.log.Error().Err(err).Msg("snapshot cannot be encoded")
		return
	}
	if b.journal.spool.Load().Used() > shedAbove {
		return // the next one tells the same
	}
	if err := b.journal.appendMessage(now, schema.SnapshotSubject(b.cfg.Host), ce.ID, json); err != nil {
		if b.snapshotFails.Failed(err) {
			b.log.Warn().Err(err).Msg("snapshot cannot be stored")
		}
		return
	}
	b.tableWaits.Store(now.UnixNano())
	if n, begun := b.snapshotFails.Over(); n > 0 {
		b.log.Info().Int("failed_before", n).Dur("lasted_ms", now.Sub(begun)).Msg("snapshots are stored again")
	}
}

// calls remembers how the last calls of the XML-RPC ended.
type calls struct{ timeouts atomic.Int32 }

// serverTrouble reports that supervisord does not answer. One time-out is no
// trouble: it answers between other things, and with many programs takes its time.
func (b *Bridge) serverTrouble(err error) {
	if isTimeout(err) && b.calls.timeouts.Add(1) < 2 {
		b.log.Debug().Err(err).Msg("supervisord's XML-RPC has not answered in time")
		return
	}
	b.troubles.Raise(troubleXMLRPC, "supervisord's XML-RPC does not answer, no process tables: "+err.Error(),
		"check that supervisord's configuration has a [unix_http_server] and [rpcinterface:supervisor] and that this user may open its socket; or set --server-url")
}

// serverAnswered says that it does.
func (b *Bridge) serverAnswered() {
	b.calls.timeouts.Store(0)
	b.troubles.Clear(troubleXMLRPC)
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// followReasons looks at the logs of programs when they die, until the function that
// it returns is called. A section that is sent no deaths has no need of it.
func (b *Bridge) followReasons(ctx context.Context) (stop func()) {
	if !b.sees(schema.ProcessStateExited) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
			return
		case <-b.section.Done():
		}
		if b.sees(schema.ProcessStateExited) {
			b.reasons.Run(ctx)
		}
	}()
	return func() {
		cancel()
		select {
		case <-done:
		case <-time.After(time.Second): // a file system does not answer
		}
		b.reasons.Close()
	}
}
