// Package units reads and writes lengths of time and sizes as flags, configuration files and
// people have them. Package schema has the types.
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a length of time as Go does, or with d for days (30d, 1d12h). It is
// never negative.
func ParseDuration(s string) (time.Duration, error) {
	days, rest := time.Duration(0), s
	if head, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, badDuration(s)
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
		if rest == "" {
			return days, nil
		}
	}

	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > math.MaxInt64-days {
		return 0, badDuration(s)
	}
	return days + d, nil
}

func badDuration(s string) error {
	return fmt.Errorf("invalid duration %q: want a number with a unit: 500ms, 90s, 5m, 1h30m, 7d", s)
}

// FormatDuration writes whole days as days, and other values as Go does.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 && d/day <= math.MaxUint16 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
