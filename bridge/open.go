package bridge

import (
	"context"

	"supernats/bridge/ledger"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/schema/repeat"
)

// openSpool opens the spool. Where that is not possible, events go through memory,
// and the spool is tried again: a listener that waits for a directory is as good as
// none. The error is that of ctx.
func (b *Bridge) openSpool(ctx context.Context) error {
	var before *pastRun     // what the spool says, if it is open at once
	var fails repeat.Errors // of the spool
	q, err := spool.OpenQueue(ctx, spool.QueueOptions{
		Options: spool.Options{
			Max: int64(b.cfg.SpoolMax), Sync: b.cfg.SpoolSync.every,
			Lost: b.journal.spoolLost, Event: record.EventPlace,
			Waiting: func(holder string) {
				b.log.Info().Str("pid", holder).Msg("another supernats-bridge has our spool open; waiting for it for a moment")
			},
			Failed: func(err error) {
				if fails.Failed(err) {
					b.log.Error().Err(err).Msg("spool reports an error")
				}
			},
		},
		Find: b.cfg.findSpool, Elsewhere: b.cfg.elsewhere(), Owner: b.cfg.owner(),
		Supervisord: b.life.evidence.LocalPID(),
		Opening: func(dir string, own bool) (func(uint64, []byte), func(spool.Left)) {
			past := &pastRun{account: new(ledger.History)}
			if own {
				past.table = b.life.keepIn(dir)
			}
			return past.record, func(left spool.Left) {
				past.end(left)
				b.metrics.lossOf(ledger.CauseFull, left.Memory)
				if b.journal.spool.Load() == nil {
					before = past
					return
				}
				b.life.catchUp(past, own)
			}
		},
		Raise: b.troubles.Raise, Clear: b.troubles.Clear,
	})
	if err != nil {
		return err
	}
	b.journal.spool.Store(q)
	if before == nil {
		before = &pastRun{account: ledger.Unknown()} // what an earlier run had is not known
	}
	b.life.continueFrom(before)

	log := b.log.Info().Str("spool", q.Dir())
	if n := q.Stats().Records; n > 0 {
		log = log.Uint64("records", n)
	}
	if q.Dir() != "" {
		log.Msg("spool is open")
	}
	return nil
}
