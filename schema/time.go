package schema

import (
	"fmt"
	"math"
	"time"

	"supernats/schema/internal/fastjson"
)

// Time is an instant in UTC, written in JSON as RFC 3339 with microseconds. What is
// written can always be read again: RFC 3339 has the years 0 to 9999, others are
// refused when they are read, and written as the first or the last instant that can be.
type Time struct{ time.Time }

// Stamp is a time as it stands in messages: UTC, RFC 3339 with microseconds.
func Stamp(t time.Time) string { return fastjson.Writable(t).Format(fastjson.TimeFormat) }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return fastjson.AppendTime(make([]byte, 0, 32), t.Time), nil
}

// UnmarshalJSON implements json.Unmarshaler: any RFC 3339 time that is in the years 0
// to 9999 in UTC too. 9999-12-31T23:59:59-12:00 is not.
func (t *Time) UnmarshalJSON(b []byte) error {
	if err := t.Time.UnmarshalJSON(b); err != nil {
		return fmt.Errorf("schema: time %s: %w", b, err)
	}
	if t.Time = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return fmt.Errorf("schema: invalid time %s: want the years 0 to 9999 in UTC", b)
	}
	return nil
}

// Lasted is a number of seconds, as of Event.Ran, as a length of time, to the
// millisecond: 0 for what is none, and never more than a time.Duration can be.
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
