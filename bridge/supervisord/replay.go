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
//
// Where children may have written some of the lines (see feed) there is no step and
// no life that can be trusted, for both can be forged. But the true line is among
// them, if the log was read from before the death to after its event. So every line
// that may be the one has to say the same; which of them it is does then not matter.
// What may be the one gets fewer with each event: of two events of a kind the second
// one's line comes after the first that may be the first one's. And where there are
// just as many lines as events, none is forged, and they belong together in order.
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
	// floors are the numbers of the lines before which the next death of a class
	// cannot stand, and reads what was read when.
	floors map[class]int
	reads  []read
	// waiting is how many events of a class are known, from the current one on.
	waiting map[class]int
	// groups holds the group of each name that was seen.
	groups map[string]string
}

type procID struct{ group, process string }

// class is a kind of line of one name, as an event asks for it. That of spawn errors
// has no name.
type class struct {
	kind     kind
	name     string
	expected bool
}

// read is what was known of the log at a time.
type read struct {
	at  time.Time
	end int // the number of the next line
}

// maxReads limits how far back floors are known by time.
const maxReads = 256

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
	return &replay{log: log, more: more, procs: map[procID]*proc{}, groups: map[string]string{}, floors: map[class]int{}, waiting: map[class]int{}}
}

// expect takes all events that will be taken.
func (r *replay) expect(steps []step) {
	clear(r.waiting)
	for i := range steps {
		if of, ok := steps[i].class(); ok {
			r.waiting[of]++
		}
	}
}

// class returns which line an event has, if it is the end of a life.
func (s *step) class() (of class, ok bool) {
	switch s.event {
	case schema.ProcessStateBackoff:
		return class{lineExited, s.process, false}, true
	case schema.ProcessStateExited:
		return class{lineExited, s.process, s.expected}, true
	case schema.ProcessStateStopped:
		return class{lineStopped, s.process, false}, s.from == "STOPPING"
	}
	return class{}, false
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
		if p.backoff == nil && s.from == "STARTING" {
			// Only the Go port gives up without a BACKOFF.
			if r.more(ctx); r.log.goPort {
				return r.unanimous(s, p)
			}
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
	if l := r.log.line(n); l.at.After(r.from) && !l.suspect {
		r.from = l.at
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
	r.more(ctx)
	if r.log.suspect || r.log.goPort {
		r.lose()
		return r.unanimous(s, p)
	}
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
	r.more(ctx)
	if r.log.suspect || r.log.goPort {
		r.lose()
		p.backoff = nil
		return r.unanimous(s, p)
	}
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
	if r.log.suspect || r.log.goPort {
		r.lose()
		if s.from != "STOPPING" {
			return
		}
		r.unanimous(s, p)
		return
	}
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

// unanimous returns the reason that every line gives which may be that of an event,
// nil if they differ or the right one may not be among them.
func (r *replay) unanimous(s *step, p *proc) *schema.Exit {
	of, _ := s.class()
	waiting := r.waiting[of]
	r.waiting[of]--
	if r.log.goPort {
		of, waiting = class{lineExited, s.process, false}, 0 // a stop looks as any other exit
	}
	floor := max(r.floors[of], r.before())
	if !r.fresh || !r.whole(floor) {
		return nil
	}

	errs := class{kind: lineSpawnErr}
	exits := r.search(floor, func(l *line) bool {
		return l.name == s.process && (l.kind == of.kind && l.expected == of.expected || l.goPort && l.kind == lineSpawnErr)
	})
	spawnErrs := r.search(max(r.floors[errs], r.before()), func(l *line) bool { return l.kind == lineSpawnErr && !l.goPort })
	if exits.n > 0 {
		r.floors[of] = exits.first + 1
	}
	certain := exits.n > 0 && exits.n == waiting && spawnErrs.n == 0
	if certain || s.event != schema.ProcessStateBackoff || p.starting != 0 && p.starting+1 != s.serial {
		return exits.reason(r.log, certain)
	}

	// It may as well be a spawn error, which has no name.
	switch {
	case !r.log.spawns && !r.log.goPort:
		return nil // and is not logged, as it seems
	case spawnErrs.n == 0:
		return exits.reason(r.log, false)
	case exits.n > 0:
		return nil
	}
	r.floors[errs] = spawnErrs.first + 1
	return spawnErrs.reason(r.log, false)
}

// lines are the lines of a sort.
type lines struct {
	first int // the number of the first one
	n     int
	agree bool // they give the same reason
}

func (l lines) reason(h *history, certain bool) *schema.Exit {
	if l.n == 0 || !l.agree && !certain {
		return nil
	}
	return h.line(l.first).exit()
}

func (r *replay) search(floor int, is func(*line) bool) lines {
	found := lines{agree: true}
	for n := max(floor, r.log.first); n < r.log.end(); n++ {
		l := r.log.line(n)
		if !is(l) {
			continue
		}
		if found.n++; found.n == 1 {
			found.first = n
		}
		f := r.log.line(found.first)
		found.agree = found.agree && l.code == f.code && l.text == f.text && l.core == f.core && l.kind == f.kind
	}
	return found
}

// before returns the number of the line before which nothing can be of the current
// event: it had been read when the event was not made yet.
func (r *replay) before() int {
	floor := 0
	for _, read := range r.reads {
		if read.at.Before(r.from) {
			floor = max(floor, read.end)
		}
	}
	return floor
}

// whole reports whether the log was read without a gap from a line on, or from the
// start of supervisord, or from before the current event was made.
func (r *replay) whole(floor int) bool {
	h := r.log
	if h.goPort || h.early || floor > h.gap && floor >= h.first || h.gapRead.Before(r.from) && h.first <= h.gap {
		return true
	}
	for n := max(h.gap, h.first); n < h.end(); n++ {
		if l := h.line(n); l.kind == lineStarted && !l.suspect {
			return true
		}
	}
	return false
}

// noteRead remembers up to where the log was read by now.
func (r *replay) noteRead(now time.Time) {
	if len(r.reads) >= maxReads {
		r.reads = append(r.reads[:0], r.reads[maxReads/2:]...)
	}
	r.reads = append(r.reads, read{now, r.log.end()})
}
