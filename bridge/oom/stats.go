package oom

import "os"

// Stats are counts since New, but for those of what is followed now.
type Stats struct {
	// Processes and Groups are followed.
	Processes, Groups int
	// Unfollowed are processes that are not, since there are too many, or too many
	// cgroups.
	Unfollowed uint64
	// OutOfMemory are deaths that are said to be of that, Unclear those that may have been:
	// it is not certain who of several was the victim.
	OutOfMemory, Unclear uint64
	// Log is set if the kernel's log names victims here.
	Log bool
}

// Stats returns them.
func (w *Watch) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{
		Processes: len(w.alive), Groups: len(w.cgroups.groups), Unfollowed: w.unfollowed,
		OutOfMemory: w.said, Unclear: w.unclear, Log: w.log != nil,
	}
}

// Trouble says why nothing can be known here, empty if something can.
func (w *Watch) Trouble() string {
	w.mu.Lock()
	defer w.mu.Unlock()

	g, _ := w.cgroups.find(os.Getpid())
	defer w.cgroups.release(g)
	switch {
	case w.log != nil, g != nil && g.known:
		return ""
	case g != nil:
		return "the counters of this cgroup do not say how many processes were killed for want of memory " +
			"(Linux 4.13 is needed)"
	}
	return "no cgroup with the memory controller is seen here, and /dev/kmsg cannot be read"
}
