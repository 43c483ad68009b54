package deaths

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"supernats/bridge/deathwatch"
	"supernats/bridge/record"
	"supernats/schema"
)

// gatherFacts puts together what is known of a death: how the process ended, whether memory ran
// out, and for how long it had been running. What else only this moment knows of it belongs
// here too. It is on supervisord's path: it must not wait.
func (k *kernel) gatherFacts(exit deathwatch.Exit) *record.Facts {
	k.end = end{pid: exit.PID, started: exit.Started, died: exit.Died}

	facts := new(record.Facts)
	signal := unix.SIGKILL // the one that means lack of memory; Facts.Apply checks that it was
	if exit.Known {
		facts.Exit, signal = exitOf(exit.Status), exit.Status.Signal()
	}
	facts.OOM = k.memory.Died(exit.PID, signal)

	if !exit.Started.IsZero() && !exit.Died.Before(exit.Started) {
		facts.Ran = new(exit.Died.Sub(exit.Started).Round(time.Millisecond).Seconds())
	}
	return facts
}

// exitOf is a wait status in the words of the contract; nil of one that is not an end.
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
