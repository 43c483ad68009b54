package supervisord

import (
	"context"
	"errors"
	"fmt"
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
	// Kernel is how the kernel said that the process ended, nil where that is not known.
	// It goes before what supervisord's log says.
	Kernel *schema.Exit
}

// ReasonsConfig is what Reasons needs.
type ReasonsConfig struct {
	// Client is nil where there is no XML-RPC: what can be read from files is found out
	// all the same.
	Client *Client
	// Boot is that of this supervisord. Events of another one are not
	// explained: they died in a log that is no longer there, or with pids that
	// mean something else by now.
	Boot string
	// SupervisorPID returns supervisord's process id, 0 where it is not known: then
	// its log is read over XML-RPC.
	SupervisorPID func() int
	// Fresh reports, if not nil, whether supervisord has just been started: what its
	// programs' logs hold is of earlier lives.
	Fresh func() bool
	// Tail is how many bytes of a process's stdout and stderr go into an
	// event; 0 turns it off.
	Tail int
	// Limit is how long Explain waits for supervisord in all; DefaultLimit if
	// it is 0.
	Limit time.Duration
	// Warn, if not nil, is given the first error when XML-RPC begins not to answer, and
	// again after it did.
	Warn func(error)
	// Raise and Clear, if not nil, report troubles: reasons, log-rotated, log-tail. They
	// are called again and again with the same cause.
	Raise func(cause, text, fix string)
	Clear func(cause string)
	// Differs, if not nil, is called with an event of which the kernel and supervisord's
	// log say different things.
	Differs func(e *schema.Event, kernel, log *schema.Exit)
}

// Causes of troubles.
const (
	troubleReasons = "reasons"
	troubleRotated = "log-rotated"
	troubleTail    = "log-tail"
)

// Reasons finds out why processes died: it follows the events and supervisord's
// own log side by side, see replay. The log is read as a file where that is
// possible, else over XML-RPC. One Reasons belongs to one listener and one boot. Its
// methods may be called from several goroutines; they wait for each other, but for
// Note, which waits for nobody.
//
// Memory: at most 32,768 lines, 16,384 events and 16,384 reasons, some 8 MB in
// the worst case, the names, log paths and marks of 16,384 processes, some 10 MB,
// and the answers of one batch.
type Reasons struct {
	cfg  ReasonsConfig
	boot atomic.Pointer[string]

	// turn holds a value while somebody uses the fields below; held means that he has
	// done so for longer than another one would wait, missed that events were not seen
	// for that reason.
	turn         chan struct{}
	held, missed atomic.Bool

	place   location
	located time.Time // when place was found out last; zero: at the next look
	journal journal   // where place has no file
	feed    feed
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
	calls   trouble   // of all of XML-RPC
	reading trouble   // of the log over XML-RPC

	// status is what was found out of the log last; found is closed when it is there.
	status atomic.Pointer[schema.Reasons]
	found  chan struct{}

	logs logs // of the programs
}

// relocate is how often supervisord's log is looked for where it is not read as a
// file, and how often it is checked that nobody else writes into it.
const relocate = 10 * time.Second

// NewReasons starts without knowledge: the first event is the first that it
// knows of.
func NewReasons(cfg ReasonsConfig) *Reasons {
	if cfg.Limit == 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Warn == nil {
		cfg.Warn = func(error) {}
	}
	if cfg.Raise == nil {
		cfg.Raise = func(string, string, string) {}
	}
	if cfg.Clear == nil {
		cfg.Clear = func(string) {}
	}
	if cfg.Differs == nil {
		cfg.Differs = func(*schema.Event, *schema.Exit, *schema.Exit) {}
	}
	if cfg.Fresh == nil {
		cfg.Fresh = func() bool { return false }
	}
	if cfg.SupervisorPID == nil {
		cfg.SupervisorPID = func() int { return 0 }
	}
	r := &Reasons{cfg: cfg, journal: journal{client: cfg.Client}, log: newHistory(), memory: map[uint64]*schema.Exit{}, made: map[uint64]time.Time{}, found: make(chan struct{}), turn: make(chan struct{}, 1)}
	r.replay = newReplay(r.log, r.more)
	r.logs.init()
	r.SetBoot(cfg.Boot)
	return r
}

// SetBoot changes ReasonsConfig.Boot, before any event of it is explained.
func (r *Reasons) SetBoot(boot string) { r.boot.Store(&boot) }

// Status says where the reasons come from, and what is in the way of having all; nil if
// that is not known within a time. It waits for nothing else.
func (r *Reasons) Status(wait time.Duration) *schema.Reasons {
	select {
	case <-r.found:
	case <-time.After(wait):
	}
	return r.status.Load()
}

