package state

import (
	"fmt"
	"time"

	"supernats/schema"
)

// A bridge stamps each message with its host's clock when it sends it. The stream
// stores it a moment later, by its own clock: the difference is how far the host's
// clock is behind, and a little more for the way. The smallest of some differences
// is the best guess; one message alone may have waited in a connection.
const (
	// WrongClock is by how much a clock may be off.
	WrongClock = time.Minute
	// clockSamples are taken over at least clockSpan for one offset.
	clockSamples = 3
	clockSpan    = 15 * time.Second
)

// sample takes the difference of one message.
func (h *host) sample(l *schema.HostLife, m Meta) {
	if m.Sent.IsZero() {
		return
	}
	stored, offset := instant(m.Stored), m.Stored.Sub(m.Sent).Milliseconds()
	if l.Clock == nil {
		l.Clock = &schema.HostClock{Offset: offset}
	}
	c := l.Clock
	if c.Samples == 0 {
		c.From, c.Least = stored, offset
	}
	c.Samples, c.Least = c.Samples+1, min(c.Least, offset)
	if c.Samples < clockSamples || stored.Sub(c.From.Time) < clockSpan {
		return
	}

	if c.Settled && differ(millis(c.Offset), millis(c.Least)) {
		c.Before = new(c.Offset)
	}
	c.Offset, c.Settled, c.Samples = c.Least, true, 0
	h.clockTrouble(l, stored)
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func differ(a, b time.Duration) bool { return (a - b).Abs() > WrongClock }

// clockTrouble says that a host's clock is wrong, or that it is right again.
func (h *host) clockTrouble(l *schema.HostLife, stored schema.Time) {
	offset := millis(l.Clock.Offset)
	if !differ(offset, 0) {
		h.endTroubles(func(t *schema.HostTrouble) bool {
			return t.Pool == "" && t.Boot == l.Boot && t.Cause == schema.TroubleClock
		})
		return
	}
	way := "behind"
	if offset < 0 {
		way = "ahead"
	}
	h.trouble(schema.HostTrouble{
		Cause: schema.TroubleClock, Server: l.Server, Boot: l.Boot, Since: stored, Happened: stored, Last: stored,
		Text: fmt.Sprintf("the clock of the host is %s %s; times and lengths are corrected here, those in its own logs are not", Span(offset), way),
		Fix:  "set it there: timedatectl set-ntp true; chronyc tracking",
	})
}

// Span writes a length in its largest unit: 3d, 2h, 5m.
func Span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// Shift returns what has to be added to a time by the clock of a host to make it
// right, for a message of one of its boots. It is 0 where the clock is right or
// where nothing says that it is not.
//
// A clock may have been set while the message waited in a spool. Of what the offsets
// before and after make of a time the latest is taken that is not in the future: an
// alarm too many is better than a crash that is held to be too old.
func (f *Fleet) Shift(m Meta, name, boot string, t time.Time) time.Duration {
	var c *schema.HostClock
	if h := f.byName[name]; h != nil {
		if l := h.life(boot); l != nil {
			c = l.Clock
		}
	}
	return ShiftBy(c, m, t)
}

// ShiftBy is Shift for a clock, which may be nil.
func ShiftBy(c *schema.HostClock, m Meta, t time.Time) time.Duration {
	if m.Sent.IsZero() {
		return 0
	}
	stored := instant(m.Stored).Time // so that a time stays one that a record can hold
	now := stored.Sub(m.Sent).Truncate(time.Microsecond)
	offsets := []time.Duration{now}
	if c != nil && c.Settled {
		if settled := millis(c.Offset); differ(settled, now) {
			offsets = append(offsets, settled)
		} else {
			offsets[0] = settled // one message may have been long on its way
		}
		if c.Before != nil {
			offsets = append(offsets, millis(*c.Before))
		}
	}

	var shift time.Duration
	found := false
	for _, offset := range offsets {
		if !differ(offset, 0) {
			offset = 0
		}
		if t.Add(offset).After(stored.Add(WrongClock)) || found && offset <= shift {
			continue
		}
		shift, found = offset, true
	}
	if !found {
		return stored.Sub(t)
	}
	return shift
}
