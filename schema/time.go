package schema

import (
	"fmt"
	"math"
	"time"

	"supernats/schema/internal/fastjson"
)

// Time is an instant in UTC, in JSON as RFC 3339 with microseconds. What is written can
// always be read again. RFC 3339 has the years 0 to 9999: reading refuses others, and
// writing replaces them by the first or the last instant.
type Time struct{ time.Time }

// Stamp is a time as it stands in messages.
func Stamp(t time.Time) string { return fastjson.Writable(t).Format(fastjson.TimeFormat) }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return fastjson.AppendTime(make([]byte, 0, 32), t.Time), nil
}

// UnmarshalJSON implements json.Unmarshaler. It takes any RFC 3339 time that is in the years
// 0 to 9999 in UTC: 9999-12-31T23:59:59-12:00 is not.
func (t *Time) UnmarshalJSON(b []byte) error {
	if err := t.Time.UnmarshalJSON(b); err != nil {
		return fmt.Errorf("schema: time %s: %w", b, err)
	}

	t.Time = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return fmt.Errorf("schema: invalid time %s: want the years 0 to 9999 in UTC", b)
	}
	return nil
}

// Lasted turns seconds, such as Event.Ran, into a time.Duration to the millisecond: 0 for a
// negative number and NaN, the longest one for a number that is too large.
func Lasted(seconds float64) time.Duration {
	const longest = float64(math.MaxInt64 / int64(time.Millisecond))

	ms := math.Round(seconds * 1000)
	switch {
	case !(ms > 0):
		return 0
	case ms >= longest:
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// Instant is a time as a record holds it: in UTC and whole microseconds. What was read
// back from a record compares equal to it.
func Instant(t time.Time) time.Time {
	t = t.UTC().Round(0) // without the reading of a monotonic clock
	if below := t.Nanosecond() % int(time.Microsecond); below != 0 {
		t = t.Add(-time.Duration(below))
	}
	return t
}
