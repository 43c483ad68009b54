package wording

import (
	"fmt"
	"strconv"
	"time"

	"supernats/schema"
)

// None stands in a column where there is nothing.
const None = "-"

// Date is a time in the zone of this machine, for a column: "2026-11-21 19:00:31". It is
// None for no time.
func Date(t *schema.Time) string {
	if t == nil || t.IsZero() {
		return None
	}
	return t.Local().Format(time.DateTime)
}

// Ago is how long ago something was in its largest unit, for a column: "2d ago". It rounds
// as Compact, which stands beside it.
func Ago(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	switch {
	case d >= day:
		return fmt.Sprintf("%dd ago", d/day)
	case d >= time.Hour:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	}
	return fmt.Sprintf("%ds ago", d/time.Second)
}

// Number is a number for a column, None for 0.
func Number[N int | uint64](n N) string {
	if n == 0 {
		return None
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Mebibytes is a size for a column of sizes: "0.4 MiB".
func Mebibytes[N uint64 | schema.Size](n N) string {
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}
