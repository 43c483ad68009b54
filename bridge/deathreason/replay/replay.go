// Package replay finds the reason of a death in supervisord's log: it follows events and
// lines side by side, see Replay. It reads nothing itself: lines are handed to a History,
// and a func is called when more of them are needed.
//
// Memory: at most 32,768 lines with their names, some 3 MB, and what is known of the
// processes that events have named.
package replay

import (
	"context"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/schema"
)

// Replay finds the line of each event. It is not for use by several goroutines.
//
// supervisord is one thread: it makes an event and writes its line in one go, so events in
// serial order and lines are the same sequence (process.py spawn, finish, give_up). Once it
// is known which line belongs to one event, the two can be followed in lock step: STARTING
// is "spawned" or "spawnerr", BACKOFF and EXITED are "exited", STOPPED is "stopped", FATAL
// is "gave up". The step ends at the first thing that does not fit, and when events or
// lines were lost.
//
// It begins where a line is certain: a pid is in the line "spawned" and in the events
// RUNNING, EXITED and STOPPED. The pid of an EXITED alone shows its line too, in step or
// not, if no other group has a process of that name; where both show one, they must agree.
//
// Out of step, a reason is given only if every death that may be meant had the same.
//
// Where children may have written some of the lines (see ownlog.Feed) there is no step and
// no life that can be trusted, for both can be forged. See unanimous for what is believed.
//
// Invariants:
//   - in step, every line before pos has its event, or will have none;
//   - from never goes back: the current event, and every later one, was made after it.
type Replay struct {
	log *History
	// more reads what is new of the log, once for any number of calls, and reports whether
	// there was any.
	more func(context.Context) bool

	inStep bool
	pos    int // the number of the first line that no event before has

	// from is a time before which the current event cannot have been made.
	from  time.Time
	procs map[schema.ProcessName]*proc
	// groups holds the group of each name that was seen.
	groups map[string]string
	// candidates are the lines that may be those of a death, where some may be forged.
	candidates candidates
}

// proc is what the last events of a process reported.
type proc struct {
	starting uint64 // serial of the last STARTING, 0 for none
	// Of the current start, in step only.
	pid      int32
	spawnErr *schema.Exit
	// backoff is the reason of the last BACKOFF, where known.
	backoff *schema.Exit
}

// maybeSpawnErr reports whether a BACKOFF may be that of a spawn error, which makes it at
// once (process.py spawn).
func (p *proc) maybeSpawnErr(serial uint64) bool { return p.starting == 0 || p.starting+1 == serial }

// Step is what a Replay needs of an event.
type Step struct {
	Event    string // its name
	Name     schema.ProcessName
	PID      int
	Serial   uint64
	Expected bool
	From     string // from_state
	// At is when the bridge read the event, Tick that of the last TICK before.
	At, Tick time.Time
	// Lost means that there were events before that never came.
	Lost bool
	// Death is the event itself if its reason is wanted.
	Death *schema.Event
}

// ClockSlack is how much later than its line an event may seem to be made: a TICK is in
// whole seconds, and the times of lines are cut to milliseconds.
const ClockSlack = 2 * time.Second

// New returns a Replay that has seen no event. more reads what is new of the log into the
// history, and reports whether there was any.
func New(log *History, more func(context.Context) bool) *Replay {
	return &Replay{
		log: log, more: more, procs: map[schema.ProcessName]*proc{}, groups: map[string]string{},
		candidates: candidates{floors: map[class]int{}, waiting: map[class]int{}},
	}
}

// Expect takes all events that will be taken.
func (r *Replay) Expect(steps []Step) { r.candidates.expect(steps) }

// Take follows one event. It returns the reason of a death, nil if it is not known, and
// what may be a reason of any other event.
func (r *Replay) Take(ctx context.Context, s *Step) *schema.Exit {
	if s.Lost {
		r.leaveStep()
		for _, p := range r.procs {
			p.starting, p.backoff = 0, nil
		}
	}
	if s.Tick.After(r.from) {
		r.from = s.Tick
	}
	if s.Event == schema.SupervisorStateChangeRunning {
		r.beginBoot(ctx, s.At)
		return nil
	}

	p := r.processOf(s)
	switch s.Event {
	case schema.ProcessStateStarting:
		r.starting(ctx, s, p)
	case schema.ProcessStateRunning:
		r.running(ctx, s, p)
	case schema.ProcessStateBackoff:
		p.backoff = r.backoff(ctx, s, p)
		return p.backoff
	case schema.ProcessStateExited:
		return r.exited(ctx, s, p)
	case schema.ProcessStateStopped:
		r.stopped(ctx, s, p)
	case schema.ProcessStateFatal:
		return r.fatal(ctx, s, p)
	}
	return nil
}

