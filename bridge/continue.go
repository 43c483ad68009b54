package bridge

import (
	"supernats/bridge/boot"
	"supernats/bridge/eventlistener"
	"supernats/bridge/ledger"
	"supernats/schema"
)

// continueFrom decides about the boot as far as that can be known without an event, and
// continues the account of the run before.
func (j *journal) continueFrom(past *pastRun) {
	j.before = past
	j.life.Continue(past.identity())

	j.mu.Lock()
	open := append(past.account.TakeOpen(), j.account.TakeOpen()...)
	j.account = j.accountWith(open)
	j.mu.Unlock()

	if j.storeLosses() != nil {
		j.noteLosses()
	}
}

// settle decides about the boot for good, by the first event. An account of another life
// begins anew, with the losses of the one before.
func (j *journal) settle(h *eventlistener.Header) {
	if j.life.ListenedSince(h.Pool) {
		j.before.account.ForgetPlace()
	}
	changed := j.life.Settle(boot.Place{Server: h.Server, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial})
	if !changed && !j.life.Listened() {
		return
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	j.account = j.accountWith(j.account.TakeOpen())
}

// accountWith is the account after the run before, with losses that are open.
func (j *journal) accountWith(open []*schema.Loss) ledger.Ledger {
	id := j.life.ID()
	return j.before.account.Resume(id[:], j.life.Together() && !j.life.Listened(), open)
}

// catchUp takes in what another run has left in a spool that is opened late. own says
// that the spool is that of our section.
func (j *journal) catchUp(past *pastRun, own bool) {
	j.mu.Lock()
	defer j.mu.Unlock()

	id := j.life.ID()
	j.account.CatchUp(past.account, id[:], own, j.life.Together())
	if j.account.Open() > 0 {
		j.noteLosses()
	}
}
