package pulse

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/bridge/trouble"
)

func TestLag(t *testing.T) {
	tick := func(l *Lag, late time.Duration) {
		due := time.Now().Add(-late).Unix()
		l.EventRead("TICK_5", fmt.Appendf(nil, "when:%d", due), time.Now())
	}
	for _, tc := range []struct {
		name string
		do   func(l *Lag)
		want []string // words of the trouble; none: there is no trouble
	}{
		{name: "in time", do: func(l *Lag) {
			for range 10 {
				tick(l, time.Second)
				time.Sleep(5 * time.Second)
			}
		}, want: nil},
		{name: "after a restart, those that waited", do: func(l *Lag) {
			for n := range 100 {
				tick(l, time.Duration(100-n)*5*time.Second)
				time.Sleep(10 * time.Millisecond)
			}
		}, want: nil},
		{name: "a clock that was set, once", do: func(l *Lag) {
			tick(l, time.Hour)
			time.Sleep(5 * time.Second)
			tick(l, 0)
			time.Sleep(5 * time.Second)
			tick(l, 0)
		}, want: nil},
		{name: "not understood", do: func(l *Lag) {
			for range 3 {
				l.EventRead("TICK_5", []byte("when:never"), time.Now())
				time.Sleep(5 * time.Second)
			}
		}, want: nil},
		{name: "late, and nobody writes much", do: func(l *Lag) {
			for range 3 {
				l.EventRead("PROCESS_STATE_EXITED", nil, time.Now())
				tick(l, 12*time.Second)
				time.Sleep(5 * time.Second)
			}
		}, want: []string{"12s after they happened", "buffer_size=65536"}},
		{name: "late, in a flood of output", do: func(l *Lag) {
			for range 3 {
				for range 99 {
					l.EventRead("PROCESS_LOG_STDOUT", nil, time.Now())
				}
				l.EventRead("PROCESS_STATE_EXITED", nil, time.Now())
				tick(l, 12*time.Second)
				time.Sleep(5 * time.Second)
			}
		}, want: []string{"12s after they happened", "98 % of its events are output", "supernats-bridge conf"}},
		{name: "dropped in a flood", do: func(l *Lag) {
			for range 99 {
				l.EventRead("PROCESS_COMMUNICATION_STDOUT", nil, time.Now())
			}
			for range 12 {
				l.Dropped.Add(7)
				l.EventRead("PROCESS_LOG_STDERR", nil, time.Now())
				time.Sleep(time.Second)
			}
		}, want: []string{"dropped 84 events", "100 % of its events are output", "supernats-bridge conf"}},
		{name: "dropped in a flood, for moments", do: func(l *Lag) { // the loss says it
			l.Dropped.Add(7)
			l.EventRead("PROCESS_LOG_STDERR", nil, time.Now())
			time.Sleep(5 * time.Second)
			tick(l, time.Second)
			time.Sleep(10 * time.Second)
			l.Dropped.Add(7)
			l.EventRead("PROCESS_LOG_STDERR", nil, time.Now())
		}, want: nil},
		{name: "dropped without a flood", do: func(l *Lag) { // the loss says it
			l.Dropped.Add(7)
			l.EventRead("PROCESS_STATE_EXITED", nil, time.Now())
		}, want: nil},
		{name: "a section for output", do: func(l *Lag) {
			l.Off.Store(true)
			for range 3 {
				tick(l, 12*time.Second)
				time.Sleep(5 * time.Second)
			}
		}, want: nil},
		{name: "over", do: func(l *Lag) {
			for range 3 {
				tick(l, 12*time.Second)
				time.Sleep(5 * time.Second)
			}
			tick(l, time.Second)
		}, want: nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := trouble.New(trouble.Config{Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()})
				tc.do(&Lag{Troubles: list})
				got := list.Lasting()
				if len(got) > 0 != (len(tc.want) > 0) || len(got) > 0 && got[0].Cause != CauseBacklog {
					t.Fatalf("troubles: %v", got)
				}
				for _, want := range tc.want {
					if !strings.Contains(got[0].Text+got[0].Fix, want) {
						t.Errorf("no %q in %s (%s)", want, got[0].Text, got[0].Fix)
					}
				}
			})
		})
	}
}
