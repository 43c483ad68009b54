// Package oom finds out whether a process died because memory ran out: its cgroup had
// reached its limit, or the machine had none left.
//
// The kernel kills such a process by SIGKILL, as an operator might, and its wait status
// does not say who did. But it counts those that it kills (memory.events of cgroup v2,
// memory.oom_control of v1, from Linux 4.13 on), in the cgroup of the victim, and before
// it sends the signal (__oom_kill_process of mm/oom_kill.c). Hence:
//
//	Follow    the cgroup of a process and its counter
//	Run       every 500 ms: has the machine killed anyone? Only then all counters are read
//	Dead      the counter again, before supervisord reaps the process: the verdict
//	Died      the verdict is handed out, if the signal was SIGKILL
//
// What is reported is certain; what is not certain is not reported. A counter that has risen does not name the
// victim, which may be a child of a program as well. /dev/kmsg names it: where that may
// be read, it decides. Where not,
//
//   - a counter that did not rise within two seconds before the death means no;
//   - if more processes of the cgroup have died by SIGKILL, or are about to, than the
//     counter rose by, it means no for each of them;
//   - a rise of which none of those that are followed seems to die within 500 ms was
//     that of another process.
//
// What is left: a program that is killed by hand within half a second after one of its
// children ran out of memory, where the kernel's log is closed, is taken for the victim.
//
// Reading is bounded by maxProcesses and maxGroups, some 200 bytes and 1 KB each; what
// is beyond them is counted, and nothing is known of it.
package oom

import (
	"sync"
	"syscall"
	"time"

	"supernats/schema"
)

const (
	maxProcesses = 64 << 10
	maxGroups    = 4 << 10
	// bufSize is what the files are first read into, in bytes; it grows up to maxFile.
	bufSize = 16 << 10
)

// process is one that is followed.
type process struct {
	group *group // nil where nothing is known
	// next is when it is looked up where it runs, and wait for how long that was put off;
	// lost is how often it was not there.
	next time.Time
	wait time.Duration
	lost int
}

// isGone reports whether it has been away for a while: its death is not reported to us.
func (p *process) isGone() bool { return p.lost > 1 }

// Watch follows processes. Its methods may be called from several goroutines; none of
// them waits for anything but small files of the kernel.
type Watch struct {
	tree tree

	// mu guards what is below it.
	mu       sync.Mutex
	buf      []byte // for files that are read
	alive    map[int]*process
	cgroups  cgroups
	verdicts verdicts

	log *kernelLog // nil where it cannot be read
	// kills is the counter of the machine, if counts is set, and changed when it last
	// rose.
	kills   uint64
	counts  bool
	changed time.Time

	// said, unclear and unfollowed are of Stats.
	said, unclear, unfollowed uint64

	fresh chan struct{} // holds a value if processes are followed that Run has not seen
}

// New makes a Watch of the machine whose /proc, /sys and /dev are below root, which is
// "/" but in tests. The caller closes it.
func New(root string) *Watch {
	w := &Watch{
		tree: tree(root), buf: make([]byte, 0, bufSize), alive: map[int]*process{},
		cgroups: newCgroups(tree(root)), verdicts: verdicts{byPID: map[int]verdict{}},
		fresh: make(chan struct{}, 1),
	}

	// The end of the log is marked before the counter is read, see kernelLog.
	if w.log = openLog(w.tree); w.log != nil {
		w.log.mark()
	}
	w.kills, w.counts = w.tree.kills(w.buf)
	if w.log != nil {
		w.log.settle(w.kills)
	}
	return w
}

// Close closes the kernel's log.
func (w *Watch) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.log != nil {
		w.log.close()
		w.log = nil
	}
}

// Follow remembers the cgroup of a process that runs, and its counter. Of one that is
// followed already, it looks whether it has moved.
func (w *Watch) Follow(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.alive[pid]; p != nil {
		w.move(pid, p)
		return
	}
	if len(w.alive) >= maxProcesses {
		w.unfollowed++
		return
	}

	g, _ := w.cgroups.find(pid)
	if w.cgroups.full {
		w.unfollowed++
	}
	if w.isStale(g, pid) {
		w.cgroups.release(g)
		g = nil
	}

	w.alive[pid] = &process{group: g, next: time.Now().Add(firstLook), wait: firstLook}
	select {
	case w.fresh <- struct{}{}:
	default:
	}
}

// move looks up the cgroup of a process again. One that cannot be read is kept.
func (w *Watch) move(pid int, p *process) {
	g, there := w.cgroups.find(pid)
	if p.lost++; there {
		p.lost = 0
	}
	if g == nil {
		return
	}

	if g == p.group || w.isStale(g, pid) {
		w.cgroups.release(g)
		return
	}
	w.cgroups.release(p.group)
	p.group = g
}

// isStale reports whether a process is dead and only therefore in the root: v1 puts all
// that exit there (proc_cgroup_show of kernel/cgroup/cgroup.c).
func (w *Watch) isStale(g *group, pid int) bool {
	return g != nil && !g.h.v2 && g.name == "/" && w.tree.exiting(pid, w.buf)
}

// Forget drops a process, dead or alive, and what is known of it.
func (w *Watch) Forget(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(pid)
	if v, ok := w.verdicts.take(pid); ok {
		v.giveBack()
	}
}

func (w *Watch) drop(pid int) {
	if p := w.alive[pid]; p != nil {
		delete(w.alive, pid)
		w.cgroups.release(p.group)
	}
}

// Died says where memory ran out if that is what a process died of, once; nil if not,
// or where that is not certain. Call it if the process was not asked to stop; otherwise call
// Forget.
func (w *Watch) Died(pid int, signal syscall.Signal) *schema.OOM {
	w.mu.Lock()
	v, judged := w.verdicts.take(pid)
	followed := w.alive[pid] != nil
	w.mu.Unlock()

	switch {
	case judged && signal == syscall.SIGKILL:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.said++
		return v.oom
	case signal != syscall.SIGKILL:
		w.mu.Lock()
		defer w.mu.Unlock()
		v.giveBack()
		if !judged {
			w.drop(pid)
		}
		return nil
	case !followed:
		return nil
	}

	w.Dead(pid)
	return w.Died(pid, signal)
}
