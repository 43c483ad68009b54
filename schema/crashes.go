package schema

import "time"

// Crashes is how often a process crashed lately: it exited unexpectedly, or before its
// startsecs. A value never changes: see package crashes.
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

// IsWholeHour reports whether all crashes of the last hour are counted, at the time of the
// notification; IsWholeDay whether those of the last day are.
func (r *RecentCrashes) IsWholeHour(at time.Time) bool {
	return r.Since == nil || !r.Since.After(at.Add(-time.Hour))
}

func (r *RecentCrashes) IsWholeDay() bool { return r.Since == nil }
