package pulse

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// What supervisord does when the bridge is stopped.
func TestEnding(t *testing.T) {
	answers := func(stopping ...bool) func(context.Context) (bool, error) {
		return func(context.Context) (bool, error) {
			now := stopping[0]
			stopping = stopping[1:]
			return now, nil
		}
	}
	fails := func(err error) func(context.Context) (bool, error) {
		return func(context.Context) (bool, error) { return false, err }
	}
	for _, tc := range []struct {
		name string
		e    Ending
		gone bool
		want string
	}{
		{name: "its event was read", e: Ending{StoppingRead: true}, gone: false, want: "STOPPING"},
		{name: "it says so", e: Ending{Stopping: answers(true)}, gone: false, want: "STOPPING"},
		{name: "it says so a moment later", e: Ending{Stopping: answers(false, true)}, gone: false, want: "STOPPING"},
		{name: "it runs", e: Ending{Stopping: answers(false, false), Asked: true}, gone: false, want: "RUNNING"},
		{name: "nobody listens any more", e: Ending{Stopping: fails(syscall.ECONNREFUSED)}, gone: false, want: "GONE"},
		{
			name: "nobody listens any more, we were asked to end",
			e:    Ending{Stopping: fails(syscall.ECONNREFUSED), Asked: true}, gone: false, want: "STOPPING",
		},
		{
			name: "it does not answer and is gone", e: Ending{Stopping: fails(errors.New("broken"))}, gone: true,
			want: "GONE",
		},
		{name: "it does not answer", e: Ending{Stopping: fails(errors.New("broken"))}, gone: false, want: ""},
		{name: "no XML-RPC", e: Ending{}, gone: false, want: ""},
		{name: "no XML-RPC, and it is gone", e: Ending{}, gone: true, want: "GONE"},
		{name: "no XML-RPC, it is gone and we were asked to end", e: Ending{Asked: true}, gone: true, want: "STOPPING"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tc.e.Gone = func(time.Duration) bool { return tc.gone }
				if got := tc.e.State(); got != tc.want {
					t.Errorf("state %q, want %q", got, tc.want)
				}
			})
		})
	}
}
