package lives

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"supernats/schema"
)

const (
	// maxTroubles, maxCause, maxName and maxText bound what a record says of troubles.
	maxTroubles = 32
	maxCause    = 40
	maxName     = 60
	maxText     = 300
	// troubleLasts is how long a trouble lasts without being reported again: a bridge does
	// so every hour.
	troubleLasts = 150 * time.Minute
	// startMargin is by how much a trouble must be older than the start of a bridge to be
	// one of the bridge before.
	startMargin = 2 * time.Second
)

// Troubles is what is wrong with a host, as its record lists it: what its bridges report,
// and what was found here, which has no Pool.
type Troubles struct{ rec *schema.HostRecord }

// isFoundHere reports whether a trouble is one that the consumer itself has found.
func isFoundHere(t *schema.HostTrouble) bool { return t.Pool == "" }

// add lists a trouble, or brings what is known of it up to date.
func (ts Troubles) add(t schema.HostTrouble) {
	rec := ts.rec
	for i := range rec.Troubles {
		old := &rec.Troubles[i]
		if old.Cause != t.Cause || old.Boot != t.Boot || old.Pool != t.Pool {
			continue
		}
		if t.Happened.Before(old.Happened.Time) {
			return
		}
		if old.Since.Before(t.Since.Time) {
			t.Since = old.Since
		}
		*old = t
		return
	}

	if len(rec.Troubles) >= maxTroubles {
		rec.MoreTroubles++
		// What bridges report, which may be anything, hides nothing that was found here.
		i := slices.IndexFunc(rec.Troubles, func(old schema.HostTrouble) bool { return !isFoundHere(&old) })
		if i < 0 || !isFoundHere(&t) {
			return
		}
		rec.Troubles = slices.Delete(rec.Troubles, i, i+1)
	}
	rec.Troubles = append(rec.Troubles, t)
}

// end drops those that are over.
func (ts Troubles) end(isOver func(*schema.HostTrouble) bool) {
	rec := ts.rec
	before := len(rec.Troubles)
	rec.Troubles = slices.DeleteFunc(rec.Troubles, func(t schema.HostTrouble) bool { return isOver(&t) })
	if len(rec.Troubles) < before {
		rec.MoreTroubles = 0 // those that last are reported again
	}
	if len(rec.Troubles) == 0 {
		rec.Troubles = nil
	}
}

// ownTrouble names a trouble of a boot that was found here.
type ownTrouble struct{ cause, boot string }

func (o ownTrouble) matches(t *schema.HostTrouble) bool {
	return isFoundHere(t) && t.Cause == o.cause && t.Boot == o.boot
}

// endOwn drops a trouble that was found here.
func (ts Troubles) endOwn(o ownTrouble) { ts.end(o.matches) }

// repeatOwn notes that a trouble that was found here lasts, and reports whether it is
// listed.
func (ts Troubles) repeatOwn(o ownTrouble, stored schema.Time) bool {
	i := slices.IndexFunc(ts.rec.Troubles, func(t schema.HostTrouble) bool { return o.matches(&t) })
	if i < 0 {
		return false
	}
	ts.rec.Troubles[i].Happened = stored
	ts.rec.Troubles[i].Last = stored
	return true
}

// Fade drops troubles that have not been reported again for too long, such as those of a
// bridge that was killed.
func (ts Troubles) Fade(stored time.Time) {
	ts.end(func(t *schema.HostTrouble) bool {
		return t.Cause != schema.TroubleClock && stored.Sub(t.Last.Time) > troubleLasts
	})
}

// ApplyTrouble applies a record of what a bridge cannot do. shift is what was added to the
// time of the message to make it right.
func (h *Host) ApplyTrouble(m Message, t *schema.Trouble, shift time.Duration) {
	at := instant(m.Happened)
	cause := clean(t.Cause, maxCause)
	if cause == "" {
		return
	}
	if h.Record.Life(t.Boot) != nil {
		// It begins none: a bridge may report one before it knows its supervisord.
		h.Live(m)
	}
	h.Troubles().Fade(m.Stored)
	h.Troubles().report(cause, t, at, instant(m.Stored), shift)
}

// report lists what a bridge cannot do, or drops it where it is over.
func (ts Troubles) report(cause string, t *schema.Trouble, at, stored schema.Time, shift time.Duration) {
	isOlder := func(old *schema.HostTrouble) bool {
		return old.Cause == cause && ts.isSameBridge(old, t.Boot, t.Pool) && !old.Happened.After(at.Time)
	}
	if t.Over {
		ts.end(isOlder)
		return
	}

	since := at
	if said := instant(t.Since.Add(shift)); !t.Since.IsZero() && said.Year() > 0 && said.Before(at.Time) {
		since = said
	}
	// A bridge that is a new process reports a trouble that lasts as a new one.
	ts.end(func(old *schema.HostTrouble) bool { return old.Boot != t.Boot && isOlder(old) })
	ts.add(schema.HostTrouble{
		Cause: cause, Text: clean(t.Text, maxText), Fix: clean(t.Fix, maxText),
		Server: strings.Clone(t.Server), Boot: strings.Clone(t.Boot), Pool: strings.Clone(t.Pool),
		Since: since, Happened: at, Last: stored,
	})
}

// ReportUnreadable notes that messages on the subjects of the host could not be read.
func (ts Troubles) ReportUnreadable(text, fix string, at time.Time) {
	stored := instant(at)
	ts.add(schema.HostTrouble{
		Cause: schema.TroubleUnreadable, Since: stored, Happened: stored, Last: stored,
		Text: clean(text, maxText), Fix: fix,
	})
}

// ReportCrowd notes that a boot has more processes than there is room for, or no more:
// excess is how many of a table, 0 of an event, and complete says that a whole table was
// looked at. describe writes the trouble.
func (ts Troubles) ReportCrowd(
	boot string, excess int, complete bool, at time.Time, describe func() (text, fix string),
) {
	own := ownTrouble{schema.TroubleProcesses, boot}
	stored := instant(at)
	switch {
	case complete && excess == 0:
		ts.endOwn(own)
		return
	case !complete && ts.repeatOwn(own, stored):
		return // the last table has counted them
	}

	text, fix := describe()
	ts.add(schema.HostTrouble{
		Cause: schema.TroubleProcesses, Boot: boot, Since: stored, Happened: stored, Last: stored, Text: text, Fix: fix,
	})
}

// isSameBridge reports whether a trouble is one of a bridge, in this life of its
// supervisord, in one before, or before the bridge knew which one it is.
func (ts Troubles) isSameBridge(t *schema.HostTrouble, boot, pool string) bool {
	if t.Pool != pool {
		return false
	}
	if t.Boot == boot {
		return true
	}

	was := ts.rec.Life(t.Boot)
	now := ts.rec.Life(boot)
	switch {
	case now == nil:
		return false
	case was == nil:
		return t.Server == "" || t.Server == now.Server
	}
	return isSame(was, now) && !isConcurrent(was, now)
}

// clean makes one visible line of a text of somebody else's, of at most max bytes.
func clean(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))

	const cut = "…"
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max-len(cut)], "") + cut
	}
	return strings.Clone(s)
}
