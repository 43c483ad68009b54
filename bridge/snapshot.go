package bridge

import (
	"context"
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
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()
	for {
		reason := snapshotInterval
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case reason = <-b.snap:
		case <-keep.C:
			b.keepTable()
			continue
		case <-b.unheard.settled():
			b.compareTables()
			continue
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
	b.table.Ask()
	snap, _, err := b.server.Snapshot(ctx)
	if err != nil {
		if ctx.Err() == nil && reason != snapshotStopping {
			b.serverTrouble(err)
		}
		return
	}
	b.reasons.Follow(ctx)
	b.table.Answer(snap.Processes)
	b.unheard.answer(b.table.Due(), snap.Processes)
	now := time.Now()
	snap.Host, snap.Boot, snap.Serial, snap.Reason = b.cfg.Host, b.boot.String(), serial, reason
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
	if err := b.spool.Append(appendMessage(nil, now, b.boot.load(), b.header, schema.SnapshotSubject(b.cfg.Host), ce.ID, json)); err != nil {
		b.log.Warn().Err(err).Msg("snapshot cannot be stored")
	}
}

// serverTrouble says once what is not to be had from supervisord.
func (b *Bridge) serverTrouble(err error) {
	if b.saidServer.CompareAndSwap(false, true) {
		b.log.Warn().Err(err).Str("server_url", "--server-url").
			Msg("supervisord's XML-RPC does not answer: no snapshots, exit codes and logs (is there a [unix_http_server] with an [rpcinterface:supervisor], and may this user open its socket?)")
	}
}
