package deathreason

import (
	"context"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/schema"
)

// replay finds the line of each event. Reasons.turn guards it.
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
type replay struct {
	log *history
	// more reads what is new of the log, once for any number of calls, and reports whether
	// there was any.
	more func(context.Context) bool

	inStep bool
	pos    int // the number of the first line that no event before has

	// from is a time before which the current event cannot have been made.
	from  time.Time
	procs map[procID]*proc
	// groups holds the group of each name that was seen.
	groups map[string]string
	// candidates are the lines that may be those of a death, where some may be forged.
	candidates candidates
}

type procID struct{ group, process string }

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

// step is what the replay needs of an event.
type step struct {
	event string // its name
	procID
	pid      int
	serial   uint64
	expected bool
	from     string // from_state
	// at is when the bridge read the event, tick that of the last TICK before.
	at, tick time.Time
	// lost means that there were events before that never came.
	lost bool
	// death is the event itself if its reason is wanted.
	death *schema.Event
}

// clockSlack is how much later than its line an event may seem to be made: a TICK is in
// whole seconds, and the times of lines are cut to milliseconds.
const clockSlack = 2 * time.Second

func newReplay(log *history, more func(context.Context) bool) *replay {
	return &replay{
		log: log, more: more, procs: map[procID]*proc{}, groups: map[string]string{},
		candidates: candidates{floors: map[class]int{}, waiting: map[class]int{}},
	}
}

// expect takes all events that will be taken.
func (r *replay) expect(steps []step) { r.candidates.expect(steps) }

