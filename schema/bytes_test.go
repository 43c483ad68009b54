package schema

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

func TestAnyBytes(t *testing.T) {
	for _, tc := range []struct {
		n    any
		want string // an error where empty
	}{
		{n: -1},
		{n: 1.5},
		{n: "1"},
		{n: nil},
		{n: 0, want: "0 B"},
		{n: int64(2 << 30), want: "2.0 GiB"},
		{n: uint64(math.MaxUint64), want: "16.0 EiB"},
		{n: Size(1 << 20), want: "1.0 MiB"},
	} {
		if got, err := AnyBytes(tc.n); got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("AnyBytes(%v) is %q, %v, want %q", tc.n, got, err, tc.want)
		}
	}
}
