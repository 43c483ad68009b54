package ledger

import (
	"bytes"
	"encoding/hex"

	"supernats/schema"
)

// Record is a record of the spool, as far as the account goes.
type Record struct {
	Number uint64 // in the spool: consecutive where no record is missing
	Boot   []byte // of the supervisord that it is of
	Header []byte // header line of its event, or of the last event before a message
	Event  *Event // what Header says; nil if it says nothing
	// Message says that it is a record of our own, Loss what it reports as lost; nil is
	// nothing.
	Message bool
	Loss    *schema.Loss
}

// History is the account that an earlier run has left in its spool: how far its events
// are accounted for, and which losses it had not reported yet. It is given the records
// of that run in their order.
type History struct {
	ledger  Ledger
	boot    []byte // of the ledger
	number  uint64 // of the record before; 0: none
	damaged bool   // there are records that cannot be read
}

// Unknown is the history of a run of which nothing can be read.
func Unknown() *History { return &History{damaged: true} }

// Boot is the life of supervisord that the last record is of; empty if there was none.
func (y *History) Boot() []byte { return y.boot }

// BootID is Boot in 16 hex digits.
func (y *History) BootID() string { return y.ledger.boot }

// Header is the header line of the last event that is accounted for.
func (y *History) Header() []byte { return y.ledger.header }

// Damaged reports whether there are records that cannot be read.
func (y *History) Damaged() bool { return y.damaged }

// Record takes the next record. It reports whether the record is of an event that is new
// to the account.
func (y *History) Record(r Record) (added bool) {
	if !bytes.Equal(r.Boot, y.boot) {
		*y = History{boot: bytes.Clone(r.Boot), ledger: Ledger{boot: hex.EncodeToString(r.Boot)}}
	}
	if y.number > 0 && r.Number != y.number+1 {
		y.Damage()
	}
	y.number = r.Number
	if string(r.Header) == Beginning {
		y.ledger.fromStart = true
	}

	// Messages repeat the place of the last event: only an event that is offered again
	// is accounted for as such.
	repeated := r.Message && bytes.Equal(r.Header, y.ledger.header)
	if r.Event != nil && !repeated {
		before := y.ledger.place
		added = y.ledger.Account(*r.Event, r.Header)
		if added && r.Message && before.known && before.pool == r.Event.Pool {
			// A place without a record of its event: that was shed.
			y.ledger.addMissing(r.Event.PoolSerial, r.Event.PoolSerial)
		}
	}
	if r.Loss != nil {
		y.closeReported(r.Loss)
	}
	return added
}

// closeReported takes away what a record of a loss has reported. What was shed looks
// like events that supervisord dropped.
func (y *History) closeReported(loss *schema.Loss) {
	switch {
	case loss.Cause == CauseNotListening, loss.Cause == CauseCorrupt:
		return
	case loss.Boot != y.ledger.boot, len(y.ledger.open) == 0:
		return
	}

	if open := y.ledger.open[0]; open.Count > loss.Count {
		open.Count -= loss.Count
	} else {
		y.ledger.open = nil
	}
	y.ledger.gaps = nil
}

// Damage says that there are records that cannot be read. The spool counts them, so the
// events among them must not be taken for a gap.
func (y *History) Damage() {
	y.ledger.place, y.ledger.fromStart, y.damaged = place{}, false, true
}

// Stand makes an event the last one that is accounted for, unless the records know of a
// later one.
func (y *History) Stand(boot, header []byte, e Event) {
	same := bytes.Equal(boot, y.boot)
	if same && bytes.Equal(header, y.ledger.header) {
		return
	}
	if p := y.ledger.place; same && p.known && p.pool == e.Pool && p.poolSerial >= e.PoolSerial {
		return // what was dropped after it is in the records
	}

	if !same {
		y.boot = bytes.Clone(boot)
		y.ledger = Ledger{boot: hex.EncodeToString(boot), open: y.ledger.open}
	}
	y.ledger.header = bytes.Clone(header)
	y.ledger.place = place{true, e.Pool, e.PoolSerial, e.Serial}
}

// LostInMemory counts events that were in the memory of the run when it ended.
func (y *History) LostInMemory(events uint64) {
	if events > 0 {
		y.ledger.openLoss(CauseFull, y.ledger.place.pool).Count += events
	}
}

// ForgetPlace drops how far the events are accounted for: somebody else has accepted
// events since.
func (y *History) ForgetPlace() {
	y.ledger.place, y.ledger.fromStart, y.ledger.header = place{}, false, nil
}

// TakeOpen returns the losses that the run had not reported, and leaves none.
func (y *History) TakeOpen() []*schema.Loss { return y.ledger.TakeOpen() }

// Resume returns the ledger of a run that follows, with the losses that are open in it.
// together says that the run was started with supervisord, before any event.
func (y *History) Resume(boot []byte, together bool, open []*schema.Loss) Ledger {
	l := Ledger{boot: hex.EncodeToString(boot), open: open, fromStart: y.servedFromStart(boot, together)}
	if bytes.Equal(y.boot, boot) {
		l.place, l.header = y.ledger.place, bytes.Clone(y.ledger.header)
	}
	if !l.place.known && l.fromStart {
		l.header = []byte(Beginning)
	}
	return l
}

// servedFromStart reports whether the pool of a boot is certain to have been ours from
// its start: then what is missing before the first event is lost. It is if an earlier run
// has found that, or if we were started with supervisord and nothing of that boot is known.
func (y *History) servedFromStart(boot []byte, together bool) bool {
	if bytes.Equal(y.boot, boot) && (y.ledger.fromStart || y.ledger.place.known) {
		return y.ledger.fromStart
	}
	return together && !y.damaged
}

// CatchUp takes in the history of a spool that is opened while events are accounted for
// already. own says that it is the spool of this section, together that this run was
// started with supervisord.
func (l *Ledger) CatchUp(y *History, boot []byte, own, together bool) {
	l.open = append(l.open, y.TakeOpen()...)
	if !own {
		return
	}

	p := y.ledger.place
	switch {
	case !bytes.Equal(y.boot, boot):
		// Nobody has listened to this life before, and we were there from its start.
		if l.first.known && l.first.poolSerial > l.first.firstSerial() && together && !y.damaged {
			l.addMissing(l.first.firstSerial(), l.first.poolSerial-1)
			l.first = place{}
		}

	case !p.known:
	case !l.place.known:
		l.place, l.header = p, bytes.Clone(y.ledger.header)

	case l.first.known && l.first.pool == p.pool && l.first.poolSerial > p.poolSerial+1:
		// Between that run and ours.
		l.addMissing(p.poolSerial+1, l.first.poolSerial-1)
		l.first = place{}
	}
}
