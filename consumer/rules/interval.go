package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// interval is an Interval that was checked. An empty list of ranges holds at all times.
type interval struct {
	times                         []span // minutes of the day, the end is outside
	weekdays, days, months, years []span
	location                      *time.Location
}

// span is a range, both ends in it. Days of a month may be negative: -1 is the
// last one.
type span struct{ from, to int }

func within(list []span, n int) bool {
	for _, s := range list {
		if s.from <= n && n <= s.to {
			return true
		}
	}
	return len(list) == 0
}

// active reports whether the interval holds, and until when it does so at least: the end
// of a range of the day, or of the day itself. Then the caller has to ask again.
func (v *interval) active(at time.Time) (until time.Time, ok bool) {
	t := at.In(v.location)
	if !v.holdsOn(t) {
		return time.Time{}, false
	}
	minute := t.Hour()*60 + t.Minute()
	end := v.endOfRange(minute)
	if end < 0 {
		return time.Time{}, false
	}

	// On a day on which clocks are set the two differ; the caller asks again in any case.
	until = t.Truncate(time.Minute).Add(time.Duration(end-minute) * time.Minute)
	if u := time.Date(t.Year(), t.Month(), t.Day(), 0, end, 0, 0, v.location); u.After(at) && u.Before(until) {
		until = u
	}
	return until, true
}

// holdsOn reports whether the interval holds on the day of a time.
func (v *interval) holdsOn(t time.Time) bool {
	last := time.Date(t.Year(), t.Month()+1, 0, 12, 0, 0, 0, time.UTC).Day()
	return within(v.weekdays, int(t.Weekday())) && within(v.months, int(t.Month())) &&
		within(v.years, t.Year()) && onDay(v.days, t.Day(), last)
}

// endOfRange returns the minute of the day at which the interval ends that holds at a
// minute, -1 if it does not hold then.
func (v *interval) endOfRange(minute int) int {
	if len(v.times) == 0 {
		return 24 * 60
	}
	end := -1
	for _, s := range v.times {
		if s.from <= minute && minute < s.to {
			end = max(end, s.to)
		}
	}
	return end
}

// onDay is within for days that may count from the end of the month. As in Alertmanager a
// range that goes beyond the month ends with it.
func onDay(list []span, day, last int) bool {
	for _, s := range list {
		from, to := s.from, s.to
		if from < 0 {
			from = max(last+from+1, 1)
		}
		if to < 0 {
			to = last + to + 1
		}
		if from <= day && day <= to {
			return true
		}
	}
	return len(list) == 0
}

func compileIntervals(r *Rule, c Config) error {
	var wrong mistakes
	for i, v := range c.MuteDuring {
		compiled, err := compileInterval(v)
		if err != nil {
			wrong.join(below(fmt.Sprintf(".mute_during[%d]", i), err))
		}
		r.muteDuring = append(r.muteDuring, compiled)
	}
	return wrong.err()
}

func compileInterval(v Interval) (c interval, err error) {
	if len(v.Times)+len(v.Weekdays)+len(v.DaysOfMonth)+len(v.Months)+len(v.Years) == 0 {
		const keys = "times, weekdays, days_of_month, months or years"
		return c, errors.New("is empty, which would be always; it needs " + keys)
	}

	var wrong mistakes
	for i, t := range v.Times {
		s, err := compileTimeRange(t)
		if err != nil {
			wrong.join(below(fmt.Sprintf(".times[%d]", i), err))
		}
		c.times = append(c.times, s)
	}
	for _, l := range []struct {
		key  string
		list List
		to   *[]span
		read func(string) (int, error)
	}{
		{"weekdays", v.Weekdays, &c.weekdays, named(0, weekdays, "sunday to saturday")},
		{"days_of_month", v.DaysOfMonth, &c.days, dayOfMonth},
		{"months", v.Months, &c.months, month},
		{"years", v.Years, &c.years, number(1, 9999)},
	} {
		for i, text := range l.list {
			s, err := compileSpan(text, l.read)
			wrong.wrap(element(l.key, l.list, i), err)
			*l.to = append(*l.to, s)
		}
	}

	c.location = time.UTC
	if v.Location != "" {
		c.location, err = time.LoadLocation(v.Location)
		if err != nil {
			const allowed = "a name of the time zone database: Europe/Berlin"
			wrong.add("location", "found %q, allowed is %s", clip(v.Location), allowed)
		}
	}
	return c, wrong.err()
}

// compileTimeRange reads a range of the day.
func compileTimeRange(t TimeRange) (s span, err error) {
	if s.from, err = minuteOfDay(t.Start); err != nil {
		return s, at("start_time", err)
	}
	if s.to, err = minuteOfDay(t.End); err != nil {
		return s, at("end_time", err)
	}
	if s.from >= s.to {
		const allowed = "a later time of the same day up to 24:00; write a range over midnight as two"
		return s, at("end_time", fmt.Errorf("found %s after a start at %s, allowed is %s", t.End, t.Start, allowed))
	}
	return s, nil
}

func minuteOfDay(s string) (int, error) {
	hour, minute, ok := strings.Cut(s, ":")
	h, errHour := strconv.ParseUint(hour, 10, 8)
	m, errMinute := strconv.ParseUint(minute, 10, 8)
	isNumber := ok && errHour == nil && errMinute == nil && len(hour) == 2 && len(minute) == 2
	if !isNumber || m > 59 || h*60+m > 24*60 {
		return 0, fmt.Errorf("found %q, allowed are times of the day, 00:00 to 24:00", clip(s))
	}
	return int(h*60 + m), nil
}

// compileSpan reads "a" or "a:b".
func compileSpan(text string, read func(string) (int, error)) (s span, err error) {
	from, to, isRange := strings.Cut(text, ":")
	if s.from, err = read(from); err != nil {
		return s, err
	}
	s.to = s.from
	if isRange {
		if s.to, err = read(to); err != nil {
			return s, err
		}
	}

	switch {
	case s.from < 0 && s.to > 0:
		const problem = "a range from the end of a month to its beginning"
		return s, fmt.Errorf("found %q, %s; allowed are 1:5, -3:-1, 20:-1", text, problem)
	case (s.from < 0) == (s.to < 0) && s.from > s.to:
		return s, fmt.Errorf("found %q, whose end is before its beginning; write it as two", text)
	}
	return s, nil
}

var (
	weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	months   = []string{
		"january", "february", "march", "april", "may", "june",
		"july", "august", "september", "october", "november", "december",
	}
)

// named reads one of a list of words, the first of which is a number.
func named(first int, words []string, allowed string) func(string) (int, error) {
	return func(s string) (int, error) {
		for i, w := range words {
			if strings.EqualFold(s, w) {
				return first + i, nil
			}
		}
		return 0, fmt.Errorf("found %q, allowed are %s and ranges of them, a:b", clip(s), allowed)
	}
}

func month(s string) (int, error) {
	if n, err := number(1, 12)(s); err == nil {
		return n, nil
	}
	return named(1, months, "january to december, 1 to 12")(s)
}

func dayOfMonth(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n == 0 || n < -31 || n > 31 {
		const allowed = "1 to 31, -1 to -31 from the end of the month, and ranges of them, a:b"
		return 0, fmt.Errorf("found %q, allowed are %s", clip(s), allowed)
	}
	return n, nil
}

func number(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("found %q, allowed are %d to %d and ranges of them, a:b", clip(s), least, most)
		}
		return n, nil
	}
}
