package supervisord

import (
	"context"
	"time"

	"supernats/schema"
)

// replay finds the line of each event.
//
// supervisord is one thread: it makes an event and writes its line in one go, so
// events in serial order and lines are the same sequence (process.py spawn,
// finish, give_up). Once it is known which line belongs to one event, the two
// can be followed in lock step: STARTING is "spawned" or "spawnerr", BACKOFF and
// EXITED are "exited", STOPPED is "stopped", FATAL is "gave up". The step ends
// at the first thing that does not fit, and when events or lines were lost.
//
// It begins where a line can be told for certain: a pid is in the line "spawned"
// and in the events RUNNING, EXITED and STOPPED. The pid of an EXITED alone
// tells its line too, in step or not, if no other group has a process of that
// name; where both tell, they must agree.
//
// Out of step, a reason is given only if every death that may be meant had the
// same.
type replay struct {
	log *history
	// more reads what is new of the log, once for any number of calls, and
	// reports whether there was any.
	more func(context.Context) bool
	// fresh means that the log was read to its end after the events came: what
	// is not in it is not there.
	fresh bool

	inStep bool
	pos    int // the number of the first line that no event before has

	// from is a time before which the current event cannot have been made.
	from  time.Time
	procs map[procID]*proc
	// groups holds the group of each name that was seen.
	groups map[string]string
}

type procID struct{ group, process string }

// proc is what the last events of a process told.
type proc struct {
	starting uint64 // serial of the last STARTING, 0 for none
	// Of the current start, in step only.
	pid      int32
	spawnErr *schema.Exit
	// backoff is the reason of the last BACKOFF, where known.
	backoff *schema.Exit
}

// step is what the replay needs of an event.
type step struct {
	event string // its name
	procID
	pid      int
	serial   uint64
	expected bool
	from     string
	// at is when the bridge read the event, tick that of the last TICK before.
	at, tick time.Time
	// lost means that there were events before that never came.
	lost bool
	// death is the event itself if its reason is wanted.
	death *schema.Event
}

// clockSlack is how much later than its line an event may seem to be made: a
// TICK is in whole seconds, and the times of lines are cut to milliseconds.
const clockSlack = 2 * time.Second

func newReplay(log *history, more func(context.Context) bool) *replay {
	return &replay{log: log, more: more, procs: map[procID]*proc{}, groups: map[string]string{}}
}

// take follows one event. It returns the reason of a death, nil if it is not
// known, and what may be a reason of any other event.
func (r *replay) take(ctx context.Context, s *step) *schema.Exit {
	if s.lost {
		r.lose()
		for _, p := range r.procs {
			p.starting, p.backoff = 0, nil
		}
	}
	if s.tick.After(r.from) {
		r.from = s.tick
	}
	if s.event == schema.SupervisorStateChangeRunning {
		r.begin(ctx, s.at)
		return nil
	}
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
		if r.inStep {
			r.next(ctx, s, lineGaveUp)
		}
		return p.backoff
	}
	return nil
}

// lose ends the lock step.
func (r *replay) lose() {
	r.inStep = false
	for _, p := range r.procs {
		p.pid, p.spawnErr = 0, nil
	}
}

// meet begins the lock step, or goes on with it, behind line n.
func (r *replay) meet(n int) {
	r.inStep, r.pos = true, n+1
	if at := r.log.line(n).at; at.After(r.from) {
		r.from = at
	}
}

// begin is SUPERVISOR_STATE_CHANGE_RUNNING, which follows the line of the start
// at once (supervisord.py run, runforever). Nothing has been spawned then.
func (r *replay) begin(ctx context.Context, at time.Time) {
	r.lose()
	r.more(ctx)
	n := r.log.started(at.Add(clockSlack))
	if n < 0 {
		return
	}
	r.meet(n)
}

