package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

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

// ParseSize reads a number of bytes, with a unit of 1024 or of 1000 or without one. It is never
// negative.
func ParseSize(s string) (int64, error) {
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
	return int64(n * unit), nil
}

// FormatSize writes a size in the largest unit of 1024 that divides it.
func FormatSize(n int64) string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; n != 0 && n%int64(u.bytes) == 0 {
			return strconv.FormatInt(n/int64(u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