// Close lets go of the log.
func (r *Reasons) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Limit)
	defer cancel()
	if !r.take(ctx) {
		return
	}
	defer r.end()
	if r.place.file != nil {
		r.place.file.close()
		r.place.file, r.located = nil, time.Time{}
	}
}

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
// It looks for reasons only if something in the batch died. Files are read where that
// is possible. Otherwise it calls supervisord, once in most cases for the log and once
// for the tails, whatever the size of the batch, and never waits longer than the limit.
//
// A file system or a supervisord that does not answer costs the limit once; until it
// does there are no reasons, and no waiting.
func (r *Reasons) Explain(ctx context.Context, batch []Received) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Limit)
	defer cancel()
	if !r.begin(ctx) {
		r.missed.Store(true)
		return
	}
	if r.missed.Swap(false) {
		r.lost = true
	}

	// What is found out goes into copies: whoever is held up by a file may write into
	// them when the events are long gone.
	var deaths, found []Received
	for _, e := range batch {
		if e.Event.Boot != *r.boot.Load() {
			continue
		}
		if isDeath(e.Event) {
			own := *e.Event
			deaths, found = append(deaths, e), append(found, Received{&own, e.At, e.Kernel})
			e = found[len(found)-1]
		}
		r.note(e)
	}
	if len(deaths) == 0 {
		r.end()
		return
	}

	if !r.during(func() {
		r.follow(ctx)
		r.prefer(found)
		r.complete(ctx, found)
	}) {
		return
	}
	for i, e := range deaths {
		e.Event.Exit, e.Event.Log = found[i].Event.Exit, found[i].Event.Log
	}
}

// grace is how much longer than the limit files may take, which know no limits.
const grace = 200 * time.Millisecond

// Follow reads what supervisord has logged since. Without it a rotation of the
// log, long after anything has died, may take away lines that the next death
// needs. It costs little; with every snapshot is often enough.
func (r *Reasons) Follow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Limit)
	defer cancel()
	if !r.begin(ctx) {
		return
	}
	r.during(func() {
		r.more(ctx)
		r.follow(ctx)
	})
}

// during does something in the turn that was taken, ends it, and waits for it as long
// as anybody may.
func (r *Reasons) during(do func()) (done bool) {
	end := make(chan struct{})
	go func() {
		defer close(end)
		defer r.end()
		do()
	}()
	select {
	case <-end:
		return true
	case <-time.After(r.cfg.Limit + grace):
		r.held.Store(true)
		return false
	}
}

// begin waits for the turn, but not if somebody has been held up before, and clears
// what is of one call.
func (r *Reasons) begin(ctx context.Context) bool {
	if !r.take(ctx) {
		return false
	}
	r.read, r.replay.fresh = false, false
	clear(r.made)
	return true
}

// take waits for the turn: whoever has it may use what is below it.
func (r *Reasons) take(ctx context.Context) bool {
	select {
	case r.turn <- struct{}{}:
		r.held.Store(false)
		return true
	default:
	}
	if r.held.Load() {
		return false
	}
	select {
	case r.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		r.held.Store(true)
		return false
	}
}

