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
		{"its event was read", Ending{StoppingRead: true}, false, "STOPPING"},
		{"it says so", Ending{Stopping: answers(true)}, false, "STOPPING"},
		{"it says so a moment later", Ending{Stopping: answers(false, true)}, false, "STOPPING"},
		{"it runs", Ending{Stopping: answers(false, false), Asked: true}, false, "RUNNING"},
		{"nobody listens any more", Ending{Stopping: fails(syscall.ECONNREFUSED)}, false, "GONE"},
		{"nobody listens any more, we were asked to end", Ending{Stopping: fails(syscall.ECONNREFUSED), Asked: true}, false, "STOPPING"},
		{"it does not answer and is gone", Ending{Stopping: fails(errors.New("broken"))}, true, "GONE"},
		{"it does not answer", Ending{Stopping: fails(errors.New("broken"))}, false, ""},
		{"no XML-RPC", Ending{}, false, ""},
		{"no XML-RPC, and it is gone", Ending{}, true, "GONE"},
		{"no XML-RPC, it is gone and we were asked to end", Ending{Asked: true}, true, "STOPPING"},
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
