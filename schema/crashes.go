package schema

import (
	"cmp"
	"slices"
	"time"
)

// Crashes is how often a process crashed lately: it exited unexpectedly, or before its
// startsecs. A value never changes: Add returns another one.
//
// It knows the last 90 minutes in which there was a crash, and of what is older the hours,
// up to a day before the last one. So it has 115 slots at most, in some 2 KB.
type Crashes struct {
	// Since is since when all that is known of the process is counted. Before it, it was
	// not recorded yet, or events of its host were lost.
	Since Time `json:"since"`
	// Minutes and Hours are in the order of their times. No crash is in both.
	Minutes []CrashSlot `json:"minutes,omitempty"`
	Hours   []CrashSlot `json:"hours,omitempty"`
}

// CrashSlot is a minute or an hour in which a process crashed.
type CrashSlot struct {
	// Minute is the first one of it, in minutes since 1970.
	Minute int64 `json:"minute"`
	Count  int   `json:"count"`
}

// RecentCrashes is how often a process had crashed when a notification was made, to the
// minute. There may have been more if Since is set: all are counted only since then.
type RecentCrashes struct {
	LastHour int   `json:"last_hour"`
	LastDay  int   `json:"last_day"`
	Since    *Time `json:"since,omitempty"`
}

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
func (c *Crashes) Add(at, since time.Time) *Crashes {
	next := Crashes{Since: Time{Time: since}}
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
	isOld := func(s CrashSlot) bool { return s.Minute < last-minutesInDay }
	next.Minutes = slices.DeleteFunc(next.Minutes, isOld)
	next.Hours = slices.DeleteFunc(next.Hours, isOld)
	return &next
}

// addToSlot counts crashes of a slot. A spool may bring what happened before the last one.
func addToSlot(slots []CrashSlot, minute int64, count int) []CrashSlot {
	i, isThere := slices.BinarySearchFunc(slots, minute, func(s CrashSlot, m int64) int {
		return cmp.Compare(s.Minute, m)
	})
	if isThere {
		slots[i].Count += count
		return slots
	}
	return slices.Insert(slots, i, CrashSlot{Minute: minute, Count: count})
}

// MissedUpTo returns what is known after events of the process were lost, up to a time.
func (c *Crashes) MissedUpTo(at time.Time) *Crashes {
	if c == nil || !c.Since.Before(at) {
		return c
	}
	next := *c
	next.Since = Time{Time: at}
	return &next
}

// Recent counts the crashes of the hour and the day before a time; nil if there were none.
func (c *Crashes) Recent(at time.Time) *RecentCrashes {
	if c == nil {
		return nil
	}

	now := minuteOf(at)
	known := c.Since.Time
	var r RecentCrashes
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
		r.Since = &Time{Time: known}
	}
	return &r
}

// IsWholeHour reports whether all crashes of the last hour are counted, at the time of the
// notification; IsWholeDay whether those of the last day are.
func (r *RecentCrashes) IsWholeHour(at time.Time) bool {
	return r.Since == nil || !r.Since.After(at.Add(-time.Hour))
}

func (r *RecentCrashes) IsWholeDay() bool { return r.Since == nil }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