// end ends the turn.
func (r *Reasons) end() { <-r.turn }

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
	// The Go port may swap neighbours.
	const neighbours = 4
	swapped := r.goPort() && r.memory[e.Serial] == nil && e.Serial+neighbours > r.serial && isDeath(e)
	if r.seen && e.Serial <= r.serial && !swapped {
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
	r.seen, r.pool = true, e.Pool
	r.serial, r.poolSerial = max(r.serial, e.Serial), e.PoolSerial
	if r.goPort() {
		r.lost = false // its serials have gaps and swaps of their own
	}
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
	case e.Event == schema.SupervisorStateChangeRunning:
		r.located = time.Time{} // a reload may have changed the configuration
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
	r.replay.expect(r.steps)
	for i := range r.steps {
		s := &r.steps[i]
		exit := r.replay.take(ctx, s)
		switch {
		case s.death == nil:
		case exit != nil:
			r.explain(s.death, fromLog(exit))
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

// locate finds out where supervisord's log is, if it is time to look.
func (r *Reasons) locate(ctx context.Context) {
	now := time.Now()
	if !r.located.IsZero() && now.Sub(r.located) < relocate {
		return
	}
	known := r.place.file
	if known != nil && !r.located.IsZero() {
		r.located = now
		return
	}

	r.located = now
	place := locate(ctx, r.cfg.SupervisorPID(), r.cfg.Client)
	if known != nil && place.file != nil && known.path == place.file.path {
		place.file.close() // the same one: it goes on where it was
		place.file = known
	} else if known != nil {
		known.close()
	}
	if place.file != known {
		r.feed = feed{}
	}
	r.feed.mixed = r.feed.mixed || place.mixed
	r.place = place
	// Without the lines of starts no life is known.
	r.log.suspect = r.log.suspect || place.level == "warn"
	r.logs.own(place, r.cfg.SupervisorPID(), r.cfg.Fresh())
	r.report(place.status(r.cfg.Client != nil))
	r.reportLogs()
}

// report raises or clears what is known to be wrong with supervisord's log.
func (r *Reasons) report(s schema.Reasons) {
	if r.status.Swap(&s) == nil {
		close(r.found)
	}
	switch {
	case s.Problem != "":
		r.cfg.Raise(troubleReasons, s.Problem, s.Fix)
	case s.Source == schema.ReasonsFile:
		r.cfg.Clear(troubleReasons)
	}
	if r.place.file == nil {
		return
	}
	if text, fix := r.place.file.trouble(); text != "" {
		r.cfg.Raise(troubleRotated, text, fix)
	} else {
		r.cfg.Clear(troubleRotated)
	}
}

// reportLogs does so for the logs of the programs.
func (r *Reasons) reportLogs() {
	if text, fix := r.logs.trouble(); text != "" && r.cfg.Tail > 0 {
		r.cfg.Raise(troubleTail, text, fix)
	} else {
		r.cfg.Clear(troubleTail)
	}
}

// more reads what is new of supervisord's log, once per call of Explain or
// Follow, and reports whether there was any.
func (r *Reasons) more(ctx context.Context) bool {
	now := time.Now()
	if r.read {
		return false
	}
	r.read = true
	r.locate(ctx)
	if len(r.steps) == 0 {
		r.oldest = now
	}
	end := r.log.end()
	first := end == 0 && (r.place.file != nil || !r.journal.placed)
	switch {
	case r.place.file != nil:
		r.readFile(ctx)
	case r.place.none || r.cfg.Client == nil || !r.calls.ready(now) || !r.reading.ready(now):
		return false
	default:
		r.readRPC(ctx)
	}
	r.replay.noteRead(time.Now())

	if first {
		// What is before the last start may be of another life of supervisord.
		if n := r.log.started(r.oldest.Add(clockSlack)); n >= 0 {
			r.log = historyFrom(r.log, n)
			r.replay.log = r.log
		}
	}
	return r.log.end() > end
}

func (r *Reasons) readFile(ctx context.Context) {
	file := r.place.file
	r.feed.ahead = file.zone()
	done, err := file.read(ctx, r.oldest, func(lines string, gap bool) {
		if gap {
			r.gap(lines)
		}
		r.feed.take(lines, r.log.add)
	})
	r.replay.fresh = done
	if err != nil {
		file.close()
		r.place.file, r.located = nil, time.Time{}
		r.place.problem = fmt.Sprintf("supervisord's log cannot be read (%v)", err)
		r.place.fix = "let the bridge's user read " + r.place.logfile
	}
	r.report(r.place.status(r.cfg.Client != nil))
}

func (r *Reasons) readRPC(ctx context.Context) {
	done, err := r.journal.read(ctx, r.oldest, func(lines string, gap bool) {
		r.feed.ahead = zoneAhead(lines, time.Now())
		if gap {
			r.gap(lines)
		}
		r.feed.take(lines, r.log.add)
	})
	r.replay.fresh = done
	switch {
	case err == nil:
		r.calls.clear()
		r.reading.clear()
		if r.replay.fresh && !r.log.heard {
			r.report(schema.Reasons{
				Source: schema.ReasonsNone, Fix: setLogfile,
				Problem: "supervisord's log says nothing of its programs (logfile=/dev/null, or loglevel=error?): most deaths have no reason",
			})
			break
		}
		r.cfg.Clear(troubleReasons)
	case errors.Is(err, errNoLog), errors.Is(err, errUndecodable):
		r.calls.clear()
		r.warn(&r.reading, fmt.Errorf("%w: most deaths have no reason; see logfile= of [supervisord]", err))
		r.report(schema.Reasons{Source: schema.ReasonsNone, Problem: err.Error() + ": most deaths have no reason", Fix: setLogfile})
	default:
		r.warn(&r.calls, err)
	}
}

// gap notes that lines may be missing before some.
func (r *Reasons) gap(lines string) {
	since, ok := firstTime(lines)
	if !ok {
		since = time.Now()
	}
	first := r.log.end() == 0
	r.log.add(line{kind: lineGap, at: since.Add(-r.feed.ahead)})
	r.log.early = first && r.cfg.Fresh()
}

// zoneAhead is by how much the times of lines that were just read are ahead of now:
// times are local ones of supervisord, and if its zone is east of ours they are in
// the future. Zones differ by quarters of an hour.
func zoneAhead(lines string, now time.Time) time.Duration {
	const zone = 15 * time.Minute
	at, ok := firstTime(lines)
	if d := at.Sub(now); ok && d > clockSlack {
		return (d + zone - 1).Truncate(zone)
	}
	return 0
}

// Know takes the process table of a snapshot: which names several groups have, for
// the log does not tell them apart, and where the programs log.
func (r *Reasons) Know(table []schema.SnapshotProcess) {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Limit)
	defer cancel()
	if !r.take(ctx) {
		return
	}
	r.during(func() { r.know(table) })
}

func (r *Reasons) know(table []schema.SnapshotProcess) {
	groups := make(map[string]string, len(table))
	for i := range table {
		p := &table[i]
		if group, ok := groups[p.Process]; ok && group != p.Group {
			r.log.shared[p.Process] = true
		}
		groups[p.Process] = p.Group
	}
	r.logs.know(table)
	r.reportLogs()
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
