package deaths

import (
	"math"
	"strings"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/look"
	"supernats/bridge/record"
	"supernats/schema"
)

const (
	// promptTick is how late a tick may be read if no events wait: supervisord makes it up
	// to a second after its time (supervisord.py runforever), and later when it is busy.
	promptTick = 2 * time.Second
	// leastRan is the shortest life that two events can show: each of them may be late by
	// as much.
	leastRan = promptTick
	// sameStart is how far apart two times of one start may be.
	sameStart = 30 * time.Millisecond
	// maxLives bounds the programs whose start is remembered.
	maxLives = 10_000
)

// lives knows for how long processes have been running and what they were like, for
// the events of their deaths. A start is known, in this order:
//
//   - from the kernel, where it reports starts, or from /proc when it was found, to
//     10 ms: also of those that were gone before anybody looked.
//   - from the looks, which see all that have been running since before this run of the
//     bridge: a restart of it changes nothing.
//   - from its PROCESS_STATE_STARTING, where neither is to be had (hidepid, another pid
//     namespace), to two seconds: only if the bridge was there, and events did not wait.
//
// A death is when the kernel has reported it, or else when it was noticed, by a look or by
// its event; an event that has waited reports nothing of it. All times are those since the
// machine was started: setting its clock moves none.
//
// All but know belongs to the goroutine that listens, and reads no file.
type lives struct {
	looks *look.Looker // nil where processes cannot be looked at

	// running is what events have said of processes that run, by name.
	running map[schema.ProcessName]running
	// ended is how the last life of programs ended that may be given up: the event of
	// giving up has none of its own.
	ended map[schema.ProcessName]lived

	now func() time.Duration // look.Now; tests have their own
	// current says that events are read when they happen, as the last tick was; late, that
	// it was not: after a restart of the bridge, and in a rush, they have waited in
	// supervisord's buffer. Neither is so before the first tick. prompt is when the last
	// tick was read that was not late.
	current, late bool
	prompt        time.Duration
}

// running is a process that runs.
type running struct {
	started time.Duration // when its start was read; 0 if that was too late
	pid     int           // 0 before PROCESS_STATE_RUNNING
}

// lived is a life that is over.
type lived struct {
	ran  *float64
	last *schema.Look
}

// end is what the kernel has reported of a death; times are zero where it has not.
type end struct {
	pid           int
	started, died time.Time
}

func newLives(looks *look.Looker, current bool) *lives {
	return &lives{
		looks: looks, current: current, now: look.Now,
		running: map[schema.ProcessName]running{}, ended: map[schema.ProcessName]lived{},
	}
}

// noteAccepted takes an event that is being accepted, and adds to what is known of the death
// that it reports; nil is nothing. e is what the kernel has reported of the death.
func (l *lives) noteAccepted(h *eventlistener.Header, payload []byte, e end, f *record.Facts) *record.Facts {
	if l == nil {
		return f
	}
	state, ok := strings.CutPrefix(h.Event, "PROCESS_STATE_")
	if !ok {
		return f
	}

	name, pid := schema.ProcessOf(payload)
	over := l.noteState(name, state, pid, e)
	delete(l.ended, name)
	if over == (lived{}) {
		return f
	}
	if state == schema.StateBackoff && len(l.ended) < maxLives {
		l.ended[name] = over
	}

	if f == nil {
		f = new(record.Facts)
	}
	f.Last = over.last
	if over.ran != nil {
		f.Ran = over.ran
	}
	return f
}

// noteState takes an event about a process, and returns the life that is over with it.
func (l *lives) noteState(name schema.ProcessName, state string, pid int, e end) (over lived) {
	now := l.now()
	switch state {
	case schema.StateStarting:
		l.noteStart(name, now)
	case schema.StateRunning:
		l.noteRunning(name, pid)
	case schema.StateExited, schema.StateStopped, schema.StateBackoff, schema.StateUnknown:
		e.pid = max(e.pid, pid)
		return l.endLife(name, e, now)
	case schema.StateFatal:
		return l.ended[name]
	}
	return lived{}
}

// noteTick takes a tick that is so late. If all events since the tick before it have waited,
// or may have, nobody knows when the starts among them were.
func (l *lives) noteTick(event string, late time.Duration) {
	if l == nil {
		return
	}

	prompt := late < promptTick
	if l.late || !prompt {
		for key, r := range l.running {
			if r.started > l.prompt {
				r.started = 0
				l.running[key] = r
			}
		}
	}

	l.current, l.late = prompt, !prompt
	if prompt {
		l.prompt = l.now()
	}
	if event == schema.Tick5 && l.looks != nil {
		l.looks.Tick()
	}
}

// noteStart remembers when a process was started.
func (l *lives) noteStart(name schema.ProcessName, now time.Duration) {
	if len(l.running) < maxLives {
		l.running[name] = running{started: now}
	}
	if l.looks != nil {
		l.looks.Soon()
	}
}

// noteRunning has a process looked at.
func (l *lives) noteRunning(name schema.ProcessName, pid int) {
	if r, ok := l.running[name]; ok {
		r.pid = pid
		l.running[name] = r
	}
	if l.looks != nil {
		l.looks.Add(pid)
	}
}

// endLife ends the life of a process: how long it was, and what the process was like.
func (l *lives) endLife(name schema.ProcessName, e end, now time.Duration) (over lived) {
	r := l.running[name]
	delete(l.running, name)
	if e.pid == 0 {
		e.pid = r.pid
	}

	// From the kernel. Without its word the process died now, if events do not wait.
	died, prompt := now, l.current
	if !e.died.IsZero() {
		died, prompt = now-max(0, time.Since(e.died)), true
	}
	started := time.Duration(0)
	if !e.started.IsZero() {
		started = now - max(0, time.Since(e.started))
	}

	// From the looks.
	if l.looks != nil {
		seen, ok := l.looks.Take(look.Death{PID: e.pid, Started: started, Died: died})
		if ok && (seen.Started-started).Abs() > sameStart {
			started = seen.Started // the machine was suspended since, or nothing was known
		}
		if ok && seen.Gone != 0 && e.died.IsZero() {
			died, prompt = seen.Gone, true
		}
		over.last = lookOf(seen.Last)
		l.looks.Soon() // it may be started again
	}

	switch {
	case !prompt: // it has died some time ago
	case started != 0:
		over.ran = seconds(died - started)
	case r.started != 0 && died-r.started >= leastRan:
		over.ran = seconds(died - r.started)
	}
	return over
}

// seconds is a time in seconds, to the millisecond.
func seconds(d time.Duration) *float64 {
	s := math.Round(max(0, d).Seconds()*1000) / 1000
	return &s
}

// knowTable takes a process table: where the kernel does not list children, that is how those
// are found which were running before us.
func (l *lives) knowTable(processes []schema.SnapshotProcess) {
	if l == nil || l.looks == nil {
		return
	}
	for _, p := range processes {
		l.looks.Add(p.PID)
	}
}

// lookOf is a look in the words of the contract, nil if there was none.
func lookOf(l look.Look) *schema.Look {
	if l.Time.IsZero() {
		return nil
	}
	return &schema.Look{
		Time: schema.Time{Time: l.Time.UTC()}, RSS: l.RSS, PeakRSS: l.Peak, CPU: *seconds(l.CPU), Threads: l.Threads,
		Descriptors: l.Descriptors, Age: *seconds(l.Age),
	}
}