// From returns a time before which the last event that was taken cannot have been made.
func (r *Replay) From() time.Time { return r.from }

// processOf returns what is known of the process of an event.
func (r *Replay) processOf(s *Step) *proc {
	if group, ok := r.groups[s.Name.Process]; !ok {
		r.groups[s.Name.Process] = s.Name.Group
	} else if group != s.Name.Group {
		r.log.shared[s.Name.Process] = true
	}

	p := r.procs[s.Name]
	if p == nil {
		p = &proc{}
		r.procs[s.Name] = p
	}
	return p
}

// NoteBackoff takes the reason of a BACKOFF that was found elsewhere: it is that of the
// FATAL after it.
func (r *Replay) NoteBackoff(id schema.ProcessName, exit *schema.Exit) {
	if p := r.procs[id]; p != nil {
		p.backoff = exit
	}
}

// leaveStep ends the lock step.
func (r *Replay) leaveStep() {
	r.inStep = false
	for _, p := range r.procs {
		p.pid, p.spawnErr = 0, nil
	}
}

// stepTo begins the lock step, or continues it, after line n.
func (r *Replay) stepTo(n int) {
	r.inStep, r.pos = true, n+1
	if l := r.log.line(n); l.At.After(r.from) && !l.Suspect {
		r.from = l.At
	}
}

// beginBoot is SUPERVISOR_STATE_CHANGE_RUNNING, which follows the line of the start at once
// (supervisord.py run, runforever). Nothing has been spawned then.
func (r *Replay) beginBoot(ctx context.Context, at time.Time) {
	r.leaveStep()
	r.more(ctx)
	if n := r.log.Started(at.Add(ClockSlack)); n >= 0 {
		r.stepTo(n)
	}
}

// next takes the next line that belongs to an event. If it is not of the kind and the
// process, the step ends and next returns nil.
func (r *Replay) next(ctx context.Context, s *Step, kinds ...ownlog.Kind) *ownlog.Line {
	for {
		if r.pos >= r.log.End() && !r.more(ctx) {
			break
		}
		l := r.log.line(r.pos)
		if l == nil {
			break // dropped, or there was nothing of interest in what is new
		}
		if l.Kind == ownlog.Success {
			// Not every RUNNING has one (process.py finish).
			r.pos++
			continue
		}

		for _, k := range kinds {
			if l.Kind == k && (l.Name == s.Name.Process || k == ownlog.SpawnErr) {
				r.stepTo(r.pos)
				return l
			}
		}
		break
	}
	r.leaveStep()
	return nil
}

func (r *Replay) starting(ctx context.Context, s *Step, p *proc) {
	p.starting, p.pid, p.spawnErr = s.Serial, 0, nil
	if !r.inStep {
		return
	}
	switch l := r.next(ctx, s, ownlog.Spawned, ownlog.SpawnErr); {
	case l == nil:
	case l.Kind == ownlog.Spawned:
		p.pid = l.PID
	default:
		p.spawnErr = l.Exit()
	}
}

func (r *Replay) running(ctx context.Context, s *Step, p *proc) {
	if r.inStep && p.pid != 0 && int(p.pid) != s.PID {
		r.leaveStep()
	}
	if r.inStep {
		return
	}

	is := r.log.life(s.Name.Process, s.PID)
	if (is == nil || is.success < 0) && r.more(ctx) {
		is = r.log.life(s.Name.Process, s.PID)
	}
	if is != nil && r.log.line(is.success) != nil {
		r.stepTo(is.success)
		p.pid = is.id.pid
	}
}

func (r *Replay) backoff(ctx context.Context, s *Step, p *proc) *schema.Exit {
	r.more(ctx)
	if r.isDoubtful() {
		r.leaveStep()
		return r.unanimous(s, p)
	}

	maybeSpawnErr := p.maybeSpawnErr(s.Serial)
	if exit, ok := r.backoffInStep(ctx, s, p, maybeSpawnErr); ok {
		return exit
	}
	return r.agreed(ctx, s, maybeSpawnErr)
}

