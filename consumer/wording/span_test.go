package wording_test

import (
	"math"
	"testing"
	"time"

	"supernats/consumer/wording"
)

func TestLasted(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                     "0 ms",
		0:                                "0 ms",
		12 * time.Millisecond:            "12 ms",
		999 * time.Millisecond:           "999 ms",
		time.Second:                      "1.0 s",
		3249 * time.Millisecond:          "3.2 s",
		9949 * time.Millisecond:          "9.9 s",
		9951 * time.Millisecond:          "10 s",
		42 * time.Second:                 "42 s",
		59600 * time.Millisecond:         "1 min",
		200 * time.Second:                "3 min 20 s",
		time.Hour - 300*time.Millisecond: "1 h",
		4*time.Hour + 12*time.Minute + 40*time.Second: "4 h 13 min",
		24*time.Hour - 20*time.Second:                 "1 d",
		47*time.Hour + 40*time.Minute:                 "2 d",
		52*time.Hour + 4*time.Minute:                  "2 d 4 h",
		400 * 24 * time.Hour:                          "400 d",
		math.MaxInt64:                                 "106751 d 23 h",
	} {
		if got := wording.Lasted(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestSpans(t *testing.T) {
	for _, tc := range []struct {
		span                          time.Duration
		words, brief, short, inColumn string
	}{
		{span: 0, words: "0 seconds", brief: "0.1 s", short: "0s", inColumn: "0s"},
		{span: 250 * time.Millisecond, words: "0 seconds", brief: "0.2 s", short: "250ms", inColumn: "0s"},
		{span: time.Second, words: "1 second", brief: "1.0 s", short: "1s", inColumn: "1s"},
		{span: 90 * time.Second, words: "90 seconds", brief: "90 s", short: "1m30s", inColumn: "1m30s"},
		{span: time.Minute, words: "1 minute", brief: "60 s", short: "1m", inColumn: "1m0s"},
		{span: 15 * time.Minute, words: "15 minutes", brief: "15 min", short: "15m", inColumn: "15m0s"},
		{span: time.Hour, words: "1 hour", brief: "60 min", short: "1h", inColumn: "1h0m"},
		{
			span:  4*time.Hour + 12*time.Minute + 40*time.Second,
			words: "4 hours", brief: "4 h", short: "4h13m", inColumn: "4h12m",
		},
		{span: 52 * time.Hour, words: "2 days", brief: "52 h", short: "52h", inColumn: "2d4h"},
	} {
		if got := wording.Span(tc.span); got != tc.words {
			t.Errorf("Span of %s is %q, want %q", tc.span, got, tc.words)
		}
		if got := wording.Brief(tc.span); got != tc.brief {
			t.Errorf("Brief of %s is %q, want %q", tc.span, got, tc.brief)
		}
		if got := wording.Rounded(tc.span); got != tc.short {
			t.Errorf("Rounded of %s is %q, want %q", tc.span, got, tc.short)
		}
		if got := wording.Compact(tc.span); got != tc.inColumn {
			t.Errorf("Compact of %s is %q, want %q", tc.span, got, tc.inColumn)
		}
	}
}
