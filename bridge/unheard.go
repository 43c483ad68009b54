package bridge

import (
	"time"

	"supernats/schema"
)

const (
	// keepEvery is how often a process table that has changed is kept for the next
	// run. What is missing in it then is in the spool.
	keepEvery = 5 * time.Second
	// compareAfter is how long after supervisord's answer its table is compared with
	// the one before: what it had buffered has arrived by then.
	compareAfter = time.Second
)

// unheard is a comparison that is due: of what happened while supervisord had no
// section of ours. It is of the goroutine that takes snapshots.
type unheard struct {
	timer <-chan time.Time
	first []schema.SnapshotProcess // the first table since then
}

// answer takes supervisord's first table after a comparison has become due.
func (u *unheard) answer(due bool, processes []schema.SnapshotProcess) {
	if due && u.timer == nil {
		u.first, u.timer = processes, time.After(compareAfter)
	}
}

// settled returns a channel that receives when it is time to compare.
func (u *unheard) settled() <-chan time.Time { return u.timer }

// keepTable keeps the table for the next run, if there is a spool to keep it in.
func (b *Bridge) keepTable() {
	dir := b.life.keptIn()
	if dir == "" {
		return
	}
	if err := b.table.Save(dir); err != nil {
		b.log.Debug().Err(err).Msg("process table cannot be kept: what happens while supervisord has no section of this bridge is not noticed")
	}
}

// compareTables reports what happened while supervisord had no section of ours. The
// table before it is kept until that is stored.
func (b *Bridge) compareTables() {
	loss := b.table.Compare(b.unheard.first, b.sees(schema.ProcessStateStarting), b.sees(schema.ProcessStateExited))
	b.unheard = unheard{}
	if loss != nil {
		b.journal.addLoss(loss)
		if b.journal.storeLosses() != nil {
			b.journal.noteLosses()
			return
		}
	}
	b.keepTable()
}
