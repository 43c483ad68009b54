package journal

import (
	"context"

	"supernats/bridge/ledger"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
	"supernats/schema/repeat"
)

// Open opens the spool, and continues the account where the run before ended. The options
// say where it lies and how large it may be. Where it cannot be opened, events go through
// memory, and the spool is tried again: a listener that waits for a directory is as good
// as none. The error is that of ctx.
func (j *Journal) Open(ctx context.Context, o queue.Options) error {
	var fails repeat.Errors // of the spool
	o.Spool.Lost, o.Spool.Event = j.SpoolLost, record.EventPlace
	o.Spool.Waiting = func(holder string) {
		j.cfg.Log.Info().Str("pid", holder).
			Msg("another supernats-bridge has our spool open; waiting for it for a moment")
	}
	o.Spool.Failed = func(err error) {
		if fails.Failed(err) {
			j.cfg.Log.Error().Err(err).Msg("spool reports an error")
		}
	}
	o.Raise, o.Clear = j.cfg.Troubles.Raise, j.cfg.Troubles.Clear

	var before *past // what the spool says, if it is open at once
	o.Opening = func(dir string, own bool) (func(uint64, []byte), func(spool.Left)) {
		p := newPast()
		if own {
			p.table = j.cfg.Table
			j.cfg.Life.KeepIn(dir, j.cfg.Table.Load)
		}
		return p.addRecord, func(left spool.Left) {
			p.addLeft(left)
			if left.Memory > 0 {
				j.cfg.Metrics.Loss(ledger.CauseFull, left.Memory)
			}
			if j.Spool() == nil {
				before = p
				return
			}
			j.catchUp(p, own)
		}
	}

	opened, err := queue.Open(ctx, o)
	if err != nil {
		return err
	}
	j.queue.Store(opened)
	if before == nil {
		before = &past{account: ledger.Unknown()} // what an earlier run had is not known
	}
	j.continueFrom(before)

	log := j.cfg.Log.Info().Str("spool", opened.Dir())
	if n := opened.Stats().Records; n > 0 {
		log = log.Uint64("records", n)
	}
	if opened.Dir() != "" {
		log.Msg("spool is open")
	}
	return nil
}
