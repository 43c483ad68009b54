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
		} else if !strings.Contains(err.Error(), "allowed are") || d != 0 {
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
		{"0", 0, "0s"},
		{"0s", 0, "0s"},
		{"0d", 0, "0s"},
		{"500ms", 500 * time.Millisecond, "500ms"},
		{"90s", 90 * time.Second, "1m30s"},
		{"20s", 20 * time.Second, "20s"},
		{"5m", 5 * time.Minute, "5m"},
		{"10m0s", 10 * time.Minute, "10m"},
		{"60m", time.Hour, "1h"},
		{"10h", 10 * time.Hour, "10h"},
		{"1h10m", 70 * time.Minute, "1h10m"},
		{"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"},
		{"24h", day, "1d"},
		{"36h", 36 * time.Hour, "36h"},
		{"1d12h", 36 * time.Hour, "36h"},
		{"1d24h", 2 * day, "2d"},
		{"30d", 30 * day, "30d"},
		{"65535d", 65535 * day, "65535d"},
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
		unit := rapid.SampledFrom([]int64{1, int64(time.Millisecond), int64(time.Second), int64(time.Minute), int64(time.Hour), day}).Draw(t, "unit")
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
		} else if !strings.Contains(err.Error(), "allowed are") || z != 0 {
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
		{"0", 0, "0"},
		{"0GiB", 0, "0"},
		{"1", 1, "1"},
		{"1023", 1023, "1023"},
		{"1B", 1, "1"},
		{"1KiB", 1 << 10, "1KiB"},
		{"4 KiB", 4 << 10, "4KiB"},
		{" 4KiB ", 4 << 10, "4KiB"},
		{"1.5KiB", 1536, "1536"},
		{"1024KiB", 1 << 20, "1MiB"},
		{"1536MiB", 1536 << 20, "1536MiB"},
		{"4GiB", 4 << 30, "4GiB"},
		{"2TiB", 2 << 40, "2TiB"},
		{"2048TiB", 2 << 50, "2048TiB"},
		{"1kB", 1000, "1000"},
		{"1KB", 1000, "1000"},
		{"64MB", 64_000_000, "62500KiB"},
		{"2GB", 2_000_000_000, "1953125KiB"},
		{"1TB", 1_000_000_000_000, "976562500KiB"},
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
