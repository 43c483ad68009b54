package bridge

import (
	"bytes"
	"context"
	"encoding/hex"
	"sync/atomic"

	"supernats/bridge/boot"
	"supernats/bridge/eventlistener"
	"supernats/bridge/proctable"
	"supernats/bridge/record"
	"supernats/schema"
)

// bootValue is the boot of the supervisord that we listen to. It is read by every
// goroutine, and set by the one that listens: when the spool is open and, if the
// first event shows another life, once more before anything of it is stored.
type bootValue struct {
	p atomic.Pointer[[record.BootSize]byte]
}

func (v *bootValue) load() [record.BootSize]byte {
	if boot := v.p.Load(); boot != nil {
		return *boot
	}
	return [record.BootSize]byte{}
}

func (v *bootValue) store(boot [record.BootSize]byte) { v.p.Store(&boot) }

func (v *bootValue) String() string {
	boot := v.load()
	return hex.EncodeToString(boot[:])
}

// life is how the boot is found. evidence is set before the spool is opened, past
// and before when it is, verdict then and with the first event.
type life struct {
	// fixed says that the boot was given to us, and is right.
	fixed    bool
	evidence boot.Evidence
	past     boot.Past
	before   *history
	verdict  atomic.Pointer[boot.Verdict]
	settled  atomic.Bool // the verdict is that of the first event
}

// identify looks for evidence of our supervisord.
func (b *Bridge) identify(ctx context.Context) {
	if b.life.fixed {
		return
	}
	sys := boot.System{}
	if b.server != nil {
		sys.AskPID = b.server.PID
	}
	b.life.evidence = boot.Gather(ctx, sys)
	if boot.StartedTogether(sys, b.life.evidence) {
		b.cfg.StartedTogether = true
	}
}

// continueFrom decides about the boot as far as that can be known without an event,
// and goes on where the run before ended.
func (b *Bridge) continueFrom(y *history) {
	b.life.before = y
	if !b.life.fixed {
		b.life.past = y.past()
		b.recall()
		b.decide(nil)
	}
	b.goOn(y)
}

// recall adds to the past what was kept beside the spools.
func (b *Bridge) recall() {
	if !b.life.past.Known {
		// Our own spool is new, or locked: then another one may know our supervisord.
		if dir, err := b.cfg.findSpool(); err == nil {
			b.life.past = boot.Known(dir, b.pool(), b.life.evidence)
		}
		return
	}
	if dir := b.keepDir(); dir != "" {
		b.life.past.Evidence = boot.Load(dir, b.life.past.ID)
	}
}

// decide sets the boot.
func (b *Bridge) decide(first *boot.Place) {
	v := boot.Settle(b.life.past, b.life.evidence, first)
	b.life.verdict.Store(&v)
	b.boot.store(v.ID)
	b.reasons.SetBoot(b.boot.String())
}

// settle decides about the boot for good, by the first event. Nothing of this life
// has been stored before, but perhaps losses of the one before.
func (b *Bridge) settle(h *eventlistener.Header) {
	b.identity.Store(&identity{h.Server, h.Pool})
	if b.life.fixed {
		return
	}
	provisional := b.boot.load()
	b.forgetPlace(h.Pool)
	b.decide(&boot.Place{Server: h.Server, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial})
	if b.boot.load() != provisional || b.life.past.Listened {
		b.mu.Lock()
		b.losses = b.lossesAfter(b.life.before, b.losses.open)
		b.mu.Unlock()
	}

	v := b.life.verdict.Load()
	log := b.log.Info().Stringer("boot", &b.boot).Str("supervisord", b.life.evidence.By)
	if b.life.past.Known {
		log.Bool("same_as_before", v.Same).Str("why", v.Why)
	}
	log.Msg("supervisord is identified")
	b.life.settled.Store(true)
	b.keepIdentity()
}

// forgetPlace drops what our spool says of the run before if another one of ours has
// listened since, beside a predecessor that still had the spool: what that one had
// would be taken for lost.
func (b *Bridge) forgetPlace(pool string) {
	own := b.keepDir()
	if own == "" || !boot.ListenedSince(own, pool, b.life.past.ID) {
		return
	}
	b.life.past.Listened = true
	b.mu.Lock()
	y := b.life.before
	y.losses.place, y.losses.fromStart = place{}, false
	y.header = nil
	b.mu.Unlock()
}

// keepIdentity keeps what supervisord was identified by. Where that is not enough to
// find the boot again, and there is no spool to keep it in, that is a trouble.
func (b *Bridge) keepIdentity() {
	if b.life.fixed || !b.life.settled.Load() {
		return
	}
	v, dir := b.life.verdict.Load(), b.keepDir()
	if v.Random && dir == "" {
		b.troubles.Raise(troubleIdentity, "supervisord cannot be identified ("+b.life.evidence.By+"), and there is no spool to keep its boot in: after a restart of this bridge its events seem to be those of another supervisord",
			"give the bridge a directory that it may write to (--spool-dir), or mount /proc without hidepid= and subset=")
		return
	}
	b.troubles.Clear(troubleIdentity)
	if dir == "" {
		return
	}
	if err := boot.Save(dir, b.pool(), v.ID, b.life.evidence); err != nil {
		b.log.Warn().Err(err).Msg("what supervisord was identified by cannot be kept; the serials of its events have to do")
	}
}

const troubleIdentity = "identity"

// keepIn makes the directory of our spool the one where small things are kept, and
// returns the process table that the run before has kept there.
func (b *Bridge) keepIn(dir string) *proctable.Table {
	b.dir.Store(&dir)
	b.loaded.Do(func() { b.table.Load(dir) })
	b.keepIdentity() // of a spool that is opened late
	return b.table
}

// keepDir is where small things are kept from one run to the next, empty while there
// is no spool.
func (b *Bridge) keepDir() string {
	if dir := b.dir.Load(); dir != nil {
		return *dir
	}
	return ""
}

// past is what the spool tells of the run before.
func (y *history) past() boot.Past {
	past := boot.Past{Known: len(y.boot) == record.BootSize, Damaged: y.damaged}
	if !past.Known {
		return past
	}
	past.ID = boot.ID(y.boot)
	if h, err := eventlistener.ParseHeader(y.header); err == nil {
		past.Last = &boot.Place{Server: h.Server, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial}
	}
	return past
}

// lossesAfter is how losses are counted after a run that ended. It sets b.header too;
// b.mu is held.
func (b *Bridge) lossesAfter(y *history, open []*schema.Loss) losses {
	boot := b.boot.load()
	l := losses{
		boot: b.boot.String(), open: open,
		fromStart: y.fromStart(boot[:], b.cfg.StartedTogether && !b.life.past.Listened),
	}
	b.header = nil
	if bytes.Equal(y.boot, boot[:]) {
		l.place, b.header = y.losses.place, y.header
	}
	if !l.place.known && l.fromStart {
		b.header = []byte(beginning)
	}
	return l
}

// SupervisorPID returns supervisord's process id as this process sees it, 0 where it
// is hidden.
func (b *Bridge) SupervisorPID() int { return b.life.evidence.PID }

// identifiedBy says how supervisord was identified, for the settings of our records.
func (b *Bridge) identifiedBy() string {
	v := b.life.verdict.Load()
	if v == nil {
		return ""
	}
	if v.Random {
		return b.life.evidence.By + "; the boot is random, and kept in the spool"
	}
	return b.life.evidence.By
}
