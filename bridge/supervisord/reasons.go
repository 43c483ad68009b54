package supervisord

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"supernats/schema"
)

// Limits of Reasons.
const (
	// DefaultLimit is how long Explain waits for supervisord, in all.
	DefaultLimit = 300 * time.Millisecond
	// maxSteps is how many events wait to be followed when nothing has died.
	maxSteps = 1 << 14
	// maxMemory is of how many deaths the reasons are kept, for events that come
	// a second time.
	maxMemory = 1 << 14
	// After an error supervisord is left alone, twice as long each time.
	minPause = 300 * time.Millisecond
	maxPause = time.Minute
)

// Received is an event, and when the bridge read it.
type Received struct {
	Event *schema.Event
	At    time.Time
}

// ReasonsConfig is what Reasons needs.
type ReasonsConfig struct {
	// Client is nil where there is no XML-RPC: Explain then does nothing.
	Client *Client
	// Boot is that of this supervisord. Events of another one are not
	// explained: they died in a log that is no longer there, or with pids that
	// mean something else by now.
	Boot string
	// Tail is how many bytes of a process's stdout and stderr go into an
	// event; 0 turns it off.
	Tail int
	// Limit is how long Explain waits for supervisord in all; DefaultLimit if
	// it is 0.
	Limit time.Duration
	// Warn, if not nil, is told once when supervisord or its log begins not to
	// be readable, and again after it was.
	Warn func(error)
}

// Reasons finds out why processes died: it follows the events and supervisord's
// own log side by side, see replay. One Reasons belongs to one listener and one
// boot. Its methods may be called from several goroutines; they wait for each
// other.
//
// Memory: at most 32,768 lines, 16,384 events and 16,384 reasons, some 8 MB in
// the worst case, and the answers of one batch.
type Reasons struct {
	cfg  ReasonsConfig
	boot atomic.Pointer[string]

	mu      sync.Mutex
	journal journal
	log     *history
	replay  *replay
	// steps are the events that were not followed yet: it is done when
	// something has died, so that supervisord is left in peace otherwise.
	steps []step

	seen       bool // any event at all
	serial     uint64
	pool       string
	poolSerial uint64
	lost       bool
	tick       time.Time

	memory  map[uint64]*schema.Exit
	serials []uint64 // the keys of memory, oldest first

	// read is whether the call that holds mu has read the log, made when at the
	// earliest its deaths without a reason can have been, by serial.
	read bool
	made map[uint64]time.Time

	oldest  time.Time // of the events that wait
	named   bool      // whether the names that groups share are known
	calls   trouble   // of all of XML-RPC
	reading trouble   // of the log
}

// NewReasons starts without knowledge: the first event is the first that it
// knows of.
func NewReasons(cfg ReasonsConfig) *Reasons {
	if cfg.Limit == 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Warn == nil {
		cfg.Warn = func(error) {}
	}
	r := &Reasons{cfg: cfg, journal: journal{client: cfg.Client}, log: newHistory(), memory: map[uint64]*schema.Exit{}, made: map[uint64]time.Time{}}
	r.replay = newReplay(r.log, r.more)
	r.SetBoot(cfg.Boot)
	return r
}

// SetBoot changes ReasonsConfig.Boot, before any event of it is explained.
func (r *Reasons) SetBoot(boot string) { r.boot.Store(&boot) }

