package schema

import (
	"fmt"
	"time"
)

// Time is an instant in UTC, written in JSON as RFC 3339 with microseconds. What is
// written can always be read again: RFC 3339 has the years 0 to 9999, others are
// refused when they are read, and written as the first or the last instant that can be.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000000Z"

var (
	firstTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// Stamp is a time as it stands in messages: UTC, RFC 3339 with microseconds.
func Stamp(t time.Time) string { return within(t).Format(timeFormat) }

// within returns t in UTC, or the instant next to it that can be written.
func within(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.Before(firstTime):
		return firstTime
	case t.After(lastTime):
		return lastTime
	}
	return t
}

func appendTime(b []byte, t time.Time) []byte {
	return within(t).AppendFormat(b, `"`+timeFormat+`"`)
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return appendTime(make([]byte, 0, 32), t.Time), nil
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

// Instant is a time as a record holds it: in UTC and whole microseconds. What was read
// back from a record compares equal to it.
func Instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
