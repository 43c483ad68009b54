package wording

import (
	"fmt"
	"strconv"
	"time"

	"supernats/schema"
)

// Spans of time are written in five ways, for five places:
//
//	Span      15 minutes       in a sentence
//	Lasted    2 d 4 h          the life of a process, where seconds matter
//	Brief     40 s             the same as an average, where they do not
//	Rounded   4m30s            as the configuration writes durations
//	Compact   2d4h             in a column
const day = 24 * time.Hour

// Span is a length of time in the largest unit that says enough: "15 minutes", "4 hours".
func Span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= 2*u.unit || d >= u.unit && d%u.unit == 0 {
			return plural(int64(d.Round(u.unit)/u.unit), u.name)
		}
	}
	return plural(int64(d.Round(time.Second)/time.Second), "second")
}

func plural(n int64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.FormatInt(n, 10) + " " + unit
}

// Lasted is a length of time in its two largest units: "2 d 4 h", "3 min 20 s", "42 s",
// "3.2 s", "12 ms".
func Lasted(d time.Duration) string {
	d = max(d, 0)
	// The unit follows the rounded value: 59.6 s are a minute.
	switch seconds, minutes := d.Round(time.Second), d.Round(time.Minute); {
	case d < time.Second:
		return units(d, time.Millisecond, "ms", 0, "")
	case d.Round(100*time.Millisecond) < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case seconds < time.Minute:
		return units(seconds, time.Second, "s", 0, "")
	case seconds < time.Hour:
		return units(seconds, time.Minute, "min", time.Second, "s")
	case minutes < day:
		return units(minutes, time.Hour, "h", time.Minute, "min")
	}
	return units(d.Round(time.Hour), day, "d", time.Hour, "h")
}

// units writes d in one unit and what is left of it in a smaller one, unless that is
// nothing or small is 0.
func units(d, large time.Duration, name string, small time.Duration, smallName string) string {
	s := strconv.FormatInt(int64(d/large), 10) + " " + name
	if small > 0 && d%large >= small {
		s += " " + strconv.FormatInt(int64(d%large/small), 10) + " " + smallName
	}
	return s
}

// Brief is a length of time in one unit: "40 s", "3 min", "0.3 s".
func Brief(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(max(d.Seconds(), 0.1), 'f', 1, 64) + " s"
	case d < 2*time.Minute:
		return strconv.FormatInt(int64(d.Round(time.Second)/time.Second), 10) + " s"
	case d < 2*time.Hour:
		return strconv.FormatInt(int64(d.Round(time.Minute)/time.Minute), 10) + " min"
	}
	return strconv.FormatInt(int64(d.Round(time.Hour)/time.Hour), 10) + " h"
}

// Rounded is a length of time as a configuration writes it, with no more digits than a
// person can take in: "4m30s".
func Rounded(d time.Duration) string {
	switch {
	case d < time.Second:
		d = d.Round(time.Millisecond)
	case d < time.Hour:
		d = d.Round(time.Second)
	default:
		d = d.Round(time.Minute)
	}
	return schema.Duration(d).String()
}

// Compact is a length of time in its two largest units, for a column: "2d4h", "3m20s".
func Compact(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	days, hours, minutes, seconds := d/day, d/time.Hour%24, d/time.Minute%60, d/time.Second%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}
