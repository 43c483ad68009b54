package deaths

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"supernats/bridge/deathwatch"
	"supernats/bridge/record"
	"supernats/schema"
)

// gather puts together what is known of a death: how the process ended, and for how
// long it had been running. What else only this moment knows of it belongs here too. It
// is on supervisord's path: it must not wait.
func (k *kernel) gather(exit deathwatch.Exit) *record.Facts {
	k.end = end{pid: exit.PID, started: exit.Started, died: exit.Died}
	f := new(record.Facts)
	signal := unix.SIGKILL // that is what it is about; apply looks whether it was
	if exit.Known {
		f.Exit, signal = exitOf(exit.Status), exit.Status.Signal()
	}
	f.OOM = k.memory.Died(exit.PID, signal)
	if !exit.Started.IsZero() && !exit.Died.Before(exit.Started) {
		f.Ran = new(exit.Died.Sub(exit.Started).Round(time.Millisecond).Seconds())
	}
	return f
}

// exitOf is a wait status in the words of the contract; nil of one that is no end.
func exitOf(s unix.WaitStatus) *schema.Exit {
	switch {
	case s.Exited():
		return &schema.Exit{Code: new(s.ExitStatus()), Source: schema.ExitFromKernel}
	case s.Signaled():
		return &schema.Exit{Signal: signalName(int(s.Signal())), Core: s.CoreDump(), Source: schema.ExitFromKernel}
	}
	return nil
}

// signalName is what supervisord calls a signal (options.py signame).
func signalName(n int) string {
	switch n {
	case 29:
		return "SIGPOLL" // SIGIO
	case 34:
		return "SIGRTMIN"
	case 64:
		return "SIGRTMAX"
	}
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(n)
}
