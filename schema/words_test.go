package schema

import (
	"math"
	"testing"
	"time"
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

func TestOOMInWords(t *testing.T) {
	for _, c := range []struct {
		limit, peak uint64
		want        string
		amount      string
	}{
		{0, 0, "out of memory", ""},
		{0, 1 << 30, "out of memory at 1.0 GiB", "1.0 GiB"},
		{2 << 30, 0, "out of memory at a limit of 2 GiB", "limit 2 GiB"},
		{2 << 30, 2 << 30, "out of memory at 2.0 of 2 GiB", "2.0 of 2 GiB"},
		{2 << 30, 2<<30 + 4096, "out of memory at 2.0 of 2 GiB", "2.0 of 2 GiB"},
		{3 << 29, 1 << 30, "out of memory at 1.0 of 1.5 GiB", "1.0 of 1.5 GiB"},
		{96 << 20, 95 << 20, "out of memory at 95.0 of 96 MiB", "95.0 of 96 MiB"},
		{2 << 30, 12 << 20, "out of memory at 12.0 MiB of 2 GiB", "12.0 MiB of 2 GiB"},
		{4096, 4096, "out of memory at 4.0 of 4 KiB", "4.0 of 4 KiB"},
		{100, 100, "out of memory at 100 of 100 B", "100 of 100 B"},
		{100, 4096, "out of memory at 4096 of 100 B", "4096 of 100 B"},
	} {
		o := &OOM{Cgroup: "/a", Limit: c.limit, Peak: c.peak}
		if got := o.String(); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.peak, c.limit, got, c.want)
		}
		if got := o.Amount(); got != c.amount {
			t.Errorf("%d of %d: the amount is %q, want %q", c.peak, c.limit, got, c.amount)
		}
	}
}

func TestLasted(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{
		-3: 0, math.Inf(-1): 0, 0: 0, 0.0004: 0, 0.0006: time.Millisecond, 3.25: 3250 * time.Millisecond,
		187_442.031: 52*time.Hour + 4*time.Minute + 2*time.Second + 31*time.Millisecond,
		1e300:       math.MaxInt64, math.Inf(1): math.MaxInt64,
	} {
		if got := Lasted(seconds); got != want {
			t.Errorf("Lasted(%g) is %v, want %v", seconds, got, want)
		}
	}
	if got := Lasted(math.NaN()); got != 0 {
		t.Errorf("Lasted(NaN) is %v", got)
	}
}
