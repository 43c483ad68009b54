package schema

import (
	"time"

	"supernats/schema/internal/units"
)

// Duration is a time.Duration that flags and configuration files write as Go does (90s, 5m,
// 1h30m), or with d for days (30d, 1d12h).
type Duration time.Duration

// ParseDuration reads a Duration. It is never negative.
func ParseDuration(s string) (Duration, error) {
	d, err := units.ParseDuration(s)
	return Duration(d), err
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// String writes whole days as days, and other values as Go does.
func (d Duration) String() string { return units.FormatDuration(time.Duration(d)) }

// MarshalText implements encoding.TextMarshaler. A negative value, which could not be read
// again, becomes 0.
func (d Duration) MarshalText() ([]byte, error) { return []byte(max(0, d).String()), nil }

// Size is a number of bytes. It is written with a unit of 1024 (KiB, MiB, GiB, TiB) or of
// 1000 (kB, MB, GB, TB), or without one.
type Size int64

// ParseSize reads a Size. It is never negative.
func ParseSize(s string) (Size, error) {
	n, err := units.ParseSize(s)
	return Size(n), err
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *Size) UnmarshalText(b []byte) (err error) {
	*z, err = ParseSize(string(b))
	return err
}

// String writes the size in the largest unit of 1024 that divides it.
func (z Size) String() string { return units.FormatSize(int64(z)) }

// MarshalText implements encoding.TextMarshaler.
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// Bytes writes a number of bytes for people, with one decimal: "2.0 GiB".
func Bytes(n uint64) string { return units.Bytes(n) }
