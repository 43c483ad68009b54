package proctable

import (
	"cmp"
	"slices"

	"supernats/schema"
)

// maxListed bounds the processes of a loss. Its count is of all.
const maxListed = 300

// Compare returns what happened while there was no pool, nil if that is nothing or
// no comparison is due. processes is supervisord's table, taken after the first
// event of the pool; all events until then must have been given. From then on it is
// the table that is known. Starts and exits count only where the section sees them.
func (t *Table) Compare(processes []schema.SnapshotProcess, seesStarts, seesExits bool) *schema.Loss {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = false
	if t.changes == nil {
		return nil
	}

	now := make(map[schema.ProcessName]schema.SnapshotProcess, len(processes))
	for _, p := range processes {
		now[schema.ProcessName{Group: p.Group, Process: p.Process}] = p
	}
	for k := range t.rows {
		if _, ok := now[k]; !ok {
			now[k] = schema.SnapshotProcess{Group: k.Group, Process: k.Process, State: schema.StateStopped} // removed
		}
	}

	loss := &schema.Loss{Boot: t.boot, Pool: t.pool, Cause: schema.LossNotListening, Events: map[string]int{}}
	for k, p := range now {
		if k.Group == t.pool || k.Group == t.before {
			continue // the bridge itself, whose records say more
		}
		first, changed := t.changes[k]
		starts, exits := unseen(t.rows[k], p, first, changed)
		if !seesStarts {
			starts = 0
		}
		if !seesExits {
			exits = 0
		}
		if starts+exits == 0 {
			continue
		}

		loss.Count += uint64(starts + exits)
		of := schema.LossProcess{Group: k.Group, Process: k.Process, Starts: starts, Exits: exits}
		loss.Processes = append(loss.Processes, of)
		if starts > 0 {
			loss.Events[processState+schema.StateStarting] += starts
		}
		if exits > 0 && !changed && p.PID == 0 && (p.State == schema.StateExited || p.State == schema.StateStopped) {
			loss.Events[processState+p.State]++
		}
	}

	t.changes = nil
	t.replace(processes)
	t.since = nil
	if loss.Count == 0 {
		return nil
	}
	slices.SortFunc(loss.Processes, func(a, b schema.LossProcess) int {
		return cmp.Or(cmp.Compare(b.Exits, a.Exits), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Process, b.Process))
	})
	loss.Processes = loss.Processes[:min(len(loss.Processes), maxListed)]
	return loss
}

// unseen returns how often a process started and ended at least, from how it was
// last known to how it is now or, if it changed since there is a pool, was before
// that.
func unseen(old row, now schema.SnapshotProcess, first change, changed bool) (starts, exits int) {
	pid := now.PID
	if changed {
		pid = 0
		if first.ran {
			pid = first.pid
		}
	}
	ran, runs := old.PID != 0, pid != 0
	// The times are those of the last start and the last end: of this change only if
	// there was no other.
	started := !changed && now.Start > old.Start
	stopped := !changed && now.Stop > old.Stop

	switch {
	case ran && runs && (old.PID == unknownPID || pid == unknownPID):
		if started {
			return 1, 1
		}
		return 0, 0
	case ran && runs && old.PID == pid:
		return 0, 0
	case ran && runs:
		return 1, 1
	case ran && started:
		return 1, 2 // it ended, came back and ended again
	case ran:
		return 0, 1
	case runs && stopped:
		return 2, 1
	case runs:
		return 1, 0
	case started:
		return 1, 1
	}
	return 0, 0
}