// take follows one event. It returns the reason of a death, nil if it is not known, and
// what may be a reason of any other event.
func (r *replay) take(ctx context.Context, s *step) *schema.Exit {
	if s.lost {
		r.leaveStep()
		for _, p := range r.procs {
			p.starting, p.backoff = 0, nil
		}
	}
	if s.tick.After(r.from) {
		r.from = s.tick
	}
	if s.event == schema.SupervisorStateChangeRunning {
		r.beginBoot(ctx, s.at)
		return nil
	}

	p := r.processOf(s)
	switch s.event {
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

// processOf returns what is known of the process of an event.
func (r *replay) processOf(s *step) *proc {
	if group, ok := r.groups[s.process]; !ok {
		r.groups[s.process] = s.group
	} else if group != s.group {
		r.log.shared[s.process] = true
	}

	p := r.procs[s.procID]
	if p == nil {
		p = &proc{}
		r.procs[s.procID] = p
	}
	return p
}

// noteBackoff takes the reason of a BACKOFF that was found elsewhere: it is that of the
// FATAL after it.
func (r *replay) noteBackoff(id procID, exit *schema.Exit) {
	if p := r.procs[id]; p != nil {
		p.backoff = exit
	}
}

// leaveStep ends the lock step.
func (r *replay) leaveStep() {
	r.inStep = false
	for _, p := range r.procs {
		p.pid, p.spawnErr = 0, nil
	}
}

// stepTo begins the lock step, or continues it, after line n.
func (r *replay) stepTo(n int) {
	r.inStep, r.pos = true, n+1
	if l := r.log.line(n); l.At.After(r.from) && !l.Suspect {
		r.from = l.At
	}
}

// beginBoot is SUPERVISOR_STATE_CHANGE_RUNNING, which follows the line of the start at once
// (supervisord.py run, runforever). Nothing has been spawned then.
func (r *replay) beginBoot(ctx context.Context, at time.Time) {
	r.leaveStep()
	r.more(ctx)
	if n := r.log.started(at.Add(clockSlack)); n >= 0 {
		r.stepTo(n)
	}
}

// next takes the next line that belongs to an event. If it is not of the kind and the
// process, the step ends and next returns nil.
func (r *replay) next(ctx context.Context, s *step, kinds ...ownlog.Kind) *ownlog.Line {
	for {
		if r.pos >= r.log.end() && !r.more(ctx) {
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
			if l.Kind == k && (l.Name == s.process || k == ownlog.SpawnErr) {
				r.stepTo(r.pos)
				return l
			}
		}
		break
	}
	r.leaveStep()
	return nil
}

func (r *replay) starting(ctx context.Context, s *step, p *proc) {
	p.starting, p.pid, p.spawnErr = s.serial, 0, nil
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

func (r *replay) running(ctx context.Context, s *step, p *proc) {
	if r.inStep && p.pid != 0 && int(p.pid) != s.pid {
		r.leaveStep()
	}
	if r.inStep {
		return
	}

	is := r.log.life(s.process, s.pid)
	if (is == nil || is.success < 0) && r.more(ctx) {
		is = r.log.life(s.process, s.pid)
	}
	if is != nil && r.log.line(is.success) != nil {
		r.stepTo(is.success)
		p.pid = is.id.pid
	}
}

func (r *replay) backoff(ctx context.Context, s *step, p *proc) *schema.Exit {
	r.more(ctx)
	if r.isDoubtful() {
		r.leaveStep()
		return r.unanimous(s, p)
	}

	maybeSpawnErr := p.maybeSpawnErr(s.serial)
	if exit, ok := r.backoffInStep(ctx, s, p, maybeSpawnErr); ok {
		return exit
	}
	return r.agreed(ctx, s, maybeSpawnErr)
}

// backoffInStep returns the reason of a BACKOFF that comes next in step; nil if supervisord
// does not know it itself. ok is false, and the step has ended, if there is none.
func (r *replay) backoffInStep(ctx context.Context, s *step, p *proc, maybeSpawnErr bool) (exit *schema.Exit, ok bool) {
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

func (r *replay) exited(ctx context.Context, s *step, p *proc) *schema.Exit {
	r.more(ctx)
	if r.isDoubtful() {
		r.leaveStep()
		p.backoff = nil
		return r.unanimous(s, p)
	}

	inStep := r.exitInStep(ctx, s, p)
	p.pid, p.spawnErr, p.backoff = 0, nil, nil

	// The line with its pid goes before that of the step.
	if is, l := r.death(ctx, s, ownlog.Exited); l != nil && l.Expected == s.expected {
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

	if s.death == nil {
		return nil
	}
	return r.agreed(ctx, s, false)
}

// exitInStep returns the line of an EXITED that comes next in step, nil if there is none.
func (r *replay) exitInStep(ctx context.Context, s *step, p *proc) *ownlog.Line {
	if !r.inStep {
		return nil
	}
	if p.pid != 0 && int(p.pid) != s.pid {
		r.leaveStep()
		return nil
	}
	l := r.next(ctx, s, ownlog.Exited)
	if l != nil && l.Expected != s.expected {
		r.leaveStep()
		return nil
	}
	return l
}

func (r *replay) stopped(ctx context.Context, s *step, p *proc) {
	if r.isDoubtful() {
		r.leaveStep()
		if s.from == schema.StateStopping {
			r.unanimous(s, p)
		}
		return
	}

	p.pid, p.spawnErr = 0, nil
	// A process that is stopped while it waits to be started again has no line (process.py
	// kill).
	if s.from != schema.StateStopping || r.inStep && r.next(ctx, s, ownlog.Stopped) != nil {
		return
	}
	if is, l := r.death(ctx, s, ownlog.Stopped); l != nil {
		is.matched = true
		r.stepTo(is.death)
	}
}

func (r *replay) fatal(ctx context.Context, s *step, p *proc) *schema.Exit {
	if r.inStep {
		r.next(ctx, s, ownlog.GaveUp)
	}
	if p.backoff != nil || s.from != schema.StateStarting {
		return p.backoff
	}

	// Only the Go port gives up without a BACKOFF.
	if r.more(ctx); r.log.goPort {
		return r.unanimous(s, p)
	}
	return nil
}

// isDoubtful reports whether neither the order of the lines nor the lives can be trusted.
func (r *replay) isDoubtful() bool { return r.log.suspect || r.log.goPort }

// death returns the line in which the run with the event's pid ended.
func (r *replay) death(ctx context.Context, s *step, k ownlog.Kind) (*life, *ownlog.Line) {
	for {
		is := r.log.life(s.process, s.pid)
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
func (r *replay) agreed(ctx context.Context, s *step, maybeSpawnErr bool) *schema.Exit {
	if r.more(ctx); !r.log.complete || r.from.IsZero() {
		return nil
	}
	return r.log.agreed(s.process, r.from.Add(-clockSlack), maybeSpawnErr)
}
