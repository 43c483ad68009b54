package incident

import (
	"supernats/consumer/alerts/journal"
	"supernats/schema"
)

// Records returns what is to be stored of every incident now, whether it has changed or
// not, for a bucket that has lost its records. Changed returns what it would have.
func (b *Book) Records() []journal.Change {
	all := make([]journal.Change, 0, len(b.Register.incidents))
	for _, inc := range b.Register.incidents {
		all = append(all, b.Journal.ChangeOf(inc))
	}
	return all
}

// Unsent returns the events that matched and are in no notification yet, by their
// sequences: for Restore, if the stream does not have them any more.
func (r *Register) Unsent() map[uint64]schema.AlertEvent {
	events := map[uint64]schema.AlertEvent{}
	for _, inc := range r.incidents {
		for _, ev := range inc.unsent.Events {
			if ev.Seq == 0 {
				continue
			}
			// One that is listed says whose it is only where that is not the incident's.
			if !inc.isAboutMany() {
				ev.Host = inc.rec.Host
				ev.Group = inc.rec.Group
				ev.Process = inc.rec.Process
			}
			events[ev.Seq] = ev
		}
	}
	return events
}

// Published notes under which sequence the stream of notifications has one: by that people
// can see which receivers have taken it, unless it is for the record only. It is to be called
// before Changed.
func (r *Register) Published(n *schema.Notification, seq uint64) {
	rule := r.set.Rule(n.Rule)
	if rule == nil || seq == 0 || n.Quiet {
		return
	}
	inc := r.Named(n.Incident, rule, n.Host, n.Group, n.Process)
	if inc == nil {
		return
	}

	if inc.rec.FirstSeq == 0 || inc.rec.Notifications+inc.rec.Answers == 1 {
		inc.rec.FirstSeq = seq
	}
	inc.rec.LastSeq = seq
}
