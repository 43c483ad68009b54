package eventlistener_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/bridge/eventlistener"
)

// Whatever comes, each accepted event is answered once and no other, and the
// accepted events are the beginning of what came: nothing is skipped, doubled
// or put together differently.
func FuzzListener(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "READY\n", "ver:3.0 server:",
		python("TICK_5", 1, "when:1201063880") + python("PROCESS_LOG_STDOUT", 2, "processname:进程 channel:stdout\n退出"),
		goport("PROCESS_STATE_EXITED", 1, "processname:é groupname: from_state:Running expected:0 pid:1") +
			goport("X", 2, "\xe4\xb8"),
		envelope("X", 1, 5, "é") + envelope("X", 2, 0, ""),
		envelope("X", 1, -1, ""), envelope("X", 1, eventlistener.MaxPayload, "x"),
		"ver:3.0 server:a serial:1 b serial:2 pool:p poolserial:3 eventname:X len:1\n\xff" + envelope("", 0, 0, ""),
	} {
		for mode := range 3 {
			f.Add([]byte(seed), byte(mode))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, mode byte) {
		length := eventlistener.Length(mode % 3)
		var framed bytes.Buffer
		var out recorder
		accepted := 0
		l, err := eventlistener.New(eventlistener.Config{
			In: bytes.NewReader(stream), Out: &out, Length: length,
			Accept: func(_ context.Context, header, payload []byte) error {
				accepted++
				fmt.Fprintf(&framed, "%s\n%s", header, payload)
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		err = l.Run(context.Background())
		var malformed *eventlistener.HeaderError
		if !errors.Is(err, eventlistener.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) &&
			!errors.As(err, &malformed) {
			t.Errorf("Run: %v", err)
		}
		if want := ready + strings.Repeat(okReady, accepted); strings.Join(out.all(), "") != want {
			t.Errorf("%d events were accepted, answers are %q", accepted, out.all())
		}
		if !bytes.HasPrefix(stream, framed.Bytes()) {
			t.Errorf("accepted was %q of %q", &framed, stream)
		}
		if errors.Is(err, eventlistener.ErrClosed) && framed.Len() != len(stream) {
			t.Errorf("the stream ended well with %d of %d bytes accepted", framed.Len(), len(stream))
		}
	})
}

// withoutDeadline hides t.Deadline, which must not be called in a bubble.
type withoutDeadline struct{ rapid.TB }

// Both kinds of supervisord, any texts, cut into any pieces: every event comes
// byte for byte.
func TestListenerModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(withoutDeadline{t}, func(rt *rapid.T) {
			bytesCounted := rapid.Bool().Draw(rt, "go port")
			text := rapid.OneOf(rapid.String(), rapid.StringMatching(`(processname:[a-z进é😀]{1,9} ?|\n){0,6}`))
			encode, right := python, eventlistener.LengthChars
			if bytesCounted {
				encode, right = goport, eventlistener.LengthBytes
				text = rapid.OneOf(text, rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string {
					return string(b)
				}))
			}
			length := rapid.SampledFrom([]eventlistener.Length{eventlistener.LengthAuto, right}).Draw(rt, "length")
			texts := rapid.SliceOfN(text, 1, 12).Draw(rt, "texts")

			c := start(rt, length, nil)
			defer c.in.Close()
			for i, text := range texts {
				stream := encode("X", i, text)
				for len(stream) > 0 {
					n := rapid.IntRange(1, len(stream)).Draw(rt, "piece")
					c.send(stream[:n])
					stream = stream[n:]
				}
				// Nothing more is sent before the answer.
				for synctest.Wait(); len(c.out.all()) < i+2; synctest.Wait() {
					time.Sleep(grace)
				}
			}
			if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(texts, c.accepted()); diff != "" {
				rt.Errorf("accepted (-want +got):\n%s", diff)
			}
			if w := c.warned(); len(w) > 0 {
				rt.Errorf("warned of %q", w)
			}
		})
	})
}
