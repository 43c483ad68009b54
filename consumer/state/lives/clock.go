package lives

import (
	"fmt"
	"time"

	"supernats/schema"
)

// A bridge stamps each message with its host's clock when it sends it. The stream stores it
// a moment later, by its own clock: the difference is how far the host's clock is slow, and
// a little more for the way. The smallest of some differences is the best guess; one
// message alone may have waited in a connection.
const (
	// WrongClock is by how much a clock may be off.
	WrongClock = time.Minute
	// clockSamples are taken over at least clockSpan for one offset.
	clockSamples = 3
	clockSpan    = 15 * time.Second
)

// sample takes the difference of one message.
func (h *Host) sample(l *schema.HostLife, at, sent time.Time) {
	if sent.IsZero() {
		return
	}
	stored := instant(at)
	offset := at.Sub(sent).Milliseconds()
	if l.Clock == nil {
		l.Clock = &schema.HostClock{Offset: offset}
	}

	c := l.Clock
	if c.Samples == 0 {
		c.From = stored
		c.Least = offset
	}
	c.Samples++
	c.Least = min(c.Least, offset)
	if c.Samples < clockSamples || stored.Sub(c.From.Time) < clockSpan {
		return
	}

	if c.Settled && differTooMuch(millis(c.Offset), millis(c.Least)) {
		c.Before = new(c.Offset)
	}
	c.Offset = c.Least
	c.Settled = true
	c.Samples = 0
	h.Troubles().reportClock(l, stored)
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func differTooMuch(a, b time.Duration) bool { return (a - b).Abs() > WrongClock }

// reportClock notes that a host's clock is wrong, or that it is right again.
func (ts Troubles) reportClock(l *schema.HostLife, stored schema.Time) {
	offset := millis(l.Clock.Offset)
	if !differTooMuch(offset, 0) {
		ts.endOwn(ownTrouble{schema.TroubleClock, l.Boot})
		return
	}

	way := "behind"
	if offset < 0 {
		way = "ahead"
	}
	const text = "the clock of the host is %s %s; times and lengths are corrected here, those in its own logs are not"
	ts.add(schema.HostTrouble{
		Cause: schema.TroubleClock, Server: l.Server, Boot: l.Boot, Since: stored, Happened: stored, Last: stored,
		Text: fmt.Sprintf(text, Span(offset), way),
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

// ClockOf returns the clock of a boot, nil if nothing is known of it.
func (h *Host) ClockOf(boot string) *schema.HostClock {
	if l := h.Record.Life(boot); l != nil {
		return l.Clock
	}
	return nil
}

// Shift returns what has to be added to a time t by the clock c of a host, which may be nil,
// to make it right; at and sent are those of its message. It is 0 where the clock is right
// or where nothing says that it is not.
//
// A clock may have been set while the message waited in a spool. Of what the offsets before
// and after make of a time the latest is taken that is not in the future: an alarm too many
// is better than a crash that is held to be too old.
func Shift(c *schema.HostClock, at, sent, t time.Time) time.Duration {
	if sent.IsZero() {
		return 0
	}
	stored := schema.Instant(at) // so that a time stays one that a record can hold
	latest := stored.Add(WrongClock)

	var shift time.Duration
	found := false
	for _, offset := range offsetsOf(c, stored.Sub(sent).Truncate(time.Microsecond)) {
		if !differTooMuch(offset, 0) {
			offset = 0
		}
		if t.Add(offset).After(latest) || found && offset <= shift {
			continue
		}
		shift = offset
		found = true
	}

	if !found {
		return stored.Sub(t)
	}
	return shift
}

// offsetsOf returns by how much a clock may have been off. now is what the message says.
func offsetsOf(c *schema.HostClock, now time.Duration) []time.Duration {
	if c == nil || !c.Settled {
		return []time.Duration{now}
	}

	offsets := []time.Duration{now}
	if settled := millis(c.Offset); differTooMuch(settled, now) {
		offsets = append(offsets, settled)
	} else {
		offsets[0] = settled // one message may have been long on its way
	}
	if c.Before != nil {
		offsets = append(offsets, millis(*c.Before))
	}
	return offsets
}
