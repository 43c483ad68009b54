package eventlistener_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/eventlistener"
)

func TestNewErrors(t *testing.T) {
	in, out := strings.NewReader(""), io.Discard
	accept := func(context.Context, []byte, []byte) error { return nil }
	for _, tc := range []struct {
		name string
		cfg  eventlistener.Config
	}{
		{name: "nothing", cfg: eventlistener.Config{}},
		{name: "no In", cfg: eventlistener.Config{Out: out, Accept: accept}},
		{name: "no Out", cfg: eventlistener.Config{In: in, Accept: accept}},
		{name: "no Accept", cfg: eventlistener.Config{In: in, Out: out}},
	} {
		if _, err := eventlistener.New(tc.cfg); err == nil {
			t.Errorf("%s: no error", tc.name)
		}
	}
}

// A stream that ends or breaks, and what had been accepted before.
func TestRunErrors(t *testing.T) {
	first := python("TICK_5", 1, "when:1201063880")
	accepted := []string{"when:1201063880"}
	for _, tc := range []struct {
		name, stream string
		want         error // nil: a *HeaderError
		accepted     []string
		text         string
	}{
		{name: "closed at once", want: eventlistener.ErrClosed, text: "closed the event stream"},
		{
			name:     "closed between events",
			stream:   first,
			want:     eventlistener.ErrClosed,
			accepted: accepted,
			text:     "closed the event stream",
		},
		{
			name:     "closed in a header",
			stream:   first + "ver:3.0 server:s",
			accepted: accepted,
			text:     `"ver:3.0 server:s"`,
		},
		{
			name:     "closed after a header",
			stream:   first + envelope("TICK_60", 2, 3, ""),
			want:     io.ErrUnexpectedEOF,
			accepted: accepted,
			text:     "payload of TICK_60 with serial 2",
		},
		{
			name:     "closed in a payload",
			stream:   first + envelope("TICK_60", 2, 3, "ab"),
			want:     io.ErrUnexpectedEOF,
			accepted: accepted,
			text:     "payload of TICK_60 with serial 2",
		},
		{name: "malformed header", stream: first + "hello\nver:", accepted: accepted, text: `"hello"`},
		{
			name:     "negative len",
			stream:   first + envelope("TICK_60", 2, -3, "abc"),
			accepted: accepted,
			text:     "len is -3",
		},
		{
			name:     "len above the limit",
			stream:   first + envelope("TICK_60", 2, eventlistener.MaxPayload+1, "abc"),
			accepted: accepted,
			text:     "len is 67108865",
		},
		{
			name:     "payload longer than its len",
			stream:   first + envelope("TICK_60", 2, 2, "when") + first,
			accepted: append(accepted, "wh"),
			text:     `"enver:3.0 `,
		},
		{
			name:     "header without an end",
			stream:   first + "ver:3.0 server:" + strings.Repeat("s", 1<<20),
			accepted: accepted,
			text:     "longer than 65536 bytes",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			var out recorder
			l, err := eventlistener.New(eventlistener.Config{
				In: strings.NewReader(tc.stream), Out: &out, Length: eventlistener.LengthBytes,
				Accept: func(_ context.Context, _, payload []byte) error {
					got = append(got, string(payload))
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			err = l.Run(context.Background())
			var malformed *eventlistener.HeaderError
			if tc.want == nil && !errors.As(err, &malformed) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Run: %v", err)
			}
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%q does not hold %q", err, tc.text)
			}
			if diff := cmp.Diff(tc.accepted, got); diff != "" {
				t.Errorf("accepted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(1+len(got), len(out.all())); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// READY comes before anything is read, and OK and the next READY in one write.
func TestProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var headers []string
		c := start(t, eventlistener.LengthAuto, func(_ context.Context, header, _ []byte) error {
			headers = append(headers, string(header))
			return nil
		})
		synctest.Wait()
		if diff := cmp.Diff([]string{ready}, c.out.all()); diff != "" {
			t.Fatalf("before an event (-want +got):\n%s", diff)
		}
		for i, payload := range []string{"when:1", "", "when:3"} {
			c.send(python("TICK_5", i, payload))
			synctest.Wait()
			if n := len(c.out.all()); n != i+2 {
				t.Fatalf("%d writes after %d events", n, i+1)
			}
		}
		if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{ready, okReady, okReady, okReady}, c.out.all()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"when:1", "", "when:3"}, c.accepted()); diff != "" {
			t.Errorf("accepted (-want +got):\n%s", diff)
		}
		if want := "ver:3.0 server:supervisor serial:2 pool:supernats poolserial:2 eventname:TICK_5 len:6"; headers[2] != want {
			t.Errorf("header is %q, not %q", headers[2], want)
		}
	})
}

// supervisord may pause anywhere between two bytes.
func TestSlowStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, eventlistener.LengthAuto, nil)
		for _, b := range []byte(python("TICK_5", 1, "when:1201063880")) {
			time.Sleep(time.Hour)
			c.send(string(b))
		}
		if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"when:1201063880"}, c.accepted()); diff != "" {
			t.Errorf("accepted (-want +got):\n%s", diff)
		}
	})
}

