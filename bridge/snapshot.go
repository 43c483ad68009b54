package bridge

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"supernats/schema"
)

// Reasons why a snapshot is taken.
const (
	snapshotStart     = "start"
	snapshotInterval  = "interval"
	snapshotLoss      = "loss"
	snapshotReconnect = "reconnect"
	snapshotStopping  = "stopping"
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
	for {
		reason := snapshotInterval
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case reason = <-b.snap:
		}
		b.snapshot(ctx, reason)
	}
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
	snap, _, err := b.server.Snapshot(ctx)
	if err != nil {
		if ctx.Err() == nil && reason != snapshotStopping {
			b.serverTrouble(err)
		}
		return
	}
	b.serverAnswered()
	b.reasons.Know(snap.Processes)
	b.reasons.Follow(ctx)
	now := time.Now()
	snap.Host, snap.Boot, snap.Serial, snap.Reason = b.cfg.Host, hex.EncodeToString(b.boot[:]), serial, reason
	ce := snap.Envelope(now)
	json, err := schema.Marshal(ce)
	if err != nil {
		b.log.Error().Err(err).Msg("snapshot cannot be encoded")
		return
	}
	if b.spool.Used() > shedAbove {
		return // the next one tells the same
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.spool.Append(appendMessage(nil, now, b.boot, b.header, schema.SnapshotSubject(b.cfg.Host), ce.ID, json)); err != nil {
		b.log.Warn().Err(err).Msg("snapshot cannot be stored")
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
	b.troubles.raise(troubleXMLRPC, "supervisord's XML-RPC does not answer, no process tables: "+err.Error(),
		"check that supervisord's configuration has a [unix_http_server] and [rpcinterface:supervisor] and that this user may open its socket; or set --server-url")
}

// serverAnswered says that it does.
func (b *Bridge) serverAnswered() {
	b.calls.timeouts.Store(0)
	b.troubles.clear(troubleXMLRPC)
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// followReasons looks at the logs of programs when they die, until the function that
// it returns is called.
func (b *Bridge) followReasons(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.reasons.Run(ctx)
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
