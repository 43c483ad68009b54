package eventlistener_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"supernats/bridge/eventlistener"
)

// One event over the pipes that supervisord uses: written, accepted, answered.
func BenchmarkEvent(b *testing.B) {
	state := "processname:api_00 groupname:api from_state:STARTING pid:11167"
	for _, payload := range []struct {
		name, text string
		answered   func(time.Duration)
	}{
		{name: "state", text: state},
		{name: "state-timed", text: state, answered: func(time.Duration) {}},
		{
			name: "log-4KiB",
			text: "processname:api_00 groupname:api pid:11167 channel:stdout\n" + strings.Repeat("进程 exit\n", 340),
		},
	} {
		b.Run(payload.name, func(b *testing.B) {
			in, toListener := pipe(b)
			fromListener, out := pipe(b)
			l, err := eventlistener.New(eventlistener.Config{
				In: in, Out: out, Accept: func(context.Context, []byte, []byte) error { return nil }, Answered: payload.answered,
			})
			if err != nil {
				b.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- l.Run(context.Background()) }()
			event := []byte(python("PROCESS_STATE_RUNNING", 1234, payload.text))
			answer := make([]byte, 64)
			b.ReportAllocs()
			b.SetBytes(int64(len(event)))
			for b.Loop() {
				if _, err := toListener.Write(event); err != nil {
					b.Fatal(err)
				}
				if _, err := fromListener.Read(answer); err != nil {
					b.Fatal(err)
				}
			}
			_ = toListener.Close()
			if err := <-done; !errors.Is(err, eventlistener.ErrClosed) {
				b.Fatal(err)
			}
		})
	}
}

// pipe is an os.Pipe for the length of a test.
func pipe(tb testing.TB) (r, w *os.File) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}
