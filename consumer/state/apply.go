package state

import (
	"supernats/consumer/crashes"
	"supernats/consumer/state/lives"
	"supernats/schema"
)

// Event applies an event.
func (f *Fleet) Event(m Meta, ce *schema.CloudEvent[*schema.Event]) Changes {
	e := ce.Data
	h := f.begin(m, e.Host)
	if f.changes.Host == nil {
		return f.changes
	}
	l := h.lives.Live(m.lifeMessage(e.Boot, e.Server, e.Pool, ce.Time))
	h.lives.ApplyEvent(l, e, ce.Time, m.Stored)

	boot := h.lives.Boot(e.Boot)
	to := stateAfter[e.Event]
	switch {
	case e.Process != "" && to != "":
		f.processEvent(h, m, ce, to, boot)
	case e.Event == schema.ProcessGroupRemoved:
		for who, p := range h.processes {
			if who.group == e.Group && h.lives.ClaimOf(boot, &p.rec, m.Stored) == lives.ClaimAll {
				f.changes.apply(h, p, func(r *schema.ProcessRecord) bool { return removeGroup(r, m, ce, boot) })
			}
		}
		f.changes.sort(0)
	case e.Event == schema.SupervisorStateChangeRunning:
		f.changes.addGap(h, m, boot, noteGap) // a reload drops what its listeners have not read
	}
	return f.changes
}

// processEvent applies an event of a process. One of a supervisord whose process is not the
// one that the record shows is counted only.
func (f *Fleet) processEvent(h *host, m Meta, ce *schema.CloudEvent[*schema.Event], to, boot string) {
	e := ce.Data
	p := f.roomFor(h, m, e.Group, e.Process)
	if p == nil {
		f.reportCrowded(h, boot, 0, m, false)
		return
	}

	claim := h.lives.ClaimOf(boot, &p.rec, m.Stored)
	if claim == lives.ClaimConflict && !h.lives.IsBridge(e.Group) {
		var c lives.Conflict
		c.Add(&p.rec)
		h.lives.Troubles().ReportConflict(boot, c, m.Stored, false)
	}

	before := countedAs(&p.rec)
	crashed := p.rec.Crashes
	if claim == lives.ClaimConflict || claim == lives.ClaimNothing {
		if m.Seq > p.rec.Seq {
			countEvent(&p.rec, m, ce)
			p.rec.Seq = m.Seq
			f.changes.addChanged(h, p, before)
		}
		return
	}
	if applyEvent(&p.rec, m, ce, to, boot) {
		f.changes.addChanged(h, p, before)
	}
	if lost := h.lives.Record.LastLoss; lost != nil && p.rec.Crashes != crashed {
		p.rec.Crashes = crashes.MissedUpTo(p.rec.Crashes, lost.Time) // it may not have been counted then
	}
}

// Snapshot applies a process table, or a part of one.
func (f *Fleet) Snapshot(m Meta, ce *schema.CloudEvent[*schema.Snapshot]) Changes {
	snap := ce.Data
	h := f.begin(m, snap.Host)
	if f.changes.Host == nil {
		return f.changes
	}
	l := h.lives.Live(m.lifeMessage(snap.Boot, snap.Server, "", ce.Time))
	h.lives.ApplySnapshot(l, snap, ce.Time, m.Stored)
	h.lives.Troubles().Fade(m.Stored)

	s := &snapshot{message: snap, boot: h.lives.Boot(snap.Boot), at: ce.Time, meta: m}
	t := f.tableOf(h, s)
	for i := range snap.Processes {
		f.applyRow(h, s, t, &snap.Processes[i])
	}

	complete := t.isComplete()
	if complete {
		f.closeTable(h, s, t)
	}
	h.lives.Troubles().ReportConflict(s.boot, t.conflict, m.Stored, complete)
	if complete || t.excess > 0 {
		f.reportCrowded(h, s.boot, t.excess, m, complete)
	}
	return f.changes
}

// applyRow applies a row of a table.
func (f *Fleet) applyRow(h *host, s *snapshot, t *table, row *schema.SnapshotProcess) {
	if row.Process == "" {
		return
	}
	p := f.roomFor(h, s.meta, row.Group, row.Process)
	if p == nil {
		t.excess++
		return
	}

	switch h.lives.ClaimOf(s.boot, &p.rec, s.meta.Stored) {
	case lives.ClaimAll, lives.ClaimRows:
		p.round = t.round
		f.changes.apply(h, p, func(r *schema.ProcessRecord) bool { return s.applyRow(r, row) })
	case lives.ClaimConflict:
		if !h.lives.IsBridge(row.Group) {
			t.conflict.Add(&p.rec)
		}
	}
}

