package bridge

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"supernats/bridge/deathreason"
	"supernats/bridge/deathwatch"
	"supernats/bridge/eventlistener"
	"supernats/schema"
)

// facts are what only this moment knows of the death that an event reports. They are
// stored with the event, since after a restart, or when NATS has been away for hours,
// nobody could find them out.
type facts struct {
	// Exit is what the kernel said.
	Exit *schema.Exit `json:"exit,omitempty"`
	// Ran is how long the process had been running, in seconds.
	Ran *float64 `json:"ran,omitempty"`
	// OOM is set if the process was killed because memory ran out; the reason is in Exit
	// or comes from supervisord's log.
	OOM *schema.OOM `json:"oom,omitempty"`
	// Last is the last look at it.
	Last *schema.Look `json:"last,omitempty"`
}

// gather puts together what is known of a death: how the process ended, and for how
// long it had been running. What else only this moment knows of it belongs here too. It
// is on supervisord's path: it must not wait.
func (d *deaths) gather(exit deathwatch.Exit) *facts {
	d.end = end{pid: exit.PID, started: exit.Started, died: exit.Died}
	f := new(facts)
	signal := unix.SIGKILL // that is what it is about; apply looks whether it was
	if exit.Known {
		f.Exit, signal = exitOf(exit.Status), exit.Status.Signal()
	}
	f.OOM = d.memory.Died(exit.PID, signal)
	if !exit.Started.IsZero() && !exit.Died.Before(exit.Started) {
		f.Ran = new(exit.Died.Sub(exit.Started).Round(time.Millisecond).Seconds())
	}
	return f
}

// apply gives an event what is known of its death. Its reason may have been found out
// in supervisord's log too.
func (f *facts) apply(e *schema.Event) {
	if f == nil {
		return
	}
	if e.Exit == nil && explained(e) {
		e.Exit = f.Exit
	}
	if f.OOM != nil && e.Exit != nil && e.Exit.Signal == "SIGKILL" {
		exit := *e.Exit // others hold it too
		exit.OOM = f.OOM
		e.Exit = &exit
	}
	if e.Exit != nil && e.Exit.SpawnErr != "" {
		return // it has never run
	}
	if e.Ran == nil {
		e.Ran = f.Ran
	}
	if e.Last == nil {
		e.Last = f.Last
	}
}

// received is an event for the search of reasons, with what the kernel said.
func (f *facts) received(e *schema.Event, at time.Time) deathreason.Received {
	if f == nil {
		return deathreason.Received{Event: e, At: at}
	}
	return deathreason.Received{Event: e, At: at, Kernel: f.Exit}
}

// explained reports whether an event is one of those that have a reason.
func explained(e *schema.Event) bool {
	return e.UnexpectedExit() || e.Event == schema.ProcessStateBackoff || e.Event == schema.ProcessStateFatal
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

// factsMark begins the facts in the record of an event, after its payload. They look
// like one more pair of it, without white space: a bridge that does not know them
// publishes them as extra.
const factsMark = "\nsupernats:"

// append appends the facts to the record of their event.
func (f *facts) append(rec []byte) []byte {
	if f == nil || *f == (facts{}) {
		return rec
	}
	data, err := json.Marshal(f)
	if err != nil {
		return rec // no number, texts and numbers only: they always encode
	}
	// Blanks are in strings only.
	data = bytes.ReplaceAll(data, []byte(" "), []byte(`\u0020`))
	return append(append(rec, factsMark...), data...)
}

// cutFacts takes the facts off the payload of a record; only events of process states
// have any, and one line of their own.
func cutFacts(h *eventlistener.Header, payload []byte) ([]byte, *facts) {
	if !schema.Is(h.Event, "PROCESS_STATE") {
		return payload, nil
	}
	line, data, ok := bytes.Cut(payload, []byte(factsMark))
	if !ok {
		return payload, nil
	}
	f := new(facts)
	if json.Unmarshal(data, f) != nil {
		return line, nil
	}
	return line, f
}
