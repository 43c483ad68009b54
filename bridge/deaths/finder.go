// Package deaths finds out, at the moment of a death, what only that moment knows: how a
// program of supervisord ended, whether memory ran out, for how long it had run and what
// it was like. It has supervisord report the death at once, too.
//
//	the kernel: deathwatch, oom ──► kernel ─┐
//	                 looks: look ──► lives ──┼─► Finder.Note ──► facts of the event
//	              earlier events ──► lives ──┘
//	                     a death ──► waker ────► supervisord wakes up
//
// Under pressure: nothing here is waited for by supervisord. Each of the remembered
// programs takes some 100 bytes, and there are maxGivenUp and maxLives of them at most;
// what comes beyond has fewer facts. As many processes are watched as there are
// descriptors, less reservedFiles; the rest is reported as a trouble.
package deaths

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/bridge/eventlistener"
	"supernats/bridge/look"
	"supernats/bridge/oom"
	"supernats/bridge/record"
	"supernats/schema"
)

// CauseWatch is the cause of the trouble that processes cannot be watched.
const CauseWatch = "watch"

// Troubles reports what is wrong, and that it is over. Either may be called again.
type Troubles interface {
	Raise(cause, text, fix string)
	Clear(cause string)
}

// Config is what a Finder needs.
type Config struct {
	Log      zerolog.Logger
	Troubles Troubles
	// Wake says that supervisord is woken when one of its programs has died.
	Wake bool
	// Touch connects to supervisord until it has noticed; nil if it has no XML-RPC for us.
	Touch func(ctx context.Context) error
}

// Finder finds out what is known of the deaths of supervisord's programs: from the
// kernel after Watch, from looks at running processes and from earlier events after
// Look. Without either it knows nothing, and costs nothing.
//
// Note and Tick belong to the goroutine that listens; the other methods may be called by
// any.
type Finder struct {
	cfg    Config
	kernel atomic.Pointer[kernel]       // nil where the kernel cannot be asked
	lives  atomic.Pointer[lives]        // nil in a section for output
	status atomic.Pointer[schema.Watch] // nil before Watch
}

// New returns a Finder that knows nothing yet.
func New(cfg Config) *Finder { return &Finder{cfg: cfg} }

// Watch begins to watch how supervisord's programs end, where that is possible;
// supervisord is its process id, 0 where it is hidden. run does it until its context
// ends; it is nil where there is nothing to watch.
func (f *Finder) Watch(supervisord int) (run func(context.Context)) {
	w := newWaker(f.cfg.Touch, f.cfg.Log)
	w.off.Store(!f.cfg.Wake)
	k, err := newKernel(supervisord, w)
	if err != nil {
		f.status.Store(&schema.Watch{Problem: err.Error()})
		f.cfg.Log.Info().Err(err).Msg("deaths are known from supervisord only, up to a second later")
		return nil
	}

	status := k.describeWatch(f.cfg.Wake)
	f.status.Store(status)
	log := f.cfg.Log.Info().Strs("exits", status.Exits).Str("wake", status.Wake).Int("limit", status.Limit)
	if status.Problem != "" {
		log.Str("problem", status.Problem)
	}
	log.Msg("supervisord's programs are watched")

	f.kernel.Store(k)
	return func(ctx context.Context) { k.run(ctx, f.reportUnwatched) }
}

// reportUnwatched reports processes that there is no descriptor for.
func (f *Finder) reportUnwatched(watched, refused int) {
	if refused == 0 {
		f.cfg.Troubles.Clear(CauseWatch)
		return
	}
	f.cfg.Troubles.Raise(CauseWatch,
		fmt.Sprintf("%d of %d processes are not watched, their deaths are reported up to a second later: "+
			"the limit of open files is too low", refused, watched+refused),
		fmt.Sprintf("raise the hard limit of open files of supervisord above %d "+
			"(LimitNOFILE= of its systemd unit, or ulimit -Hn), and restart it", watched+refused+2*reservedFiles))
}

// Supervisord is the process whose programs are looked at.
type Supervisord struct {
	PID int // 0 where it is hidden
	// Certain says that it is a supervisord for certain, and not a wrapper that has started
	// us.
	Certain bool
	// Current says that events are read when they happen: we were there from its start.
	Current bool
}

// Look prepares looks at processes, where that is possible, and remembers their starts
// from now on. Where it is not, the events of deaths do without, and that is logged once.
func (f *Finder) Look(s Supervisord) {
	l := newLives(nil, s.Current)
	defer f.lives.Store(l)
	if s.PID == 0 {
		f.cfg.Log.Info().Msg("processes cannot be looked at: supervisord is in another pid namespace, or hidden")
		return
	}

	parent := s.PID
	if !s.Certain {
		parent = 0 // what started us may be a wrapper
	}
	looks, err := look.New(look.Config{Parent: parent, Say: func(err error) {
		f.cfg.Log.Info().Err(err).Msg("not all processes are looked at while they run")
	}})
	if err != nil {
		f.cfg.Log.Info().Err(err).Msg("processes cannot be looked at")
		return
	}
	l.looks = looks
}

// RunLooks looks at processes until ctx ends. It returns at once if none can be looked
// at.
func (f *Finder) RunLooks(ctx context.Context) {
	l := f.lives.Load()
	if l == nil || l.looks == nil {
		return
	}
	_ = l.looks.Run(ctx)
	l.looks.Close()
}

// Note takes an event that is being accepted, which was read at a time. It returns what
// is known of the death that it reports; nil is nothing. It waits for nothing.
func (f *Finder) Note(h *eventlistener.Header, payload []byte, at time.Time) *record.Facts {
	var (
		facts *record.Facts
		seen  end
	)
	if k := f.kernel.Load(); k != nil {
		facts, seen = k.noteAccepted(h, payload)
	}
	return f.lives.Load().noteAccepted(h, payload, seen, facts)
}

// Tick takes a tick that is read so late.
func (f *Finder) Tick(event string, late time.Duration) { f.lives.Load().noteTick(event, late) }

// Know takes a process table of supervisord.
func (f *Finder) Know(processes []schema.SnapshotProcess) { f.lives.Load().knowTable(processes) }

// Status says what is watched, for the record of the bridge; nil where nothing is to be
// watched.
func (f *Finder) Status() *schema.Watch { return f.status.Load() }

// ReportsExits reports whether the kernel says how processes end.
func (f *Finder) ReportsExits() bool {
	status := f.status.Load()
	return status != nil && len(status.Exits) > 0
}

// Stats are counts for metrics.
type Stats struct {
	// Watched are processes whose death the kernel reports, Unwatched those that there is
	// no descriptor for.
	Watched, Unwatched int
	// LookedAt are processes that are looked at, NotLookedAt those that are too many.
	LookedAt, NotLookedAt int
	Wakeups               uint64 // of supervisord
	Memory                oom.Stats
}

// Stats returns the counts.
func (f *Finder) Stats() (s Stats) {
	if k := f.kernel.Load(); k != nil {
		s.Watched, s.Unwatched, _ = k.watch.Stats()
		s.Wakeups = k.waker.wakes.Load()
		s.Memory = k.memory.Stats()
	}
	if l := f.lives.Load(); l != nil && l.looks != nil {
		s.LookedAt, s.NotLookedAt = l.looks.Stats()
	}
	return s
}
