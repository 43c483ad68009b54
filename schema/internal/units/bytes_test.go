package units

import (
	"math"
	"testing"
)

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0:              "0 B",
		1023:           "1023 B",
		1024:           "1.0 KiB",
		1 << 20:        "1.0 MiB",
		1<<20 - 1:      "1.0 MiB",
		1<<20 - 100:    "1023.9 KiB",
		2 << 30:        "2.0 GiB",
		3<<29 + 1:      "1.5 GiB",
		math.MaxUint64: "16.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) is %q, want %q", n, got, want)
		}
	}
}
