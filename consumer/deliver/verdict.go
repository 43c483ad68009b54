package deliver

import (
	"context"
	"errors"
	"time"

	"supernats/consumer/notify"
)

// maxCredit is how many notifications are set aside after one was accepted. It is small,
// since the receiver may have failed since.
const maxCredit = 8

// proof is the evidence that the receiver accepts notifications, gathered since a batch, or
// the one of which it is a part, first failed. The zero value proves nothing.
type proof struct {
	// took reports whether something was accepted since the last one was set aside.
	took bool
	// credit is how many more notifications of a divided batch may be set aside, since
	// something was accepted at credited: if there are more bad ones than good ones, not
	// every one of them can have a proof of its own.
	credit   int
	credited time.Time
}

// renew is called when the receiver accepts something.
func (p *proof) renew() { p.took, p.credit, p.credited = true, maxCredit, time.Now() }

// spend is called when a notification is set aside.
func (p *proof) spend() {
	p.took = false
	p.credit--
}

// void is called when the receiver may be down, and when another batch begins.
func (p *proof) void() { p.took, p.credit = false, 0 }

// isFresh reports whether the last acceptance is recent enough to need no other proof.
func (p *proof) isFresh(within time.Duration) bool {
	return p.credit > 0 && time.Since(p.credited) < within
}

// sending is a batch that is being sent, over all its tries.
type sending struct {
	batch items
	last  uint64 // its last sequence
	begun time.Time
	// tries is how often it was sent.
	tries int
	// proved is set when the receiver accepted another notification after this batch
	// failed. asked is set when it was probed after the last try, noOther when there was
	// no other notification to probe with.
	proved, asked, noOther bool
}

// isToAsk reports whether it is time to probe whether the receiver accepts any other
// notification than those that are left of the batch.
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

// verdict is the conclusion from a failed try.
type verdict int

const (
	unclear   verdict = iota // wait, and try the same again
	allTaken                 // all of the batch was accepted, if not at once
	outage                   // the receiver is down: wait
	tooMany                  // it accepts others: send the batch in halves
	confirm                  // it accepts another one: try this one once more, at once
	isRefused                // it accepts others and not this one: set it aside
)

// judge draws the conclusion from the last failure.
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
		return confirm // it may just have recovered
	case s.proved, s.tries > 1 && isFresh, s.noOther && p.took && s.tries > t.patience:
		return isRefused
	}
	return unclear
}
