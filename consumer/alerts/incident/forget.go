package incident

import (
	"cmp"
	"slices"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/ending"
	"supernats/schema"
)

// ForgetHost closes the incidents about a host that is gone for good, except those whose
// record has seen the message. Those that hide others come first, so that nothing holds the
// end of one back.
func (b *Book) ForgetHost(host string, m clock.Meta) {
	var about []*Incident
	for _, inc := range b.Register.OnHost(host) {
		if !inc.known.Covers(m) {
			about = append(about, inc)
		}
	}
	slices.SortFunc(about, func(x, y *Incident) int {
		return cmp.Or(cmp.Compare(x.rule.Rank, y.rule.Rank), x.key.Compare(y.key))
	})

	for _, inc := range about {
		switch {
		case inc.Fires():
			ending.Set(&inc.rec, schema.EndedForgotten)
			inc.rec.State = ""
			b.close(inc, m.Stored)
		case inc.isClosed() && inc.held: // another one hid its end
			b.Notifier.reportEnd(inc, m.Stored)
		}
	}

	for _, inc := range about {
		switch {
		case inc.note.IsForgotten():
		case inc.isClosed() && !inc.held:
			inc.rec.EndedBy = schema.EndedForgotten // also of one that had closed: nothing continues it
			b.Journal.MarkChanged(inc, m.Stored)
			b.Clock.Set(&inc.timer, time.Time{})
			b.forgetOnceStored(inc)
		default:
			b.forget(inc)
		}
	}
}