// closeTable ends a table of which all parts have come: what is not in it is gone.
func (f *Fleet) closeTable(h *host, s *snapshot, t *table) {
	delete(h.tables, s.boot)
	rows := len(f.changes.States)
	for _, p := range h.processes {
		if p.round != t.round && h.lives.ClaimOf(s.boot, &p.rec, s.meta.Stored) == lives.ClaimAll {
			f.changes.apply(h, p, s.applyGone)
		}
	}
	f.changes.sort(rows)
}

// Bridge applies a record of the bridge; kind is BridgeStarted, BridgeStopping or
// BridgeReconnect.
func (f *Fleet) Bridge(m Meta, kind string, ce *schema.CloudEvent[*schema.Bridge]) Changes {
	b := ce.Data
	h := f.begin(m, b.Host)
	if f.changes.Host != nil {
		h.lives.ApplyBridge(m.lifeMessage(b.Boot, b.Server, b.Pool, ce.Time), kind, b)
	}
	return f.changes
}

// Trouble applies a record of what a bridge cannot do.
func (f *Fleet) Trouble(m Meta, ce *schema.CloudEvent[*schema.Trouble]) Changes {
	t := ce.Data
	h := f.begin(m, t.Host)
	if f.changes.Host != nil {
		h.lives.ApplyTrouble(m.lifeMessage(t.Boot, t.Server, t.Pool, ce.Time), t, m.Shift)
	}
	return f.changes
}

// Resent applies a record of an event that the stream took for a duplicate.
func (f *Fleet) Resent(m Meta, ce *schema.CloudEvent[*schema.Resent]) Changes {
	f.begin(m, ce.Data.Host)
	if rec := f.changes.Host; rec != nil {
		rec.Resent++
		rec.LastResent = &schema.Time{Time: schema.Instant(m.Stored)}
	}
	return f.changes
}

// Loss applies a record of lost events.
func (f *Fleet) Loss(m Meta, ce *schema.CloudEvent[*schema.Loss]) Changes {
	h := f.begin(m, ce.Data.Host)
	if f.changes.Host == nil {
		return f.changes
	}
	h.lives.Lose(ce.Data, ce.Time)
	for i := range ce.Data.Processes {
		f.countUnread(h, m, ce.Data, &ce.Data.Processes[i])
	}
	f.changes.addGap(h, m, ce.Data.Boot, noteLoss)
	return f.changes
}

// countUnread counts what process tables show of events that nobody read.
func (f *Fleet) countUnread(h *host, m Meta, loss *schema.Loss, l *schema.LossProcess) {
	p := h.processes[id{l.Group, l.Process}]
	if p == nil || p.rec.State == "" {
		return // the next table shows it
	}

	boot := h.lives.Boot(loss.Boot)
	f.changes.apply(h, p, func(r *schema.ProcessRecord) bool {
		if m.Seq <= r.Seq || l.Starts <= 0 && l.Exits <= 0 {
			return false
		}
		r.Starts = lives.Sum(r.Starts, uint64(max(l.Starts, 0)))
		r.Exits = lives.Sum(r.Exits, uint64(max(l.Exits, 0)))
		r.Seq = m.Seq
		r.Crashes = crashes.MissedUpTo(r.Crashes, schema.Instant(m.Stored))
		if r.Snapshot != nil && r.Boot == boot {
			markGap(r)
		}
		return true
	})
}

// Seen applies a message that nobody decodes: its host is alive. token is the host's in the
// message's subject. See Alone for when that is enough.
func (f *Fleet) Seen(m Meta, token string) Changes {
	h := f.hosts.byToken[token]
	if h == nil {
		name, err := schema.ParseToken(token)
		if err != nil {
			// The name is too long for a token: it is known when a message of it is decoded.
			f.changes.reset()
			return f.changes
		}
		h = f.hosts.get(name)
	}

	f.changes.beginWith(h, m)
	if f.changes.Host != nil {
		h.lives.Seen(m.Stored, m.Sent)
	}
	return f.changes
}

// begin finds the host of a message and notes that it was seen.
func (f *Fleet) begin(m Meta, name string) *host {
	h := f.hosts.get(name)
	f.changes.beginWith(h, m)
	return h
}
