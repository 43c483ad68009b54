package state

import (
	"strings"
	"time"

	"supernats/schema"
)

// snapshot is one that is being applied.
type snapshot struct {
	*schema.Snapshot
	boot string // the same, kept for longer
	at   schema.Time
	meta Meta
}

// old reports whether the record knows better than the snapshot: it was seen
// already, or an event that the bridge read after the snapshot had been asked
// for, or a snapshot taken later (by another listener of that supervisord).
func (s *snapshot) old(r *schema.ProcessRecord) bool {
	switch {
	case s.meta.Seq <= r.Seq:
		return true
	case s.boot != r.Boot:
		return false
	case r.Snapshot != nil: // events since then were only counted
		return r.Snapshot.Time.After(s.at.Time)
	}
	return r.Serial > s.Serial
}

// row applies what the snapshot tells of a process. What is known already is not
// told anew: an event's time is better than a table's, and a record that does not
// change need not be written.
func (s *snapshot) row(r *schema.ProcessRecord, row *schema.SnapshotProcess) (changed bool) {
	if s.old(r) {
		return false
	}
	to, pid := stateOf(row), 0
	if to == starting || to == running || to == stopping {
		pid = row.PID
	}
	// A STARTING event tells no pid.
	same := r.Gone == nil && r.State == to && (r.PID == pid || r.PID == 0 && to == starting)
	if same && r.Boot == s.boot {
		return false
	}
	since, told := beginning(row, to, s.at, s.meta.Shift)
	if !same || told {
		r.Since = since
	}
	if !same {
		s.ended(r, row, to)
		r.Updated = schema.Time{Time: s.meta.Stored}
	}
	r.State, r.PID, r.Gone = to, pid, nil
	s.mark(r)
	return true
}

// gone applies that the snapshot does not have a process.
func (s *snapshot) gone(r *schema.ProcessRecord) (changed bool) {
	if r.Gone != nil || s.old(r) {
		return false
	}
	r.Gone, r.PID = new(s.at), 0
	r.Updated = schema.Time{Time: s.meta.Stored}
	s.mark(r)
	return true
}

func (s *snapshot) mark(r *schema.ProcessRecord) {
	if r.Boot != s.boot {
		r.Boot, r.Serial = s.boot, 0
	}
	r.Snapshot, r.Seq = &schema.SnapshotMark{Serial: s.Serial, Time: s.at}, s.meta.Seq
}

// ended keeps what a row tells of the end of a process. exitstatus is reset at
// the next start, and is not set by an exit before startsecs; spawnerr is set by
// an exit that was not expected ("Bad exit code 3") and by whatever leads to
// BACKOFF (process.py, finish and record_spawnerr).
func (s *snapshot) ended(r *schema.ProcessRecord, row *schema.SnapshotProcess, to string) {
	switch to {
	case exited:
		r.Expected, r.Exit, r.Ran, r.Last = nil, nil, nil, nil
		switch {
		case row.SpawnErr != "":
			r.Expected = new(false)
		case row.ExitStatus == 0:
			r.Expected = new(true)
		}
		if row.ExitStatus >= 0 && row.ExitStatus <= 255 { // -1 is any signal
			r.Exit = &schema.Exit{Code: new(row.ExitStatus)}
		}
	case backoff, fatal:
		if to == fatal && r.State == backoff && r.Exit != nil && r.Boot == s.boot {
			break // the last event told more
		}
		r.Expected, r.Exit, r.Ran, r.Last = nil, nil, nil, nil
		if row.SpawnErr != "" {
			r.Exit = &schema.Exit{SpawnErr: strings.Clone(row.SpawnErr)}
		}
	default:
		return
	}
	if row.Stop >= row.Start && row.Stop > 0 {
		r.LastExit = new(earlier(row.Stop, s.at, s.meta.Shift))
	}
}

// stateOf returns one of our own strings: a row's would keep the whole payload.
func stateOf(row *schema.SnapshotProcess) string {
	if s, ok := told["PROCESS_STATE_"+row.State]; ok {
		return s
	}
	return unknown
}

// beginning returns since when a process is in the state of its row, and whether
// the row tells it. supervisord's times are whole seconds.
func beginning(row *schema.SnapshotProcess, to string, at schema.Time, shift time.Duration) (since schema.Time, told bool) {
	var unix int64
	switch to {
	case starting, running:
		unix = row.Start
	case stopped, exited:
		unix = row.Stop
	case backoff, fatal:
		unix = max(row.Start, row.Stop) // one that could not be started never ended
	}
	if unix <= 0 {
		return at, false
	}
	return earlier(unix, at, shift), true
}

// latestUnix is the end of the year 9999: a time.Time of much later ones is negative.
const latestUnix = 253402300799

// earlier is a time by a host's clock, of which shift makes one that is right.
func earlier(unix int64, at schema.Time, shift time.Duration) schema.Time {
	if unix > latestUnix {
		return at
	}
	if t := time.Unix(unix, 0).UTC().Add(shift); t.Before(at.Time) {
		return schema.Time{Time: t}
	}
	return at
}

// shown reports whether an event is one whose effect the snapshot that told the
// record's state has shown already. follows says that the event may have come
// after that state. An event that does not follow has been shown, or others before
// it are missing, which a message may have told, see gap.
func shown(r *schema.ProcessRecord, boot string, ce *schema.CloudEvent[*schema.Event], follows bool) bool {
	mark := r.Snapshot
	if mark == nil || boot != r.Boot {
		return false
	}
	return ce.Data.Serial <= mark.Serial || !follows && !mark.Gap && !ce.Time.After(mark.Time.Add(lag))
}

// gap applies that events are missing.
func gap(r *schema.ProcessRecord, m Meta) (changed bool) {
	if r.Snapshot == nil || r.Snapshot.Gap || m.Seq <= r.Seq {
		return false
	}
	mark := *r.Snapshot
	mark.Gap = true
	r.Snapshot, r.Seq = &mark, m.Seq
	return true
}

// order is that of the states in the life of one pid.
var order = map[string]int{starting: 1, running: 2, stopping: 3, stopped: 4, exited: 4}

// follows reports whether an event can be what happened next to a process that a
// snapshot has shown.
func follows(r *schema.ProcessRecord, e *schema.Event, to string) bool {
	switch {
	case e.FromState == "":
		return true
	case r.Gone != nil:
		return e.FromState == stopped // what a process begins as
	case e.PID != 0 && e.PID == r.PID:
		return order[to] >= order[r.State]
	}
	return e.FromState == r.State && (e.PID == 0 || r.PID == 0)
}

// groupRemoved applies that a group was taken out of supervisord, which it allows
// when all its processes are stopped (rpcinterface.py, removeProcessGroup).
func groupRemoved(r *schema.ProcessRecord, m Meta, ce *schema.CloudEvent[*schema.Event], boot string) (changed bool) {
	e := ce.Data
	if m.Seq <= r.Seq || boot == r.Boot && e.Serial <= r.Serial {
		return false
	}
	idle := r.Gone != nil || r.State == stopped || r.State == exited || r.State == fatal || r.State == unknown
	if shown(r, boot, ce, idle) {
		return false
	}
	if r.Gone == nil {
		r.Gone, r.PID, r.Updated = new(ce.Time), 0, schema.Time{Time: m.Stored}
	}
	r.Boot, r.Serial, r.Seq, r.Snapshot = boot, e.Serial, m.Seq, nil
	return true
}
