package journal

import (
	"supernats/bridge/boot"
	"supernats/bridge/eventlistener"
	"supernats/bridge/ledger"
	"supernats/schema"
)

// continueFrom decides about the boot as far as that can be known without an event, and
// continues the account of the run before.
func (j *Journal) continueFrom(p *past) {
	j.before = p
	j.cfg.Life.Continue(p.bootPast())

	j.mu.Lock()
	open := append(p.account.TakeOpen(), j.account.TakeOpen()...)
	j.account = j.accountWith(open)
	j.mu.Unlock()

	if j.StoreLosses() != nil {
		j.noteLosses()
	}
}

// Settle decides about the boot for good, by the first event. An account of another life
// begins again, with the losses of the one before.
func (j *Journal) Settle(h *eventlistener.Header) {
	if j.cfg.Life.ListenedSince(h.Pool) {
		j.before.account.ForgetPlace()
	}
	changed := j.cfg.Life.Settle(boot.Place{Server: h.Server, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial})
	if !changed && !j.cfg.Life.Listened() {
		return
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	j.account = j.accountWith(j.account.TakeOpen())
}

// accountWith is the account after the run before, with losses that are open.
func (j *Journal) accountWith(open []*schema.Loss) ledger.Ledger {
	id := j.cfg.Life.ID()
	return j.before.account.Resume(id[:], j.cfg.Life.Together() && !j.cfg.Life.Listened(), open)
}

// catchUp takes in what another run has left in a spool that is opened late. own says
// that the spool is that of our section.
func (j *Journal) catchUp(p *past, own bool) {
	j.mu.Lock()
	defer j.mu.Unlock()

	id := j.cfg.Life.ID()
	j.account.CatchUp(p.account, id[:], own, j.cfg.Life.Together())
	if j.account.Open() > 0 {
		j.noteLosses()
	}
}