// backoffInStep returns the reason of a BACKOFF that comes next in step; nil if supervisord
// does not know it itself. ok is false, and the step has ended, if there is none.
func (r *Replay) backoffInStep(ctx context.Context, s *Step, p *proc, maybeSpawnErr bool) (exit *schema.Exit, ok bool) {
	if !r.inStep {
		return nil, false
	}
	if exit := p.spawnErr; exit != nil {
		p.spawnErr = nil
		if !maybeSpawnErr {
			r.leaveStep()
		}
		return exit, maybeSpawnErr
	}

	l := r.next(ctx, s, ownlog.Exited)
	if l == nil || l.Expected {
		r.leaveStep()
		return nil, false
	}
	p.pid = 0
	return l.Exit(), true
}

func (r *Replay) exited(ctx context.Context, s *Step, p *proc) *schema.Exit {
	r.more(ctx)
	if r.isDoubtful() {
		r.leaveStep()
		p.backoff = nil
		return r.unanimous(s, p)
	}

	inStep := r.exitInStep(ctx, s, p)
	p.pid, p.spawnErr, p.backoff = 0, nil, nil

	// The line with its pid goes before that of the step.
	if is, l := r.death(ctx, s, ownlog.Exited); l != nil && l.Expected == s.Expected {
		is.matched = true
		if inStep != nil && inStep != l {
			r.leaveStep()
		}
		if !r.inStep {
			r.stepTo(is.death)
		}
		return l.Exit()
	}
	if inStep != nil {
		return inStep.Exit()
	}

	if s.Death == nil {
		return nil
	}
	return r.agreed(ctx, s, false)
}

// exitInStep returns the line of an EXITED that comes next in step, nil if there is none.
func (r *Replay) exitInStep(ctx context.Context, s *Step, p *proc) *ownlog.Line {
	if !r.inStep {
		return nil
	}
	if p.pid != 0 && int(p.pid) != s.PID {
		r.leaveStep()
		return nil
	}
	l := r.next(ctx, s, ownlog.Exited)
	if l != nil && l.Expected != s.Expected {
		r.leaveStep()
		return nil
	}
	return l
}

func (r *Replay) stopped(ctx context.Context, s *Step, p *proc) {
	if r.isDoubtful() {
		r.leaveStep()
		if s.From == schema.StateStopping {
			r.unanimous(s, p)
		}
		return
	}

	p.pid, p.spawnErr = 0, nil
	// A process that is stopped while it waits to be started again has no line (process.py
	// kill).
	if s.From != schema.StateStopping || r.inStep && r.next(ctx, s, ownlog.Stopped) != nil {
		return
	}
	if is, l := r.death(ctx, s, ownlog.Stopped); l != nil {
		is.matched = true
		r.stepTo(is.death)
	}
}

func (r *Replay) fatal(ctx context.Context, s *Step, p *proc) *schema.Exit {
	if r.inStep {
		r.next(ctx, s, ownlog.GaveUp)
	}
	if p.backoff != nil || s.From != schema.StateStarting {
		return p.backoff
	}

	// Only the Go port gives up without a BACKOFF.
	if r.more(ctx); r.log.GoPort {
		return r.unanimous(s, p)
	}
	return nil
}

// isDoubtful reports whether neither the order of the lines nor the lives can be trusted.
func (r *Replay) isDoubtful() bool { return r.log.Suspect || r.log.GoPort }

// death returns the line in which the run with the event's pid ended.
func (r *Replay) death(ctx context.Context, s *Step, k ownlog.Kind) (*life, *ownlog.Line) {
	for {
		is := r.log.life(s.Name.Process, s.PID)
		if is != nil && is.death >= 0 && !is.matched {
			if l := r.log.line(is.death); l != nil && l.Kind == k {
				return is, l
			}
			return nil, nil
		}
		if !r.more(ctx) {
			return nil, nil
		}
	}
}

// agreed is the last resort: the event was made after r.from, and so was its line.
func (r *Replay) agreed(ctx context.Context, s *Step, maybeSpawnErr bool) *schema.Exit {
	if r.more(ctx); !r.log.Complete || r.from.IsZero() {
		return nil
	}
	return r.log.agreed(s.Name.Process, r.from.Add(-ClockSlack), maybeSpawnErr)
}
