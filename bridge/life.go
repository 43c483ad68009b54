package bridge

import (
	"context"
	"encoding/hex"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"supernats/bridge/boot"
	"supernats/bridge/eventlistener"
	"supernats/bridge/ledger"
	"supernats/bridge/proctable"
	"supernats/bridge/record"
	"supernats/bridge/trouble"
	"supernats/schema"
)

// bootValue is the boot of the supervisord that we listen to. It is read by every
// goroutine, and set by the one that listens: when the spool is open and, if the
// first event shows another life, once more before anything of it is stored.
type bootValue struct {
	id atomic.Pointer[[record.BootSize]byte]
}

func (v *bootValue) load() [record.BootSize]byte {
	if boot := v.id.Load(); boot != nil {
		return *boot
	}
	return [record.BootSize]byte{}
}

func (v *bootValue) store(boot [record.BootSize]byte) { v.id.Store(&boot) }

func (v *bootValue) String() string {
	boot := v.load()
	return hex.EncodeToString(boot[:])
}

// names are what supervisord calls itself and our section. Both are known from the
// first event on.
type names struct{ server, pool string }

// life finds out which life of which supervisord this run listens to, and keeps that
// beside the spool for the next one.
//
//	identify ──► continueFrom ──────────► settle
//	evidence     with what the run       with the first event: the boot and the ledger
//	             before has left         are final
type life struct {
	log       zerolog.Logger
	troubles  *trouble.Board
	journal   *journal
	findSpool func() (string, error)
	// bootChanged is called with each decision about the boot.
	bootChanged func(boot string)

	boot bootValue
	// fixed says that the boot was given to us, and is right.
	fixed bool
	// together says that nobody has listened to this life of supervisord before: what is
	// missing then is lost. It is set before the spool is opened.
	together bool
	evidence boot.Evidence // set before the spool is opened
	past     boot.Past     // set when the spool is opened
	before   *pastRun      // the same
	verdict  atomic.Pointer[boot.Verdict]
	settled  atomic.Bool // the verdict is that of the first event
	names    atomic.Pointer[names]

	// dir is the directory of our spool, where small things are kept; nil until it is
	// open. table is loaded from there once.
	dir    atomic.Pointer[string]
	table  *proctable.Table
	loaded sync.Once
}

// identify looks for evidence of our supervisord. askPID asks it for its process id; nil
// if it has no XML-RPC for us.
func (l *life) identify(ctx context.Context, askPID func(context.Context) (int, error)) {
	if l.fixed {
		return
	}
	sys := boot.System{AskPID: askPID}
	l.evidence = boot.Gather(ctx, sys)
	if boot.StartedTogether(sys, l.evidence) {
		l.together = true
	}
}

// pool is the name of our section, empty where that is not known yet.
func (l *life) pool() string {
	if names := l.names.Load(); names != nil {
		return names.pool
	}
	return os.Getenv("SUPERVISOR_GROUP_NAME")
}

// continueFrom decides about the boot as far as that can be known without an event, and
// continues the account of the run before.
func (l *life) continueFrom(p *pastRun) {
	l.before = p
	if !l.fixed {
		l.past = p.identity()
		l.recall()
		l.decide(nil)
	}
	l.resumeAccount()
}

// recall adds to the past what was kept beside the spools.
func (l *life) recall() {
	if !l.past.Known {
		// Our own spool is new, or locked: then another one may know our supervisord.
		if dir, err := l.findSpool(); err == nil {
			l.past = boot.Known(dir, l.pool(), l.evidence)
		}
		return
	}
	if dir := l.keptIn(); dir != "" {
		l.past.Evidence = boot.Load(dir, l.past.ID)
	}
}

// decide sets the boot.
func (l *life) decide(first *boot.Place) {
	v := boot.Settle(l.past, l.evidence, first)
	l.verdict.Store(&v)
	l.boot.store(v.ID)
	l.bootChanged(l.boot.String())
}

