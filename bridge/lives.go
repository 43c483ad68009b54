package bridge

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/look"
	"supernats/bridge/supervisord"
	"supernats/schema"
)

const (
	// quietFor is for how long supervisord has to send nothing to show that no events
	// wait in its buffer: it sends the next one as soon as it is answered.
	quietFor = 500 * time.Millisecond
	// leastRan is the shortest life that two events can tell: supervisord hands each of
	// them on up to a second late (supervisord.py runforever).
	leastRan = time.Second
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
//     namespace), to a second: only if the bridge was there and not behind.
//
// A death is when the kernel has reported it, or else when its event was read. All
// times are those since the machine was started: setting its clock moves none.
//
// All but run and know belongs to the goroutine that listens, and reads no file.
type lives struct {
	looks *look.Looker // nil where processes cannot be looked at

	// running is what events have said of processes that run, by name.
	running map[lifeKey]running
	// ended is how the last life of programs ended that may be given up: the event of
	// that has none of its own.
	ended map[lifeKey]lived

	now  func() time.Duration // look.Now; tests have their own
	read time.Duration        // when the last event was read
	// current says that events are read when they happen: after a restart of the bridge,
	// old ones may have waited for it.
	current bool
}

type lifeKey struct{ group, process string }

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
		looks: looks, current: current, now: look.Now, read: look.Now(),
		running: map[lifeKey]running{}, ended: map[lifeKey]lived{},
	}
}

// note takes an event that is being accepted, and adds to what is known of the death
// that it reports; nil is nothing.
func (l *lives) note(h *eventlistener.Header, payload []byte, f *facts) *facts {
	if l == nil {
		return f
	}
	state, ok := strings.CutPrefix(h.Event, "PROCESS_STATE_")
	if !ok {
		if h.Event == schema.Tick5 && l.looks != nil {
			l.looks.Tick()
		}
		if !l.current {
			l.follow(l.now()) // a system call: no vDSO for this clock in Go
		}
		return f
	}

	now := l.now()
	l.follow(now)
	key, pid := lifeOf(payload)
	var is lived
	switch state {
	case "STARTING":
		l.begin(key, now)
	case "RUNNING":
		l.up(key, pid)
	case "EXITED", "STOPPED", "BACKOFF", "UNKNOWN":
		var e end
		if f != nil {
			e = f.end
		}
		e.pid = max(e.pid, pid)
		is = l.over(key, e, now)
	case "FATAL":
		is = l.ended[key]
	}
	switch delete(l.ended, key); {
	case is == lived{}:
		return f
	case state == "BACKOFF" && len(l.ended) < maxLives:
		l.ended[key] = is
	}

	if f == nil {
		f = &facts{Serial: h.Serial}
	}
	f.Ran, f.Last = is.ran, is.last
	return f
}

// follow finds out whether events are read when they happen.
func (l *lives) follow(now time.Duration) {
	l.current = l.current || now-l.read >= quietFor
	l.read = now
}

func (l *lives) begin(key lifeKey, now time.Duration) {
	var r running
	if l.current {
		r.started = now
	}
	if len(l.running) < maxLives {
		l.running[key] = r
	}
	if l.looks != nil {
		l.looks.Soon()
	}
}

func (l *lives) up(key lifeKey, pid int) {
	if r, ok := l.running[key]; ok {
		r.pid = pid
		l.running[key] = r
	}
	if l.looks != nil {
		l.looks.Add(pid)
	}
}

// over ends a life.
func (l *lives) over(key lifeKey, e end, now time.Duration) (is lived) {
	r := l.running[key]
	delete(l.running, key)
	if e.pid == 0 {
		e.pid = r.pid
	}
	died, started := now, time.Duration(0)
	if !e.died.IsZero() {
		died = now - max(0, time.Since(e.died))
	}
	if !e.started.IsZero() {
		started = now - max(0, time.Since(e.started))
	}

	if l.looks != nil {
		seen, ok := l.looks.Take(look.Death{PID: e.pid, Started: started, Died: died})
		if ok && (seen.Started-started).Abs() > sameStart {
			started = seen.Started // the machine was suspended since, or nothing was known
		}
		is.last = lookOf(seen.Last)
		l.looks.Soon() // it may be started again
	}
	switch {
	case started != 0:
		is.ran = seconds(died - started)
	case r.started != 0 && died-r.started >= leastRan:
		is.ran = seconds(died - r.started)
	}
	return is
}

// know takes a process table: where the kernel does not list children, that is how those
// are found which were running before us.
func (l *lives) know(processes []schema.SnapshotProcess) {
	if l == nil || l.looks == nil {
		return
	}
	for _, p := range processes {
		l.looks.Add(p.PID)
	}
}

// seconds is a time in seconds, to the millisecond.
func seconds(d time.Duration) *float64 {
	s := math.Round(max(0, d).Seconds()*1000) / 1000
	return &s
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

// neverRan removes what events alone tell of the life of programs that could not be
// started: there was none.
func neverRan(deaths []supervisord.Received) {
	for _, d := range deaths {
		if e := d.Event; e.Exit != nil && e.Exit.SpawnErr != "" {
			e.Ran, e.Last = nil, nil
		}
	}
}

// lifeOf returns whose event it is and its process id, 0 without one.
func lifeOf(payload []byte) (key lifeKey, pid int) {
	line, _, _ := bytes.Cut(payload, []byte("\n"))
	for word := range bytes.SplitSeq(line, []byte(" ")) {
		name, value, _ := bytes.Cut(word, []byte(":"))
		switch string(name) {
		case "groupname":
			key.group = string(value)
		case "processname":
			key.process = string(value)
		case "pid":
			pid, _ = strconv.Atoi(string(value))
		}
	}
	return key, pid
}

// followLives prepares looks at processes, where that is possible; where it is not, the
// events of deaths do without, and that is said once.
func (b *Bridge) followLives() {
	if !b.sees(schema.ProcessStateExited) {
		return // a section for output
	}
	b.lives = newLives(nil, b.cfg.StartedTogether)
	evidence := &b.life.evidence
	if evidence.LocalPID() == 0 {
		b.log.Info().Msg("processes cannot be looked at: supervisord is in another pid namespace, or hidden")
		return
	}

	parent := evidence.LocalPID()
	if !evidence.Certain {
		parent = 0 // what started us may be a wrapper
	}
	looks, err := look.New(look.Config{Parent: parent, Say: func(err error) {
		b.log.Info().Err(err).Msg("not all processes are looked at while they run")
	}})
	if err != nil {
		b.log.Info().Err(err).Msg("processes cannot be looked at")
		return
	}
	b.lives.looks = looks
}

// run looks at processes until ctx ends.
func (l *lives) run(ctx context.Context) {
	if l == nil || l.looks == nil {
		return
	}
	_ = l.looks.Run(ctx)
	l.looks.Close()
}
