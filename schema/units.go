package schema

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that flags and configuration files write as Go does (90s, 5m,
// 1h30m), or with d for days (30d, 1d12h).
type Duration time.Duration

// ParseDuration reads a Duration. It is never negative.
func ParseDuration(s string) (Duration, error) {
	days, rest := time.Duration(0), s
	if head, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, badDuration(s)
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
		if rest == "" {
			return Duration(days), nil
		}
	}

	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > math.MaxInt64-days {
		return 0, badDuration(s)
	}
	return Duration(days + d), nil
}

func badDuration(s string) error {
	return fmt.Errorf("invalid duration %q: want a number with a unit: 500ms, 90s, 5m, 1h30m, 7d", s)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// String writes whole days as days, and other values as Go does.
func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	if d >= day && d%day == 0 && d/day <= math.MaxUint16 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler. A negative value, which could not be read
// again, becomes 0.
func (d Duration) MarshalText() ([]byte, error) { return []byte(max(0, d).String()), nil }

// Size is a number of bytes. It is written with a unit of 1024 (KiB, MiB, GiB, TiB) or of
// 1000 (kB, MB, GB, TB), or without one.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// ParseSize reads a Size. It is never negative.
func ParseSize(s string) (Size, error) {
	number, unit := strings.TrimSpace(s), 1.0
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}

	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0) || n*unit >= math.MaxInt64 || strings.ContainsAny(number, "xXpPeEnN") {
		return 0, fmt.Errorf("invalid size %q: want a number of bytes, or one with a unit: 4KiB, 512MiB, 1GiB, 2GB", s)
	}
	return Size(n * unit), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *Size) UnmarshalText(b []byte) (err error) {
	*z, err = ParseSize(string(b))
	return err
}

// String writes the size in the largest unit of 1024 that divides it.
func (z Size) String() string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; z != 0 && int64(z)%int64(u.bytes) == 0 {
			return strconv.FormatInt(int64(z)/int64(u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(z), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }
