package schema

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// byteUnits are those of 1024.
var byteUnits = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Bytes writes a number of bytes for people, with one decimal: "2.0 GiB".
func Bytes(n uint64) string {
	unit := byteUnit(n)
	return inUnit(n, unit) + " " + byteUnits[unit]
}

// byteUnit is the index of the largest unit of which n has at least one, as it is
// rounded: 1,023.96 MiB are 1.0 GiB.
func byteUnit(n uint64) int {
	unit, amount := 0, float64(n)
	for unit < len(byteUnits)-1 && math.Round(amount*10) >= 10*1024 {
		unit, amount = unit+1, amount/1024
	}
	return unit
}

func inUnit(n uint64, unit int) string {
	if unit == 0 {
		return strconv.FormatUint(n, 10)
	}
	return strconv.FormatFloat(math.Ldexp(float64(n), -10*unit), 'f', 1, 64)
}

// String says it in words: "out of memory at 2.0 of 2 GiB".
func (o *OOM) String() string {
	const words = "out of memory"
	switch {
	case o.Limit == 0 && o.Peak == 0:
		return words
	case o.Limit == 0:
		return words + " at " + Bytes(o.Peak)
	case o.Peak == 0:
		return words + " at a limit of " + roundBytes(o.Limit)
	}
	return words + " at " + o.Amount()
}

// Amount is the peak and the limit, as far as they are known: "2.0 of 2 GiB".
func (o *OOM) Amount() string {
	switch unit := byteUnit(o.Limit); {
	case o.Limit == 0 && o.Peak == 0:
		return ""
	case o.Limit == 0:
		return Bytes(o.Peak)
	case o.Peak == 0:
		return "limit " + roundBytes(o.Limit)
	case o.Peak < o.Limit/20: // of the same unit it would have next to none
		return Bytes(o.Peak) + " of " + roundBytes(o.Limit)
	default:
		return inUnit(o.Peak, unit) + " of " + roundBytes(o.Limit)
	}
}

// roundBytes is Bytes for what somebody has written: "2 GiB".
func roundBytes(n uint64) string { return strings.Replace(Bytes(n), ".0 ", " ", 1) }

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
