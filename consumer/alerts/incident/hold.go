package incident

import (
	"slices"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/gate"
	"supernats/schema"
)

// recheckAfter is when an inhibited incident asks by itself whether it still is.
const recheckAfter = time.Hour

// holdBack keeps a notification back.
func (n *Notifier) holdBack(inc *Incident, v gate.Verdict, at time.Time) {
	news := len(inc.unsent.Events)
	if v.InhibitedBy != "" && inc.rec.InhibitedBy == "" {
		n.counts[inc.rule.Index].Inhibited++
	}
	switch {
	case v.MutedBy == "":
		inc.rec.Muted = 0
	case inc.rec.MutedBy == "":
		inc.rec.Muted = news
	}
	if news >= n.limits.mostKept(inc) { // of a silence: an inhibited incident is reported by now
		n.counts[inc.rule.Index].Muted += uint64(news)
		n.backlog.Drop(&inc.unsent, news)
	}
	inc.rec.MutedBy = v.MutedBy
	inc.rec.InhibitedBy = v.InhibitedBy

	if inc.due.IsZero() || inc.due.After(at) {
		inc.due = at
	}
	inc.held = true
	inc.retry = v.Until
	if v.Until.IsZero() { // until it is released; this is in case that it never is
		inc.retry = at.Add(recheckAfter)
	}
	n.enlist(inc)
	n.journal.MarkChanged(inc, at)
}

// enlist and unlist keep held.
func (n *Notifier) enlist(inc *Incident) {
	all := n.held[inc.key.Host]
	if all == nil {
		all = map[*Incident]struct{}{}
		n.held[inc.key.Host] = all
	}
	all[inc] = struct{}{}
}

func (n *Notifier) unlist(inc *Incident) {
	inc.held = false
	inc.retry = time.Time{}

	all := n.held[inc.key.Host]
	delete(all, inc)
	if len(all) == 0 {
		delete(n.held, inc.key.Host)
	}
}

// stopHolding notes that nothing holds an incident back any more.
func (n *Notifier) stopHolding(inc *Incident) {
	n.unlist(inc)
	inc.rec.InhibitedBy = ""
	if !inc.isClosed() {
		inc.rec.Muted = 0
		inc.rec.MutedBy = ""
	}
}

// Release looks again at what the restart or the silence of a host holds back: the timer
// of each is due at once.
func (n *Notifier) Release(host string, at time.Time) {
	for inc := range n.held[host] {
		if inc.rec.MutedBy == gate.ByRestart || inc.rec.InhibitedBy != "" {
			n.recheck(inc, at)
		}
	}
}

// recheck looks at a time whether something still holds an incident back. A record that
// was restored has seen what was before it.
func (n *Notifier) recheck(inc *Incident, at time.Time) {
	inc.retry = clock.Later(at, inc.known.At)
	n.journal.MarkChanged(inc, inc.retry)
	n.schedule(inc)
}

// SetSilences replaces the silences from a time on. What one of the old ones held back and
// none of the new ones does is reported.
func (n *Notifier) SetSilences(at time.Time, list []schema.Mute) {
	replaced := n.gate.SetSilences(list)
	at = clock.Later(schema.Instant(at), n.clock.Now())
	for _, all := range n.held {
		for inc := range all {
			if slices.Contains(replaced, inc.rec.MutedBy) && inc.retry.After(at) {
				n.recheck(inc, at)
			}
		}
	}
}
