// Package crashes counts how often a process crashed lately. A value never changes: what
// counts one more returns another. So records may be copied, at some 2 KB for a process that
// crashes all the time.
package crashes

import (
	"cmp"
	"slices"
	"time"

	"supernats/schema"
)

const (
	minutesInHour = 60
	minutesInDay  = 24 * minutesInHour
	// maxCrashMinutes is how many minutes there are until the first ones become hours. It
	// is more than an hour has.
	maxCrashMinutes = 90
)

// minuteOf is a time in minutes since 1970.
func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// Add returns what is known after one more crash. c is nil before the first one. since is
// from when on all crashes are counted as far as the caller knows.
func Add(c *schema.Crashes, at, since time.Time) *schema.Crashes {
	next := schema.Crashes{Since: schema.Time{Time: since}}
	if c != nil {
		next.Minutes, next.Hours = slices.Clone(c.Minutes), slices.Clone(c.Hours)
		if c.Since.After(since) {
			next.Since = c.Since
		}
	}

	next.Minutes = addToSlot(next.Minutes, minuteOf(at), 1)
	for len(next.Minutes) > maxCrashMinutes {
		first := next.Minutes[0]
		next.Minutes = next.Minutes[1:]
		next.Hours = addToSlot(next.Hours, first.Minute-first.Minute%minutesInHour, first.Count)
	}

	last := next.Minutes[len(next.Minutes)-1].Minute
	isOld := func(s schema.CrashSlot) bool { return s.Minute < last-minutesInDay }
	next.Minutes = slices.DeleteFunc(next.Minutes, isOld)
	next.Hours = slices.DeleteFunc(next.Hours, isOld)
	return &next
}

// addToSlot counts crashes of a slot. A spool may bring what happened before the last one.
func addToSlot(slots []schema.CrashSlot, minute int64, count int) []schema.CrashSlot {
	i, isThere := slices.BinarySearchFunc(slots, minute, func(s schema.CrashSlot, m int64) int {
		return cmp.Compare(s.Minute, m)
	})
	if isThere {
		slots[i].Count += count
		return slots
	}
	return slices.Insert(slots, i, schema.CrashSlot{Minute: minute, Count: count})
}

// MissedUpTo returns what is known after events of the process were lost, up to a time.
func MissedUpTo(c *schema.Crashes, at time.Time) *schema.Crashes {
	if c == nil || !c.Since.Before(at) {
		return c
	}
	next := *c
	next.Since = schema.Time{Time: at}
	return &next
}

// Recent counts the crashes of the hour and the day before a time; nil if there were none.
func Recent(c *schema.Crashes, at time.Time) *schema.RecentCrashes {
	if c == nil {
		return nil
	}

	now := minuteOf(at)
	known := c.Since.Time
	var r schema.RecentCrashes
	for _, s := range c.Hours {
		switch age := now - s.Minute; {
		case age < minutesInDay && age >= 0:
			r.LastDay += s.Count
		case age < minutesInDay+minutesInHour && age >= 0: // only a part of it is of the last day
			known = later(known, time.Unix((s.Minute+minutesInHour)*60, 0).UTC())
		}
	}
	for _, s := range c.Minutes {
		age := now - s.Minute
		if age >= 0 && age < minutesInDay {
			r.LastDay += s.Count
		}
		if age >= 0 && age < minutesInHour {
			r.LastHour += s.Count
		}
	}

	if r.LastDay == 0 {
		return nil
	}
	if known.After(at.Add(-minutesInDay * time.Minute)) {
		r.Since = &schema.Time{Time: known}
	}
	return &r
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