// Explain fills Exit and Log of the deaths in a batch, where they can be found
// out: of PROCESS_STATE_EXITED with expected false, PROCESS_STATE_BACKOFF and
// PROCESS_STATE_FATAL. Log is that of EXITED and FATAL, and only of the last
// one of a process in the batch: what it wrote has nothing to do with the death
// before. What is set already stays.
//
// It has to be given every event of the listener, of any name, in order: by the
// others it knows which line of the log belongs to which, and whether any were
// lost. An event that it has seen before gets the same reason again.
//
// It calls supervisord only if something in the batch died: once in most cases
// for the log and once for the tails, whatever the size of the batch, and never
// waits longer than the limit.
func (r *Reasons) Explain(ctx context.Context, batch []Received) {
	if r.cfg.Client == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := r.enter(ctx)
	defer cancel()
	var deaths []Received
	for _, e := range batch {
		if e.Event.Boot != *r.boot.Load() {
			continue
		}
		if r.note(e); isDeath(e.Event) {
			deaths = append(deaths, e)
		}
	}
	if len(deaths) == 0 {
		return
	}
	r.follow(ctx)
	r.complete(ctx, deaths)
}

// Follow reads what supervisord has logged since. Without it a rotation of the
// log, long after anything has died, may take away lines that the next death
// needs. It is one small call; with every snapshot is often enough.
func (r *Reasons) Follow(ctx context.Context) {
	if r.cfg.Client == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := r.enter(ctx)
	defer cancel()
	r.more(ctx)
	r.follow(ctx)
}

func (r *Reasons) enter(ctx context.Context) (context.Context, context.CancelFunc) {
	r.read, r.replay.fresh = false, false
	clear(r.made)
	return context.WithTimeout(ctx, r.cfg.Limit)
}

func isDeath(e *schema.Event) bool {
	return e.UnexpectedExit() || e.Event == schema.ProcessStateBackoff || e.Event == schema.ProcessStateFatal
}

// note puts an event among those to be followed, or gives it the reason that it
// had before.
func (r *Reasons) note(received Received) {
	e := received.Event
	// Events that the listener's section does not name, and that another
	// listener rejected, come late and count too (process.py handle_rejected).
	next := r.seen && e.Pool == r.pool && e.PoolSerial == r.poolSerial+1
	if r.seen && e.Serial <= r.serial {
		if next {
			r.poolSerial++
		}
		if exit := r.memory[e.Serial]; exit != nil && isDeath(e) {
			setExit(e, exit)
		}
		return
	}
	if !next {
		r.lost = true
	}
	r.seen, r.serial, r.pool, r.poolSerial = true, e.Serial, e.Pool, e.PoolSerial
	s := step{
		event: e.Event, procID: procID{e.Group, e.Process}, pid: e.PID, serial: e.Serial,
		expected: e.Expected != nil && *e.Expected, from: e.FromState,
		at: received.At, tick: r.tick, lost: r.lost,
	}
	switch {
	case schema.Is(e.Event, "TICK"):
		if e.When != nil {
			r.tick = time.Unix(*e.When, 0)
		}
		return
	case e.Event == schema.ProcessGroupAdded:
		r.named = false
		return
	case e.Event == schema.SupervisorStateChangeRunning:
	case schema.Is(e.Event, "PROCESS_STATE") && e.Process != "":
	default:
		return
	}
	if isDeath(e) {
		s.death = e
	}
	if len(r.steps) >= maxSteps {
		r.steps, s.lost = r.steps[:0], true
	}
	if len(r.steps) == 0 {
		r.oldest = received.At
	}
	r.lost = false
	r.steps = append(r.steps, s)
}

// follow goes through the events that wait.
func (r *Reasons) follow(ctx context.Context) {
	for i := range r.steps {
		s := &r.steps[i]
		exit := r.replay.take(ctx, s)
		switch {
		case s.death == nil:
		case exit != nil:
			r.explain(s.death, exit)
		default:
			r.made[s.serial] = r.replay.from
		}
	}
	clear(r.steps)
	r.steps = r.steps[:0]
}

// explain gives an event its reason, and keeps it.
func (r *Reasons) explain(e *schema.Event, exit *schema.Exit) {
	setExit(e, exit)
	if len(r.serials) >= maxMemory {
		delete(r.memory, r.serials[0])
		r.serials = r.serials[1:]
	}
	r.memory[e.Serial] = exit
	r.serials = append(r.serials, e.Serial)
}

