package pulse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/bridge/trouble"
)

// written is a log into which a test writes.
type written struct {
	mu     sync.Mutex
	deaths []Death
	err    error
}

func (w *written) follow(context.Context) (DeathLog, error) {
	return w, w.err
}

func (w *written) add(deaths ...Death) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaths = append(w.deaths, deaths...)
}

func (w *written) Next(context.Context) ([]Death, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.deaths = nil }()
	return w.deaths, w.err
}

func (w *written) Close() {}

func TestLateDeaths(t *testing.T) {
	api := Death{Process: "api", Reason: "SIGKILL"}
	web := Death{Process: "web", Reason: "exit status 3"}
	for _, tc := range []struct {
		name string
		do   func(l *LateDeaths, w *written)
		want string
	}{
		{name: "no rush", do: func(l *LateDeaths, w *written) {
			w.add(api)
			time.Sleep(time.Minute)
		}, want: ""},
		{name: "in time", do: func(l *LateDeaths, w *written) {
			rush(l)
			w.add(api)
			time.Sleep(time.Second)
			l.EventRead("PROCESS_STATE_EXITED", []byte("processname:api groupname:api from_state:RUNNING expected:0 pid:1"), time.Now())
			time.Sleep(10 * time.Second)
		}, want: ""},
		{name: "late", do: func(l *LateDeaths, w *written) {
			rush(l)
			w.add(api, web)
			l.EventRead("PROCESS_STATE_EXITED", []byte("processname:other groupname:api"), time.Now())
			l.EventRead("PROCESS_STATE_STARTING", []byte("processname:api groupname:api"), time.Now())
			time.Sleep(2500 * time.Millisecond)
		}, want: "supervisord's log has deaths whose events have not come: api exited (SIGKILL), web exited (exit status 3)"},
		{name: "one came", do: func(l *LateDeaths, w *written) {
			rush(l)
			w.add(api, api, web)
			time.Sleep(5 * time.Second)
			l.EventRead("PROCESS_STATE_BACKOFF", []byte("processname:web groupname:web"), time.Now())
			l.EventRead("PROCESS_STATE_EXITED", []byte("processname:api groupname:api"), time.Now())
			time.Sleep(time.Second)
		}, want: "supervisord's log has deaths whose events have not come: api exited (SIGKILL)"},
		{name: "all came", do: func(l *LateDeaths, w *written) {
			rush(l)
			w.add(api)
			time.Sleep(5 * time.Second)
			l.EventRead("PROCESS_STATE_EXITED", []byte("processname:api groupname:api"), time.Now())
			time.Sleep(time.Second)
		}, want: ""},
		{name: "many", do: func(l *LateDeaths, w *written) {
			rush(l)
			for range 2 * maxLate {
				w.add(Death{Process: "x", Reason: "unknown reason"})
			}
			time.Sleep(5 * time.Second)
		}, want: "supervisord's log has deaths whose events have not come: x exited (unknown reason)" +
			strings.Repeat(", x exited (unknown reason)", namedLate-1) + fmt.Sprintf(" and %d more", maxLate-namedLate)},
		{name: "the rush is over", do: func(l *LateDeaths, w *written) {
			rush(l)
			w.add(api)
			time.Sleep(rushLasts + 2*time.Second)
		}, want: ""},
		{name: "it continues", do: func(l *LateDeaths, w *written) {
			for range 10 {
				rush(l)
				time.Sleep(20 * time.Second)
			}
			w.add(api)
			time.Sleep(4 * time.Second)
		}, want: "supervisord's log has deaths whose events have not come: api exited (SIGKILL)"},
		{name: "no log", do: func(l *LateDeaths, w *written) {
			w.err = errors.New("no log")
			for range 3 {
				rush(l)
				time.Sleep(20 * time.Second)
			}
		}, want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w written
				list := trouble.New(trouble.Config{Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()})
				l := NewLateDeaths(list, w.follow)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					l.Run(ctx)
				}()
				synctest.Wait()
				tc.do(l, &w)
				synctest.Wait()
				got := ""
				if lasting := list.Lasting(); len(lasting) > 0 {
					got = lasting[0].Text
				}
				if got != tc.want {
					t.Errorf("trouble is %q, want %q", got, tc.want)
				}
				cancel()
				<-done
			})
		})
	}
}

// rush is as many events as make one.
func rush(l *LateDeaths) {
	for range rushEvents {
		l.EventRead("PROCESS_LOG_STDOUT", nil, time.Now())
	}
	synctest.Wait()
}
