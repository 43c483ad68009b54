package deathreason

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"
	"unicode/utf8"

	"supernats/bridge/deathreason/programlog"
	"supernats/schema"
)

const (
	// maxAsked is of how many processes one batch asks: with 4 KiB of stdout and of stderr
	// each that is 1 MiB to be encoded by supervisord.
	maxAsked = 128
	// maxAskedSingly is the same where each question is a call of its own.
	maxAskedSingly = 4
)

// asker finds out what supervisord's log does not say. Reasons.turn guards it.
type asker struct {
	cfg  *Config
	rpc  *rpc
	logs *programlog.Logs
}

// inquiry is what is to be found out of one process.
type inquiry struct {
	*Received
	// row is that of the process table, nil if it was not asked for or is not there.
	row *schema.SnapshotProcess
	// tails are of stdout and stderr; texts what they gave, done whether they need not be
	// asked for.
	tails [2]programlog.Tail
	texts [2]string
	done  [2]bool
}

// name is the process as XML-RPC names it.
func (q *inquiry) name() string { return q.Event.Group + ":" + q.Event.Process }

// wantsLog reports whether the event gets a tail: a BACKOFF does not, the FATAL after it
// does.
func (q *inquiry) wantsLog(limit int) bool {
	return limit > 0 && q.Event.Log == nil && q.Event.Event != schema.ProcessStateBackoff
}

// complete adds what the log did not report, and the tails: from the files where they may
// be read, else in at most two requests. made is as follow returns it.
func (r *Reasons) complete(ctx context.Context, deaths []Received, made map[uint64]time.Time) {
	inquiries := r.asker.inquiries(deaths)
	r.asker.readRows(ctx, inquiries)
	for _, q := range inquiries {
		if q.Event.Exit == nil && q.row != nil {
			r.explainByRow(q, made[q.Event.Serial])
		}
		if q.wantsLog(r.cfg.Tail) {
			r.asker.readFiles(q)
		}
	}
	r.asker.readLogs(ctx, inquiries)

	for _, q := range inquiries {
		if q.Event.Log == nil && (q.texts[0] != "" || q.texts[1] != "") {
			q.Event.Log = &schema.Log{Stdout: q.texts[0], Stderr: q.texts[1]}
		}
	}
}

// explainByRow gives a death the reason that the process table has. It was made after a
// time.
func (r *Reasons) explainByRow(q *inquiry, made time.Time) {
	exit := rowExit(q.Event, q.row, made, q.At, r.isGoPort())
	if exit == nil {
		return
	}
	r.memory.explain(q.Event, exit)
	if q.Event.Event == schema.ProcessStateBackoff {
		r.replay.NoteBackoff(schema.ProcessName{Group: q.Event.Group, Process: q.Event.Process}, exit)
	}
}

// inquiries are of the last death of each process: what supervisord says now, and what its
// log ends with, has nothing to do with those before.
func (a *asker) inquiries(deaths []Received) []*inquiry {
	seen := map[schema.ProcessName]bool{}
	var list []*inquiry
	for i := range slices.Backward(deaths) {
		e := deaths[i].Event
		id := schema.ProcessName{Group: e.Group, Process: e.Process}
		if seen[id] {
			continue
		}
		seen[id] = true

		q := &inquiry{Received: &deaths[i]}
		if q.wantsLog(a.cfg.Tail) || e.Exit == nil {
			list = append(list, q)
		}
	}
	slices.Reverse(list)
	return list
}

// readRows asks for the rows of processes whose death has no reason yet, or of which it is
// not known where they log.
func (a *asker) readRows(ctx context.Context, inquiries []*inquiry) {
	if !a.rpc.mayCall(time.Now()) {
		return
	}
	limit := maxAsked
	if a.cfg.Server.IsGoPort() {
		limit = maxAskedSingly
	}

	var names []string
	var asked []*inquiry
	for _, q := range slices.Backward(inquiries) {
		tails := a.logs.Tails(q.Event)
		unknown := q.wantsLog(a.cfg.Tail) && !(tails[0].Known && tails[1].Known)
		if (q.Event.Exit == nil || unknown) && len(names) < limit {
			names, asked = append(names, q.name()), append(asked, q)
		}
	}

	for i, row := range a.learnRows(ctx, names) {
		asked[i].row = row
	}
}

// learnRows asks for rows of the process table, and learns where those processes log. It
// returns nothing if supervisord does not answer.
func (a *asker) learnRows(ctx context.Context, names []string) []*schema.SnapshotProcess {
	if len(names) == 0 {
		return nil
	}
	rows, err := a.cfg.Server.ProcessInfo(ctx, names)
	if err != nil {
		a.rpc.failed(err)
		return nil
	}

	a.rpc.answered()
	for _, row := range rows {
		if row != nil {
			a.logs.Learn(row)
		}
	}
	a.logs.Compare()
	return rows
}

// readFiles reads what can be read of the logs of a process as files.
func (a *asker) readFiles(q *inquiry) {
	q.tails = a.logs.Tails(q.Event)
	for i := range q.tails {
		t := &q.tails[i]
		if !t.Known || t.None {
			q.done[i] = true
			continue
		}

		raw, whole, err := t.Read(programlog.RawSize(a.cfg.Tail))
		if err != nil {
			q.done[i] = errors.Is(err, fs.ErrNotExist)
			continue
		}
		q.show(i, raw, a.cfg.Tail, whole)
	}
}

// show takes what was read of stdout or stderr.
func (q *inquiry) show(i int, raw string, limit int, whole bool) {
	q.done[i] = true
	q.texts[i] = programlog.Show(raw, q.Event.Process, limit, whole)
}

// readLogs asks supervisord for the tails that may not be read as files.
func (a *asker) readLogs(ctx context.Context, inquiries []*inquiry) {
	if !a.rpc.mayCall(time.Now()) {
		return
	}
	limit := maxAsked
	if !a.cfg.Server.IsGoPort() {
		limit /= utf8.UTFMax // a part may begin inside a character, see Server
	}

	var parts []LogPart
	var take []func(text string)
	for _, q := range inquiries {
		for i := range q.tails {
			if !q.wantsLog(a.cfg.Tail) || q.done[i] || len(parts) >= limit {
				continue
			}
			off, n, atBegin := q.tails[i].Span(2 * int64(a.cfg.Tail))
			if n == 0 && off == 0 {
				continue // nothing of this life
			}
			parts = append(parts, LogPart{Name: q.name(), Stderr: i == 1, Offset: off, Length: n})
			take = append(take, func(text string) { q.show(i, text, a.cfg.Tail, atBegin) })
		}
	}
	if len(parts) == 0 {
		return
	}

	texts, err := a.cfg.Server.ReadProcessLogs(ctx, parts)
	if err != nil {
		a.rpc.failed(err)
		return
	}
	a.rpc.answered()
	for i, text := range texts {
		if text != nil {
			take[i](*text)
		}
	}
}
