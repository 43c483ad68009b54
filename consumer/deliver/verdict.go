package deliver

import (
	"context"
	"errors"
	"time"

	"supernats/consumer/notify"
)

// maxCredit is how many notifications are set aside for one that was taken: few, since
// the receiver may have gone since.
const maxCredit = 8

// proof is what the receiver has taken since a batch, or the one of which it is a part,
// first failed. The zero value proves nothing.
type proof struct {
	// took says that something was taken, since the last one was set aside too.
	took bool
	// credit is how many more may be set aside of a batch that is being sent in parts,
	// since something was taken at credited: if there are more bad ones than good ones,
	// not each of them can have its own proof.
	credit   int
	credited time.Time
}

// renew notes that the receiver has taken something.
func (p *proof) renew() { p.took, p.credit, p.credited = true, maxCredit, time.Now() }

// spend notes that a notification was set aside.
func (p *proof) spend() {
	p.took = false
	p.credit--
}

// void notes that the receiver may be away, or that another batch begins.
func (p *proof) void() { p.took, p.credit = false, 0 }

// isFresh reports whether something was taken so lately that another proof is not
// needed.
func (p *proof) isFresh(within time.Duration) bool {
	return p.credit > 0 && time.Since(p.credited) < within
}

// sending is a batch that is being sent, over all its tries.
type sending struct {
	batch items
	last  uint64 // its last sequence
	begun time.Time
	// tries is how often it was sent, and not taken.
	tries int
	// proved says that the receiver has taken another notification since this batch
	// failed. asked says that it was asked after the last try, noOther that there was
	// nothing else to ask with.
	proved, asked, noOther bool
}

// isToAsk reports whether it is time to find out whether the receiver takes anything
// else than the notifications of the batch that are left.
func (s *sending) isToAsk(failure error, p *proof, t timing) bool {
	count := len(s.batch.waiting())
	switch {
	case s.proved:
		return false
	case notify.IsOutage(failure), p.took && count > 1:
		return false
	case notify.IsPermanent(failure), isTimeout(failure) && count > 1, p.took && s.tries > 1:
		return true
	}
	return s.tries >= t.patience || time.Since(s.begun) >= t.patienceFor
}

func isTimeout(failure error) bool { return errors.Is(failure, context.DeadlineExceeded) }

// verdict is what a try that failed says.
type verdict int

const (
	unclear   verdict = iota // wait, and try the same again
	allTaken                 // all of the batch was taken, if not at once
	outage                   // the receiver is away
	tooMany                  // it takes others: send the batch in halves
	confirm                  // it takes another one: try this one once more, at once
	isRefused                // it takes others and not this one
)

// judge says what the last failure means.
func (s *sending) judge(failure error, p *proof, t timing) verdict {
	isFresh := p.isFresh(t.trust)
	switch left := len(s.batch.waiting()); {
	case left == 0:
		return allTaken
	case notify.IsOutage(failure):
		return outage
	case left > 1 && (p.took || isFresh):
		return tooMany
	case left > 1:
		return unclear
	}

	switch {
	case s.proved && s.asked:
		return confirm // it may just have come back
	case s.proved, s.tries > 1 && isFresh, s.noOther && p.took && s.tries > t.patience:
		return isRefused
	}
	return unclear
}
