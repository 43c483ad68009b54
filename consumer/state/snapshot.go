package state

import (
	"strings"
	"time"

	"supernats/consumer/crashes"
	"supernats/schema"
)

// snapshot is one that is being applied.
type snapshot struct {
	message *schema.Snapshot
	boot    string // that of the message, kept for longer
	at      schema.Time
	meta    Meta
}

// isOld reports whether the record knows better than the snapshot: it was seen already, or
// an event that the bridge read after the snapshot had been asked for, or a snapshot taken
// later (by another listener of that supervisord).
func (s *snapshot) isOld(r *schema.ProcessRecord) bool {
	switch {
	case s.meta.Seq <= r.Seq:
		return true
	case s.boot != r.Boot:
		return false
	case r.Snapshot != nil: // events since then were only counted
		return r.Snapshot.Time.After(s.at.Time)
	}
	return r.Serial > s.message.Serial
}

// applyRow applies what the snapshot says of a process. What is known already is not taken
// again: an event's time is better than a table's, and a record that does not change need
// not be written.
func (s *snapshot) applyRow(r *schema.ProcessRecord, row *schema.SnapshotProcess) (changed bool) {
	if s.isOld(r) {
		return false
	}
	to := stateOf(row)
	pid := 0
	if schema.IsUp(to) || to == schema.StateStopping {
		pid = row.PID
	}
	// A STARTING event has no pid.
	isSame := r.Gone == nil && r.State == to && (r.PID == pid || r.PID == 0 && to == schema.StateStarting)
	if isSame && r.Boot == s.boot {
		if changed = s.fill(r, row); changed {
			r.Seq = s.meta.Seq
		}
		return changed
	}

	since, isKnown := stateSince(row, to, s.at, s.meta.Shift)
	if !isSame || isKnown {
		r.Since = since
	}
	if !isSame {
		s.noteEnd(r, row, to)
		r.Updated = schema.Time{Time: s.meta.Stored}
	}
	r.State = to
	r.PID = pid
	r.Gone = nil
	r.Started = nil
	r.ExitStatus = nil
	s.fill(r, row)
	s.mark(r)
	return true
}

// fill takes over what events do not say: the exit status, and when a process was started if
// the event of that is missing.
func (s *snapshot) fill(r *schema.ProcessRecord, row *schema.SnapshotProcess) (changed bool) {
	hasProcess := schema.IsUp(r.State) || r.State == schema.StateStopping
	if hasProcess && r.Started == nil && row.Start > 0 {
		r.Started = new(notAfter(row.Start, s.at, s.meta.Shift))
		changed = true
	}

	hasEnded := r.State == schema.StateStopped || r.State == schema.StateExited
	if hasEnded && r.ExitStatus == nil {
		r.ExitStatus = new(row.ExitStatus)
		changed = true
	}
	return changed
}

// applyGone applies that the snapshot does not have a process.
func (s *snapshot) applyGone(r *schema.ProcessRecord) (changed bool) {
	if r.Gone != nil || s.isOld(r) {
		return false
	}
	r.Gone = new(s.at)
	r.PID = 0
	r.Started = nil
	r.ExitStatus = nil
	r.Updated = schema.Time{Time: s.meta.Stored}
	s.mark(r)
	return true
}

// mark notes that a record has seen the snapshot.
func (s *snapshot) mark(r *schema.ProcessRecord) {
	if r.Boot != s.boot {
		r.Boot = s.boot
		r.Serial = 0
	}
	r.Snapshot = &schema.SnapshotMark{Serial: s.message.Serial, Time: s.at}
	r.Seq = s.meta.Seq
}

// noteEnd keeps what a row says of the end of a process. exitstatus is reset at the next
// start, and is not set by an exit before startsecs; spawnerr is set by an exit that was not
// expected ("Bad exit code 3") and by whatever leads to BACKOFF (process.py, finish and
// record_spawnerr).
func (s *snapshot) noteEnd(r *schema.ProcessRecord, row *schema.SnapshotProcess, to string) {
	switch to {
	case schema.StateExited:
		clearEnd(r)
		switch {
		case row.SpawnErr != "":
			r.Expected = new(false)
		case row.ExitStatus == 0:
			r.Expected = new(true)
		}
		if row.ExitStatus >= 0 && row.ExitStatus <= 255 { // -1 is any signal
			r.Exit = &schema.Exit{Code: new(row.ExitStatus)}
		}
	case schema.StateBackoff, schema.StateFatal:
		if to == schema.StateFatal && r.State == schema.StateBackoff && r.Exit != nil && r.Boot == s.boot {
			break // the last event said more
		}
		clearEnd(r)
		if row.SpawnErr != "" {
			r.Exit = &schema.Exit{SpawnErr: strings.Clone(row.SpawnErr)}
		}
	default:
		return
	}

	if row.Stop >= row.Start && row.Stop > 0 {
		r.LastExit = new(notAfter(row.Stop, s.at, s.meta.Shift))
	}
}

