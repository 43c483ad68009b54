package programlog

import "supernats/schema"

// groupAdded takes note that a group is in supervisord's configuration from now on: if it
// was there before, its processes may log elsewhere.
func (l *Logs) groupAdded(group string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, p := range l.procs {
		if id.group == group {
			p.moved = true
		}
	}
}

// begin takes note that a process is being started. Where a program logs that was added
// after the last process table has to be known when its first life ends: where the log
// ends then, the second one begins.
func (l *Logs) begin(group, process string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.tabled {
		return // the first table is on its way
	}
	p, added := l.proc(procID{group, process})
	if p == nil {
		return
	}

	if added {
		p.moved, p.unknown = true, [2]bool{true, true}
	}
	p.early = false
	if p.moved {
		select {
		case l.strange <- struct{}{}:
		default:
		}
	}
}

// Strange receives when a process was started of which it is not known where it logs.
func (l *Logs) Strange() <-chan struct{} { return l.strange }

// Strangers returns those processes, at most some of them.
func (l *Logs) Strangers(most int) (list []schema.ProcessName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, p := range l.procs {
		if p.moved && len(list) < most {
			list = append(list, schema.ProcessName{Group: id.group, Process: id.process})
		}
	}
	return list
}
