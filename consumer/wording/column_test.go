package wording_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/wording"
)

func TestCompactInColumns(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 400 * time.Millisecond: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m30s",
		time.Hour: "1h0m", 3*time.Hour + 59*time.Minute + 59*time.Second: "3h59m", 50 * time.Hour: "2d2h", 400 * 24 * time.Hour: "400d0h",
	} {
		if got := wording.Compact(d); got != want {
			t.Errorf("%v is %s", d, got)
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s ago", 59400 * time.Millisecond: "59s ago", 59900 * time.Millisecond: "1m ago", 23*time.Minute + 59*time.Second: "23m ago", 119 * time.Minute: "1h ago", 50 * time.Hour: "2d ago",
	} {
		if got := wording.Ago(d); got != want {
			t.Errorf("%v is %s", d, got)
		}
	}
}

func TestRan(t *testing.T) {
	got := map[string]string{"none": wording.Ran(nil)}
	for name, seconds := range map[string]float64{"0": 0, "ms": 0.0124, "s": 3.26, "10 s": 9.96, "min": 200, "days": 187_442.031, "no length": -3} {
		got[name] = wording.Ran(&seconds)
	}
	want := map[string]string{
		"none": "", "0": "ran 0 ms", "ms": "ran 12 ms", "s": "ran 3.3 s", "10 s": "ran 10 s", "min": "ran 3 min 20 s", "days": "ran 2 d 4 h", "no length": "ran 0 ms",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestShellQuote(t *testing.T) {
	for name, want := range map[string]string{"web1.example.com": "web1.example.com", "": "''", "a b": "'a b'", "$(x)": "'$(x)'", "it's": `'it'\''s'`} {
		if got := wording.ShellQuote(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
