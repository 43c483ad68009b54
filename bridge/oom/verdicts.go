package oom

import "supernats/schema"

// maxVerdicts bounds the verdicts that were not asked for yet; the oldest are dropped.
const maxVerdicts = 16 << 10

// verdict is what is known of a dead process.
type verdict struct {
	number uint64 // its place in order
	oom    *schema.OOM
	raise  *raise // what it was assigned, to be given back
}

// giveBack takes a verdict back: the process died of something else.
func (v verdict) giveBack() {
	if v.raise != nil {
		v.raise.left++
	}
}

// verdicts are kept until Died asks for them. Watch.mu guards them.
type verdicts struct {
	byPID map[int]verdict
	// order are the verdicts in the order in which they came, also those that were taken
	// since; number is that of the last one.
	order  []place
	number uint64
}

// place is a verdict in the order in which they came.
type place struct {
	pid    int
	number uint64
}

// keep stores a verdict.
func (v *verdicts) keep(pid int, is verdict) {
	v.number++
	is.number = v.number
	v.byPID[pid] = is
	v.order = append(v.order, place{pid, is.number})
	if len(v.order) <= maxVerdicts {
		return
	}

	oldest := v.order[0]
	v.order = v.order[1:]
	if v.byPID[oldest.pid].number == oldest.number {
		delete(v.byPID, oldest.pid)
	}
}

// take returns the verdict on a process and forgets it.
func (v *verdicts) take(pid int) (verdict, bool) {
	is, ok := v.byPID[pid]
	delete(v.byPID, pid)
	return is, ok
}
