package boot

import (
	"context"
	"encoding/hex"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// CauseIdentity is the cause of the trouble that a boot cannot be found again.
const CauseIdentity = "identity"

// Troubles reports what is wrong, and that it is over. Either may be called again.
type Troubles interface {
	Raise(cause, text, fix string)
	Clear(cause string)
}

// LifeConfig is what a Life needs.
type LifeConfig struct {
	Log      zerolog.Logger
	Troubles Troubles
	// FindSpool returns the directory where the spools of the host lie.
	FindSpool func() (string, error)
	// Changed is called with each decision about the boot; may be nil.
	Changed func(boot string)
	// Fixed is the boot of a supervisord that is known, and right; zero: it is looked for.
	Fixed ID
	// Together says that nobody has listened to this life of supervisord before. It is
	// looked for too.
	Together bool
}

// Life finds out which life of which supervisord a run of the bridge listens to, and
// keeps that beside the spool for the next run.
//
//	Identify ──► Continue ─────────────► Settle
//	evidence     with what the run       with the first event:
//	             before has left         the boot is final
//
// The goroutine that runs the bridge calls Identify and Continue, the one that listens
// calls Settle. ID, String, Pool and Names may be called by any at any time.
type Life struct {
	cfg      LifeConfig
	fixed    bool
	together bool     // set by Identify
	evidence Evidence // set by Identify
	past     Past     // set by Continue

	// id is set when the spool is open and, if the first event shows another life, once
	// more before anything of it is stored.
	id      atomic.Pointer[ID]
	verdict atomic.Pointer[Verdict]
	settled atomic.Bool // the verdict is that of the first event
	names   atomic.Pointer[Names]

	// dir is the directory of our spool, where small things are kept; nil until it is open.
	dir    atomic.Pointer[string]
	loaded sync.Once // what the run before has kept in it
}

// Names are what supervisord calls itself and our section.
type Names struct{ Server, Pool string }

// NewLife returns a life of which nothing is known yet.
func NewLife(cfg LifeConfig) *Life {
	l := &Life{cfg: cfg, together: cfg.Together}
	if cfg.Fixed != (ID{}) {
		l.fixed = true
		l.id.Store(&cfg.Fixed)
	}
	return l
}

// ID returns the boot, zero where it is not known yet.
func (l *Life) ID() ID {
	if id := l.id.Load(); id != nil {
		return *id
	}
	return ID{}
}

// String returns the boot in 16 hex digits.
func (l *Life) String() string {
	id := l.ID()
	return hex.EncodeToString(id[:])
}

// Names returns what supervisord calls itself and our section; false before the first
// event.
func (l *Life) Names() (names Names, known bool) {
	if names := l.names.Load(); names != nil {
		return *names, true
	}
	return Names{}, false
}

// Pool is the name of our section, empty where that is not known yet.
func (l *Life) Pool() string {
	if names, known := l.Names(); known {
		return names.Pool
	}
	return os.Getenv("SUPERVISOR_GROUP_NAME")
}

// Evidence is what is known of our supervisord, after Identify.
func (l *Life) Evidence() *Evidence { return &l.evidence }

// SupervisorPID returns supervisord's process id as this process sees it, 0 where it is
// hidden.
func (l *Life) SupervisorPID() int { return l.evidence.PID }

// Together reports whether nobody has listened to this life before: what is missing
// then is lost.
func (l *Life) Together() bool { return l.together }

// Identify looks for evidence of our supervisord. askPID asks it for its process id; nil
// if it has no XML-RPC for us.
func (l *Life) Identify(ctx context.Context, askPID func(context.Context) (int, error)) {
	if l.fixed {
		return
	}
	sys := System{AskPID: askPID}
	l.evidence = Gather(ctx, sys)
	if StartedTogether(sys, l.evidence) {
		l.together = true
	}
}

// Continue decides about the boot as far as that can be known without an event. past is
// what our spool says of the run before.
func (l *Life) Continue(past Past) {
	if l.fixed {
		return
	}
	l.past = past
	l.recallKept()
	l.decideBoot(nil)
}

// recallKept adds to the past what was kept beside the spools.
func (l *Life) recallKept() {
	if !l.past.Known {
		// Our own spool is new, or locked: then another one may know our supervisord.
		if dir, err := l.cfg.FindSpool(); err == nil {
			l.past = Known(dir, l.Pool(), l.evidence)
		}
		return
	}
	if dir := l.Dir(); dir != "" {
		l.past.Evidence = Load(dir, l.past.ID)
	}
}

// decideBoot sets the boot.
func (l *Life) decideBoot(first *Place) {
	v := Settle(l.past, l.evidence, first)
	l.verdict.Store(&v)
	l.id.Store(&v.ID)
	if l.cfg.Changed != nil {
		l.cfg.Changed(l.String())
	}
}

// ListenedSince reports whether another listener of ours has listened since the run
// before, beside a predecessor that still had the spool: what that one had would be taken
// for lost. Call it before Settle.
func (l *Life) ListenedSince(pool string) bool {
	own := l.Dir()
	if l.fixed || own == "" || !ListenedSince(own, pool, l.past.ID) {
		return false
	}
	l.past.Listened = true
	return true
}

// Listened reports whether a listener of our pool has listened to this life before, whose
// place is not known.
func (l *Life) Listened() bool { return l.past.Listened }

// Settle decides about the boot for good, by the first event. Nothing of this life has
// been stored before, but perhaps losses of the one before. It reports whether the boot is
// another one than Continue found.
func (l *Life) Settle(first Place) (changed bool) {
	l.names.Store(&Names{first.Server, first.Pool})
	if l.fixed {
		return false
	}

	provisional := l.ID()
	l.decideBoot(&first)

	v := l.verdict.Load()
	log := l.cfg.Log.Info().Stringer("boot", l).Str("supervisord", l.evidence.By)
	if l.past.Known {
		log.Bool("same_as_before", v.Same).Str("why", v.Why)
	}
	log.Msg("supervisord is identified")

	l.settled.Store(true)
	l.keepIdentity()
	return l.ID() != provisional
}

// keepIdentity keeps what supervisord was identified by. Where that is not enough to find the
// boot again, and there is no spool to keep it in, that is a trouble.
func (l *Life) keepIdentity() {
	if l.fixed || !l.settled.Load() {
		return
	}
	v, dir := l.verdict.Load(), l.Dir()
	if v.Random && dir == "" {
		l.cfg.Troubles.Raise(CauseIdentity,
			"supervisord cannot be identified ("+l.evidence.By+"), and there is no spool to keep its boot in: "+
				"after a restart of this bridge its events seem to be those of another supervisord",
			"give the bridge a directory that it may write to (--spool-dir), "+
				"or mount /proc without hidepid= and subset=")
		return
	}

	l.cfg.Troubles.Clear(CauseIdentity)
	if dir == "" {
		return
	}
	if err := Save(dir, l.Pool(), v.ID, l.evidence); err != nil {
		l.cfg.Log.Warn().Err(err).
			Msg("what supervisord was identified by cannot be kept; the serials of its events have to do")
	}
}

// KeepIn makes the directory of our spool the one where small things are kept. load is
// called with the first one, to read what the run before has kept there.
func (l *Life) KeepIn(dir string, load func(dir string)) {
	l.dir.Store(&dir)
	l.loaded.Do(func() { load(dir) })
	l.keepIdentity() // of a spool that is opened late
}

// Dir is the directory where small things are kept from one run to the next, empty while
// there is no spool.
func (l *Life) Dir() string {
	if dir := l.dir.Load(); dir != nil {
		return *dir
	}
	return ""
}

// IdentifiedBy says how supervisord was identified, for the settings of the bridge's
// records; empty where that is not known.
func (l *Life) IdentifiedBy() string {
	v := l.verdict.Load()
	if v == nil {
		return ""
	}
	if v.Random {
		return l.evidence.By + "; the boot is random, and kept in the spool"
	}
	return l.evidence.By
}