// clearEnd drops what was known of the end of a process.
func clearEnd(r *schema.ProcessRecord) {
	r.Expected = nil
	r.Exit = nil
	r.Ran = nil
	r.Last = nil
}

// stateOf returns one of our own strings: a row's would keep the whole payload.
func stateOf(row *schema.SnapshotProcess) string {
	if own, ok := ownState(row.State); ok {
		return own
	}
	return schema.StateUnknown
}

// stateSince returns since when a process is in the state of its row, and whether the row
// says so. supervisord's times are whole seconds.
func stateSince(
	row *schema.SnapshotProcess, to string, at schema.Time, shift time.Duration,
) (since schema.Time, isKnown bool) {
	var unix int64
	switch to {
	case schema.StateStarting, schema.StateRunning:
		unix = row.Start
	case schema.StateStopped, schema.StateExited:
		unix = row.Stop
	case schema.StateBackoff, schema.StateFatal:
		unix = max(row.Start, row.Stop) // one that could not be started never ended
	}
	if unix <= 0 {
		return at, false
	}
	return notAfter(unix, at, shift), true
}

// latestUnix is the end of the year 9999: a time.Time of much later ones is negative.
const latestUnix = 253402300799

// notAfter is a time by a host's clock, of which shift makes one that is right. It is not
// after at.
func notAfter(unix int64, at schema.Time, shift time.Duration) schema.Time {
	if unix > latestUnix {
		return at
	}
	if t := time.Unix(unix, 0).UTC().Add(shift); t.Before(at.Time) {
		return schema.Time{Time: t}
	}
	return at
}

// isShown reports whether an event is one whose effect the snapshot that the record's state
// is from has shown already. follows says that the event may have come after that state. An
// event that does not follow has been shown, or others before it are missing, which a
// message may have said, see noteGap.
func isShown(r *schema.ProcessRecord, boot string, ce *schema.CloudEvent[*schema.Event], follows bool) bool {
	mark := r.Snapshot
	if mark == nil || boot != r.Boot {
		return false
	}
	return ce.Data.Serial <= mark.Serial || !follows && !mark.Gap && !ce.Time.After(mark.Time.Add(lag))
}

// noteGap applies that events are missing.
func noteGap(r *schema.ProcessRecord, m Meta) (changed bool) {
	if r.Snapshot == nil || r.Snapshot.Gap || m.Seq <= r.Seq {
		return false
	}
	markGap(r)
	r.Seq = m.Seq
	return true
}

// noteLoss is noteGap of events that were reported as lost: some may have been crashes.
func noteLoss(r *schema.ProcessRecord, m Meta) (changed bool) {
	if m.Seq <= r.Seq {
		return false
	}
	changed = noteGap(r, m)
	if crashes.Recent(r.Crashes, m.Stored) != nil {
		r.Crashes = crashes.MissedUpTo(r.Crashes, schema.Instant(m.Stored))
		r.Seq = m.Seq
		changed = true
	}
	return changed
}

// markGap notes in a record that events since its snapshot are missing.
func markGap(r *schema.ProcessRecord) {
	mark := *r.Snapshot
	mark.Gap = true
	r.Snapshot = &mark
}

// order is that of the states in the life of one pid.
var order = map[string]int{
	schema.StateStarting: 1, schema.StateRunning: 2, schema.StateStopping: 3,
	schema.StateStopped: 4, schema.StateExited: 4,
}

// canFollow reports whether an event can be what happened next to a process that a snapshot
// has shown.
func canFollow(r *schema.ProcessRecord, e *schema.Event, to string) bool {
	switch {
	case e.FromState == "":
		return true
	case r.Gone != nil:
		return e.FromState == schema.StateStopped // what a process begins as
	case e.PID != 0 && e.PID == r.PID:
		return order[to] >= order[r.State]
	}
	return e.FromState == r.State && (e.PID == 0 || r.PID == 0)
}

// removeGroup applies that a group was taken out of supervisord, which it allows when all
// its processes are stopped (rpcinterface.py, removeProcessGroup).
func removeGroup(r *schema.ProcessRecord, m Meta, ce *schema.CloudEvent[*schema.Event], boot string) (changed bool) {
	e := ce.Data
	if m.Seq <= r.Seq || boot == r.Boot && e.Serial <= r.Serial {
		return false
	}
	if isShown(r, boot, ce, r.Gone != nil || isIdle(r.State)) {
		return false
	}

	if r.Gone == nil {
		r.Gone = new(ce.Time)
		r.PID = 0
		r.Started = nil
		r.ExitStatus = nil
		r.Updated = schema.Time{Time: m.Stored}
	}
	r.Boot = boot
	r.Serial = e.Serial
	r.Seq = m.Seq
	r.Snapshot = nil
	return true
}

// isIdle reports whether supervisord has no process in a state.
func isIdle(state string) bool {
	switch state {
	case schema.StateStopped, schema.StateExited, schema.StateFatal, schema.StateUnknown:
		return true
	}
	return false
}