// next takes the next line that belongs to an event. If it is not of the kind
// and the process, the step is lost and next returns nil.
func (r *replay) next(ctx context.Context, s *step, kinds ...kind) *line {
	for {
		if r.pos >= r.log.end() && !r.more(ctx) {
			break
		}
		l := r.log.line(r.pos)
		if l == nil {
			break // forgotten, or there was nothing of interest in what is new
		}
		if l.kind == lineSuccess {
			// Not every RUNNING has one (process.py finish).
			r.pos++
			continue
		}
		for _, k := range kinds {
			if l.kind == k && (l.name == s.process || k == lineSpawnErr) {
				r.meet(r.pos)
				return l
			}
		}
		break
	}
	r.lose()
	return nil
}

func (r *replay) starting(ctx context.Context, s *step, p *proc) {
	p.starting, p.pid, p.spawnErr = s.serial, 0, nil
	if !r.inStep {
		return
	}
	switch l := r.next(ctx, s, lineSpawned, lineSpawnErr); {
	case l == nil:
	case l.kind == lineSpawned:
		p.pid = l.pid
	default:
		p.spawnErr = l.exit()
	}
}

func (r *replay) running(ctx context.Context, s *step, p *proc) {
	if r.inStep && p.pid != 0 && int(p.pid) != s.pid {
		r.lose()
	}
	if r.inStep {
		return
	}
	is := r.log.life(s.process, s.pid)
	if (is == nil || is.success < 0) && r.more(ctx) {
		is = r.log.life(s.process, s.pid)
	}
	if is != nil && r.log.line(is.success) != nil {
		r.meet(is.success)
		p.pid = is.id.pid
	}
}

func (r *replay) backoff(ctx context.Context, s *step, p *proc) *schema.Exit {
	// A spawn error makes BACKOFF at once (process.py spawn).
	maybeSpawnErr := p.starting == 0 || p.starting+1 == s.serial
	if r.inStep {
		if p.spawnErr != nil {
			exit := p.spawnErr
			p.spawnErr = nil
			if maybeSpawnErr {
				return exit
			}
			r.lose()
		} else if l := r.next(ctx, s, lineExited); l != nil && !l.expected {
			p.pid = 0
			return l.exit()
		} else {
			r.lose()
		}
	}
	return r.agreed(ctx, s, maybeSpawnErr)
}

func (r *replay) exited(ctx context.Context, s *step, p *proc) *schema.Exit {
	var inStep *line
	if r.inStep {
		if p.pid != 0 && int(p.pid) != s.pid {
			r.lose()
		} else if inStep = r.next(ctx, s, lineExited); inStep != nil && inStep.expected != s.expected {
			inStep = nil
			r.lose()
		}
	}
	p.pid, p.spawnErr, p.backoff = 0, nil, nil
	if is, l := r.death(ctx, s, lineExited); l != nil && l.expected == s.expected {
		is.told = true
		if inStep != nil && inStep != l {
			r.lose()
		}
		if !r.inStep {
			r.meet(is.death)
		}
		return l.exit()
	}
	if inStep != nil {
		return inStep.exit()
	}
	if s.death == nil {
		return nil
	}
	return r.agreed(ctx, s, false)
}

func (r *replay) stopped(ctx context.Context, s *step, p *proc) {
	p.pid, p.spawnErr = 0, nil
	// A process that is stopped while it waits to be started again has no line
	// (process.py kill).
	if s.from != "STOPPING" || r.inStep && r.next(ctx, s, lineStopped) != nil {
		return
	}
	if is, l := r.death(ctx, s, lineStopped); l != nil {
		is.told = true
		r.meet(is.death)
	}
}

// death returns the line in which the run with the event's pid ended.
func (r *replay) death(ctx context.Context, s *step, k kind) (*life, *line) {
	for {
		is := r.log.life(s.process, s.pid)
		if is != nil && is.death >= 0 && !is.told {
			if l := r.log.line(is.death); l != nil && l.kind == k {
				return is, l
			}
			return nil, nil
		}
		if !r.more(ctx) {
			return nil, nil
		}
	}
}

// agreed is the last resort: the event was made after r.from, and so was its
// line.
func (r *replay) agreed(ctx context.Context, s *step, maybeSpawnErr bool) *schema.Exit {
	if r.more(ctx); !r.fresh || r.from.IsZero() {
		return nil
	}
	return r.log.agreed(s.process, r.from.Add(-clockSlack), maybeSpawnErr)
}
