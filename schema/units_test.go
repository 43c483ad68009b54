package schema

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDurationErrors(t *testing.T) {
	for _, s := range []string{
		"", " ", "5", "d", "-1d", "+1d", "1.5d", "-5m", "1d-1h", "1d2d", "1h1d", "1d 1h", "1D", "1w", "65536d", "9999999d",
		"3000000h", "0x1d", "1e3s", "NaNs", "5m\n", "65535d2000000h",
	} {
		d, err := ParseDuration(s)
		if err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", s, d)
		} else if !strings.Contains(err.Error(), "want a number") || d != 0 {
			t.Errorf("ParseDuration(%q) = %v, %v: the error does not say what is allowed", s, d, err)
		}
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		in   string
		want time.Duration
		out  string
	}{
		{in: "0", out: "0s"},
		{in: "0s", out: "0s"},
		{in: "0d", out: "0s"},
		{in: "500ms", want: 500 * time.Millisecond, out: "500ms"},
		{in: "90s", want: 90 * time.Second, out: "1m30s"},
		{in: "20s", want: 20 * time.Second, out: "20s"},
		{in: "5m", want: 5 * time.Minute, out: "5m"},
		{in: "10m0s", want: 10 * time.Minute, out: "10m"},
		{in: "60m", want: time.Hour, out: "1h"},
		{in: "10h", want: 10 * time.Hour, out: "10h"},
		{in: "1h10m", want: 70 * time.Minute, out: "1h10m"},
		{in: "1h0m5s", want: time.Hour + 5*time.Second, out: "1h0m5s"},
		{in: "24h", want: day, out: "1d"},
		{in: "36h", want: 36 * time.Hour, out: "36h"},
		{in: "1d12h", want: 36 * time.Hour, out: "36h"},
		{in: "1d24h", want: 2 * day, out: "2d"},
		{in: "30d", want: 30 * day, out: "30d"},
		{in: "65535d", want: 65535 * day, out: "65535d"},
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(c.in)); err != nil || time.Duration(d) != c.want {
			t.Errorf("duration %q is %v, %v; want %v", c.in, time.Duration(d), err, c.want)
		}
		if b, err := d.MarshalText(); string(b) != c.out || err != nil {
			t.Errorf("duration %q is written %q, %v; want %q", c.in, b, err, c.out)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	const day = int64(24 * time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]int64{
			1, int64(time.Millisecond), int64(time.Second), int64(time.Minute), int64(time.Hour), day,
		}).Draw(t, "unit")
		d := Duration(rapid.Int64Range(0, 65535*day/unit).Draw(t, "n") * unit)
		if got, err := ParseDuration(d.String()); got != d || err != nil {
			t.Fatalf("%d is written %q and read as %d, %v", d, d, got, err)
		}
	})
}

func TestParseSizeErrors(t *testing.T) {
	for _, s := range []string{
		"", " ", "GiB", "-1", "-1GiB", "1 G", "1gib", "1KiBB", "1GiB2MiB", "1e3", "0x10", "0x1p4", "NaN", "nan", "Inf", "-Inf", "inf",
		"1,5GiB", "8388608TiB", "9223372036854775808", "99999999999999999999999999TB",
	} {
		z, err := ParseSize(s)
		if err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, int64(z))
		} else if !strings.Contains(err.Error(), "want a number") || z != 0 {
			t.Errorf("ParseSize(%q) = %d, %v: the error does not say what is allowed", s, int64(z), err)
		}
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		out  string
	}{
		{in: "0", out: "0"},
		{in: "0GiB", out: "0"},
		{in: "1", want: 1, out: "1"},
		{in: "1023", want: 1023, out: "1023"},
		{in: "1B", want: 1, out: "1"},
		{in: "1KiB", want: 1 << 10, out: "1KiB"},
		{in: "4 KiB", want: 4 << 10, out: "4KiB"},
		{in: " 4KiB ", want: 4 << 10, out: "4KiB"},
		{in: "1.5KiB", want: 1536, out: "1536"},
		{in: "1024KiB", want: 1 << 20, out: "1MiB"},
		{in: "1536MiB", want: 1536 << 20, out: "1536MiB"},
		{in: "4GiB", want: 4 << 30, out: "4GiB"},
		{in: "2TiB", want: 2 << 40, out: "2TiB"},
		{in: "2048TiB", want: 2 << 50, out: "2048TiB"},
		{in: "1kB", want: 1000, out: "1000"},
		{in: "1KB", want: 1000, out: "1000"},
		{in: "64MB", want: 64_000_000, out: "62500KiB"},
		{in: "2GB", want: 2_000_000_000, out: "1953125KiB"},
		{in: "1TB", want: 1_000_000_000_000, out: "976562500KiB"},
	} {
		var z Size
		if err := z.UnmarshalText([]byte(c.in)); err != nil || int64(z) != c.want {
			t.Errorf("size %q is %d, %v; want %d", c.in, int64(z), err, c.want)
		}
		if b, err := z.MarshalText(); string(b) != c.out || err != nil {
			t.Errorf("size %q is written %q, %v; want %q", c.in, b, err, c.out)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	const exact = 1 << 53 // above it a float64 has no room for every byte
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]int64{1, 1000, 1 << 10, 1 << 20, 1 << 30, 1 << 40}).Draw(t, "unit")
		z := Size(rapid.Int64Range(0, exact/unit).Draw(t, "n") * unit)
		if got, err := ParseSize(z.String()); got != z || err != nil {
			t.Fatalf("%d is written %q and read as %d, %v", z, z, got, err)
		}
	})
	if z := Size(math.MaxInt64); z.String() != "9223372036854775807" {
		t.Errorf("the largest size is written %q", z)
	}
}
