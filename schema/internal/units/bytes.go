package units

import (
	"math"
	"strconv"
	"strings"
)

// byteUnits are the units of 1024.
var byteUnits = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Bytes writes a number of bytes for people, with one decimal: "2.0 GiB".
func Bytes(n uint64) string {
	unit := Unit(n)
	return InUnit(n, unit) + " " + byteUnits[unit]
}

// Unit is the index of the largest unit of which n, rounded to one decimal, is at least
// one: 1,023.96 MiB are 1.0 GiB.
func Unit(n uint64) int {
	unit, amount := 0, float64(n)
	for unit < len(byteUnits)-1 && math.Round(amount*10) >= 10*1024 {
		unit++
		amount /= 1024
	}
	return unit
}

// InUnit writes a number of bytes in a unit, without its name: "2.0".
func InUnit(n uint64, unit int) string {
	if unit == 0 {
		return strconv.FormatUint(n, 10)
	}
	return strconv.FormatFloat(math.Ldexp(float64(n), -10*unit), 'f', 1, 64)
}

// RoundBytes is Bytes for a number that somebody has set: "2 GiB".
func RoundBytes(n uint64) string { return strings.Replace(Bytes(n), ".0 ", " ", 1) }