// settle decides about the boot for good, by the first event. Nothing of this life
// has been stored before, but perhaps losses of the one before.
func (l *life) settle(h *eventlistener.Header) {
	l.names.Store(&names{h.Server, h.Pool})
	if l.fixed {
		return
	}

	provisional := l.boot.load()
	l.forgetPlace(h.Pool)
	l.decide(&boot.Place{Server: h.Server, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial})
	if l.boot.load() != provisional || l.past.Listened {
		l.journal.mu.Lock()
		l.journal.account = l.accountWith(l.journal.account.TakeOpen())
		l.journal.mu.Unlock()
	}

	v := l.verdict.Load()
	log := l.log.Info().Stringer("boot", &l.boot).Str("supervisord", l.evidence.By)
	if l.past.Known {
		log.Bool("same_as_before", v.Same).Str("why", v.Why)
	}
	log.Msg("supervisord is identified")
	l.settled.Store(true)
	l.keepIdentity()
}

// forgetPlace drops what our spool says of the run before if another one of ours has
// listened since, beside a predecessor that still had the spool: what that one had
// would be taken for lost.
func (l *life) forgetPlace(pool string) {
	own := l.keptIn()
	if own == "" || !boot.ListenedSince(own, pool, l.past.ID) {
		return
	}
	l.past.Listened = true
	l.before.account.ForgetPlace()
}

// resumeAccount continues the account where the run before ended, and reports the losses
// that it had not reported.
func (l *life) resumeAccount() {
	l.journal.mu.Lock()
	open := append(l.before.account.TakeOpen(), l.journal.account.TakeOpen()...)
	l.journal.account = l.accountWith(open)
	l.journal.mu.Unlock()

	if l.journal.storeLosses() != nil {
		l.journal.noteLosses()
	}
}

// accountWith is the account after the run before, with losses that are open.
func (l *life) accountWith(open []*schema.Loss) ledger.Ledger {
	boot := l.boot.load()
	return l.before.account.Resume(boot[:], l.together && !l.past.Listened, open)
}

// catchUp takes in what another run has left in a spool that is opened late. own says
// that the spool is that of our section.
func (l *life) catchUp(p *pastRun, own bool) {
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()

	boot := l.boot.load()
	l.journal.account.CatchUp(p.account, boot[:], own, l.together)
	if l.journal.account.Open() > 0 {
		l.journal.noteLosses()
	}
}

// keepIdentity keeps what supervisord was identified by. Where that is not enough to
// find the boot again, and there is no spool to keep it in, that is a trouble.
func (l *life) keepIdentity() {
	if l.fixed || !l.settled.Load() {
		return
	}
	v, dir := l.verdict.Load(), l.keptIn()
	if v.Random && dir == "" {
		l.troubles.Raise(troubleIdentity,
			"supervisord cannot be identified ("+l.evidence.By+"), and there is no spool to keep its boot in: "+
				"after a restart of this bridge its events seem to be those of another supervisord",
			"give the bridge a directory that it may write to (--spool-dir), or mount /proc without hidepid= and subset=")
		return
	}

	l.troubles.Clear(troubleIdentity)
	if dir == "" {
		return
	}
	if err := boot.Save(dir, l.pool(), v.ID, l.evidence); err != nil {
		l.log.Warn().Err(err).Msg("what supervisord was identified by cannot be kept; the serials of its events have to do")
	}
}

// keepIn makes the directory of our spool the one where small things are kept, and
// returns the process table that the run before has kept there.
func (l *life) keepIn(dir string) *proctable.Table {
	l.dir.Store(&dir)
	l.loaded.Do(func() { l.table.Load(dir) })
	l.keepIdentity() // of a spool that is opened late
	return l.table
}

// keptIn is the directory where small things are kept from one run to the next, empty
// while there is no spool.
func (l *life) keptIn() string {
	if dir := l.dir.Load(); dir != nil {
		return *dir
	}
	return ""
}

// identifiedBy says how supervisord was identified, for the settings of our records.
func (l *life) identifiedBy() string {
	v := l.verdict.Load()
	if v == nil {
		return ""
	}
	if v.Random {
		return l.evidence.By + "; the boot is random, and kept in the spool"
	}
	return l.evidence.By
}