// setExit sets a copy: the event is the caller's.
func setExit(e *schema.Event, exit *schema.Exit) {
	if e.Exit != nil {
		return
	}
	own := *exit
	if exit.Code != nil {
		code := *exit.Code
		own.Code = &code
	}
	e.Exit = &own
}

// more reads what is new of supervisord's log, once per call of Explain or
// Follow, and reports whether there was any.
func (r *Reasons) more(ctx context.Context) bool {
	now := time.Now()
	if r.read || !r.calls.ready(now) || !r.reading.ready(now) {
		return false
	}
	r.read = true
	if len(r.steps) == 0 {
		r.oldest = now
	}
	if err := r.name(ctx); err != nil {
		r.warn(&r.calls, err)
		return false
	}
	end := r.log.end()
	first := !r.journal.placed && end == 0
	done, err := r.journal.read(ctx, r.oldest, r.feed)
	r.replay.fresh = done
	switch {
	case err == nil:
		r.calls.clear()
		r.reading.clear()
	case errors.Is(err, errNoLog), errors.Is(err, errUndecodable):
		r.calls.clear()
		r.warn(&r.reading, fmt.Errorf("%w: most deaths have no reason; see logfile= of [supervisord]", err))
	default:
		r.warn(&r.calls, err)
	}
	if first {
		// What is before the last start may be of another life of supervisord.
		if n := r.log.started(r.oldest.Add(clockSlack)); n >= 0 {
			r.log = historyFrom(r.log, n)
			r.replay.log = r.log
		}
	}
	return r.log.end() > end
}

// feed takes lines of the log.
func (r *Reasons) feed(lines string, gap bool) {
	// Times are local ones of supervisord: if its zone is east of ours they are
	// in the future. Zones differ by quarters of an hour.
	const zone = 15 * time.Minute
	var ahead time.Duration
	now := time.Now()
	if at, ok := firstTime(lines); ok {
		if d := at.Sub(now); d > clockSlack {
			ahead = (d + zone - 1).Truncate(zone)
		}
	}
	if gap {
		since, ok := firstTime(lines)
		if !ok {
			since = now
		}
		r.log.add(line{kind: lineGap, at: since.Add(-ahead)})
	}
	for s := range strings.Lines(lines) {
		l := parseLine(strings.TrimSuffix(s, "\n"))
		if l.kind == lineOther {
			continue
		}
		l.at = l.at.Add(-ahead)
		r.log.add(l)
	}
}

// name finds out which names several groups have: the log does not tell them
// apart.
func (r *Reasons) name(ctx context.Context) error {
	if r.named {
		return nil
	}
	answers, err := r.cfg.Client.ask(ctx, question{method: "supervisor.getAllProcessInfo"})
	if err != nil {
		return err
	}
	rows, _ := answers[0].value.([]any)
	groups := map[string]string{}
	for _, row := range rows {
		m, _ := row.(map[string]any)
		p := process(m)
		if group, ok := groups[p.Process]; ok && group != p.Group {
			r.log.shared[p.Process] = true
		}
		groups[p.Process] = p.Group
	}
	r.named = answers[0].err == nil
	return nil
}

func (r *Reasons) warn(t *trouble, err error) {
	var fault *Fault
	first := t.add(time.Now())
	if first && !(errors.As(err, &fault) && fault.Code == FaultShutdownState) {
		r.cfg.Warn(err)
	}
}

// trouble is a series of errors.
type trouble struct {
	pause time.Duration
	until time.Time
}

func (t *trouble) ready(now time.Time) bool { return !now.Before(t.until) }

func (t *trouble) clear() { *t = trouble{} }

// add reports whether the error is the first.
func (t *trouble) add(now time.Time) bool {
	first := t.pause == 0
	t.pause = min(max(2*t.pause, minPause), maxPause)
	t.until = now.Add(t.pause)
	return first
}