func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk is full")
		c := start(t, eventlistener.LengthAuto, func(context.Context, []byte, []byte) error { return full })
		c.send(python("PROCESS_STATE_EXITED", 7, "processname:a groupname:a"))
		err := <-c.done
		if !errors.Is(err, full) || !strings.Contains(err.Error(), "PROCESS_STATE_EXITED with serial 7") {
			t.Errorf("Run: %v", err)
		}
		if diff := cmp.Diff([]string{ready}, c.out.all()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

// As long as Accept blocks, supervisord hears nothing and buffers.
func TestAcceptBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := make(chan struct{})
		c := start(t, eventlistener.LengthAuto, func(context.Context, []byte, []byte) error {
			<-room
			return nil
		})
		c.send(python("TICK_5", 1, "when:1"))
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]string{ready}, c.out.all()); diff != "" {
			t.Fatalf("while Accept blocks (-want +got):\n%s", diff)
		}
		close(room)
		synctest.Wait()
		if diff := cmp.Diff([]string{ready, okReady}, c.out.all()); diff != "" {
			t.Fatalf("after it (-want +got):\n%s", diff)
		}
		if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
			t.Fatal(err)
		}
	})
}

// failing is an Out whose nth write fails.
type failing struct{ left int }

var errPipe = errors.New("broken pipe")

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errPipe
	}
	return len(p), nil
}

func TestWriteFails(t *testing.T) {
	for left, want := range []string{"READY", "answer TICK_5 with serial 1"} {
		accepted := 0
		l, err := eventlistener.New(eventlistener.Config{
			In: strings.NewReader(python("TICK_5", 1, "when:1") + python("TICK_5", 2, "when:2")), Out: &failing{left},
			Accept: func(context.Context, []byte, []byte) error { accepted++; return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Run(context.Background()); !errors.Is(err, errPipe) || !strings.Contains(err.Error(), want) {
			t.Errorf("write %d fails: Run: %v", left, err)
		}
		if accepted != left {
			t.Errorf("write %d fails: %d events accepted", left, accepted)
		}
	}
}

func TestReadFails(t *testing.T) {
	broken := errors.New("input/output error")
	l, err := eventlistener.New(eventlistener.Config{
		In: io.MultiReader(strings.NewReader(python("TICK_5", 1, "when:1")), bufio.NewReader(failingReader{
			broken,
		})), Out: io.Discard,
		Accept: func(context.Context, []byte, []byte) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(context.Background()); !errors.Is(err, broken) || errors.Is(err, eventlistener.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// Run ends with its context wherever it waits, and answers nothing any more.
func TestContextEnds(t *testing.T) {
	for _, tc := range []struct {
		name, sent string
		answers    int
	}{
		{name: "before an event"},
		{name: "between events", sent: python("TICK_5", 1, "when:1"), answers: 1},
		{name: "in a header", sent: "ver:3.0 server:supervisor ser"},
		{name: "after a header", sent: envelope("TICK_5", 1, 6, "")},
		{name: "in a payload", sent: envelope("TICK_5", 1, 6, "whe")},
		{name: "in the pause that tells characters from bytes", sent: envelope("TICK_5", 1, 4, "éé")},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			c := start(t, eventlistener.LengthAuto, nil)
			if tc.sent != "" {
				c.send(tc.sent)
			}
			synctest.Wait()
			c.cancel()
			if err := <-c.done; !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
			if n := len(c.accepted()); n != tc.answers {
				t.Errorf("%d events accepted", n)
			}
			if n := len(c.out.all()) - 1; n != tc.answers {
				t.Errorf("%d events answered", n)
			}
		})
	}
	bubble(t, "in Accept", func(t *testing.T) {
		c := start(t, eventlistener.LengthAuto, func(ctx context.Context, _, _ []byte) error {
			<-ctx.Done()
			return ctx.Err()
		})
		c.send(python("TICK_5", 1, "when:1"))
		synctest.Wait()
		c.cancel()
		if err := <-c.done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if diff := cmp.Diff([]string{ready}, c.out.all()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
	t.Run("over a pipe of the system", func(t *testing.T) {
		in, w := pipe(t)
		out := &recorder{}
		first := make(chan struct{})
		l, err := eventlistener.New(eventlistener.Config{In: in, Out: out, Accept: func(context.Context, []byte, []byte) error {
			close(first)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			_, _ = io.WriteString(w, python("TICK_5", 1, "when:1")+"ver:3.0 ")
			<-first
			cancel()
		}()
		if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

// ending ends the context at the moment an event has been read.
type ending struct {
	io.Reader
	end context.CancelFunc
}

func (e ending) Read(p []byte) (int, error) {
	e.end()
	return e.Reader.Read(p)
}

// An event that comes together with the end is left to the next listener:
// supervisord offers it again.
func TestNothingAcceptedAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	l, err := eventlistener.New(eventlistener.Config{
		In: ending{strings.NewReader(python("TICK_5", 1, "when:1")), cancel}, Out: &out,
		Accept: func(context.Context, []byte, []byte) error {
			t.Error("an event is accepted after the end")
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	if out.String() != ready {
		t.Errorf("answers are %q", &out)
	}
}
