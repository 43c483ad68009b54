package schema

import "testing"

func TestOOMInWords(t *testing.T) {
	for _, c := range []struct {
		limit, peak uint64
		want        string
		amount      string
	}{
		{want: "out of memory"},
		{peak: 1 << 30, want: "out of memory at 1.0 GiB", amount: "1.0 GiB"},
		{limit: 2 << 30, want: "out of memory at a limit of 2 GiB", amount: "limit 2 GiB"},
		{limit: 2 << 30, peak: 2 << 30, want: "out of memory at 2.0 of 2 GiB", amount: "2.0 of 2 GiB"},
		{limit: 2 << 30, peak: 2<<30 + 4096, want: "out of memory at 2.0 of 2 GiB", amount: "2.0 of 2 GiB"},
		{limit: 3 << 29, peak: 1 << 30, want: "out of memory at 1.0 of 1.5 GiB", amount: "1.0 of 1.5 GiB"},
		{limit: 96 << 20, peak: 95 << 20, want: "out of memory at 95.0 of 96 MiB", amount: "95.0 of 96 MiB"},
		{limit: 2 << 30, peak: 12 << 20, want: "out of memory at 12.0 MiB of 2 GiB", amount: "12.0 MiB of 2 GiB"},
		{limit: 4096, peak: 4096, want: "out of memory at 4.0 of 4 KiB", amount: "4.0 of 4 KiB"},
		{limit: 100, peak: 100, want: "out of memory at 100 of 100 B", amount: "100 of 100 B"},
		{limit: 100, peak: 4096, want: "out of memory at 4096 of 100 B", amount: "4096 of 100 B"},
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
