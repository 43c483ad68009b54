package incident

import (
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/schema"
)

// The incident of a silent host has no members: the host itself keeps it open.
//
//	          silent for too long          heard         heard for Hold
//	(graced) ────────────────────▶ firing ───────▶ heard ───────────────▶ resolved
//	                                  ▲               │
//	                                  └───────────────┘ silent again
//
// One that has not come back before, or whose end has held, closes as soon as the host is
// heard.

// Silent takes a host that has sent nothing for too long. seen is when it was heard the
// last time; once says that somebody knows, so that it need not be repeated.
func (b *Book) Silent(inc *Incident, cause string, seen time.Time, once bool, at time.Time) {
	b.Counts[inc.rule.Index].Matched++
	inc.rec.Once = once
	inc.rec.Count++

	switch {
	case inc.Fires() && inc.IsHeard():
		inc.rec.HeardSince = nil
		inc.rec.Opened.Time = seen
		delete(inc.rec.Annotations, schema.AnnotationReason) // of the silence before
		b.Gate.Fires(inc.rule, inc.key.Host, 1)
	case inc.isClosed():
		b.reopen(inc)
		delete(inc.rec.Annotations, schema.AnnotationReason)
	default:
		b.open(inc, cause, seen, at)
	}

	b.Journal.MarkChanged(inc, at)
	b.Notifier.reportNews(inc, at)
	b.Notifier.schedule(inc)
}

// Heard takes a host that has sent something again, and reports whether its incident is
// over. One that was silent again and again must be heard for a while first, but hides
// nothing meanwhile.
func (b *Book) Heard(inc *Incident, at time.Time) (over bool) {
	b.Journal.MarkChanged(inc, at)
	if !inc.Fires() || inc.rec.Hold == 0 {
		b.close(inc, at)
		return true
	}

	inc.rec.HeardSince = &schema.Time{Time: at}
	b.Gate.Fires(inc.rule, inc.key.Host, -1)
	if inc.rule.Inhibits {
		b.Notifier.Release(inc.key.Host, at)
	}
	b.Notifier.schedule(inc)
	return false
}

// Grace gives a host until a time to come back, after nobody could reach the stream. The
// record remembers it.
func (b *Book) Grace(inc *Incident, cause string, seen, until time.Time, m clock.Meta) {
	inc.setID(cause, seen)
	inc.rec.Graced = &schema.Time{Time: until}
	b.Journal.MarkChanged(inc, m.Stored)
}

// IsHeard reports whether the host of an open incident has been heard again.
func (inc *Incident) IsHeard() bool { return inc.rec.HeardSince != nil }

// IsHeld reports whether something holds its next notification back.
func (inc *Incident) IsHeld() bool { return inc.held }
