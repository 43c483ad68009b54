package eventlistener_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/eventlistener"
)

func TestLengthText(t *testing.T) {
	for _, bad := range []string{"", "Chars", "runes", "0"} {
		var l eventlistener.Length
		if err := l.UnmarshalText([]byte(bad)); err == nil ||
			!strings.Contains(err.Error(), "want auto, chars or bytes") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for name, want := range map[string]eventlistener.Length{
		"auto": eventlistener.LengthAuto, "chars": eventlistener.LengthChars, "bytes": eventlistener.LengthBytes,
	} {
		var l eventlistener.Length
		if err := l.UnmarshalText([]byte(name)); err != nil || l != want || l.String() != name {
			t.Errorf("%q is %v, %v", name, l, err)
		}
	}
}

// grace is the longest pause that the listener makes to find out.
const grace = 100 * time.Millisecond

// How len is counted is found out once, and remembered.
func TestLength(t *testing.T) {
	const exit, ascii = "processname:进程退出 groupname:é", "processname:api groupname:api"
	texts := []string{ascii, exit, "", exit, "进", "a進", ascii, exit}
	for _, tc := range []struct {
		name   string
		length eventlistener.Length
		encode func(string, int, string) string
		texts  []string
		took   time.Duration
	}{
		{name: "python, auto", length: eventlistener.LengthAuto, encode: python, texts: texts},
		{name: "python, chars", length: eventlistener.LengthChars, encode: python, texts: texts},
		{
			name:   "go port, auto",
			length: eventlistener.LengthAuto,
			encode: goport,
			texts:  texts,
			took:   grace,
		},
		{name: "go port, bytes", length: eventlistener.LengthBytes, encode: goport, texts: texts},
		{
			name:   "go port, auto, only ASCII",
			length: eventlistener.LengthAuto,
			encode: goport,
			texts:  []string{ascii, "", ascii},
		},
		{
			name:   "go port, auto, a character cut at the end",
			length: eventlistener.LengthAuto,
			encode: goport,
			texts:  []string{"a\xe8\xbf", ascii, "\xe8", "a\xf0\x9f\x98", exit},
			took:   grace,
		},
		{
			name:   "go port, bytes, a character cut at the end",
			length: eventlistener.LengthBytes,
			encode: goport,
			texts:  []string{"a\xe8\xbf", ascii, "\xe8", exit},
		},
		{
			name:   "go port, auto, bytes that are no text",
			length: eventlistener.LengthAuto,
			encode: goport,
			texts:  []string{"\xff\xfe\x80\x80", ascii, exit, "\x80"},
			took:   grace,
		},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			c := start(t, tc.length, nil)
			begin := time.Now()
			for i, text := range tc.texts {
				c.send(tc.encode("PROCESS_LOG_STDOUT", i, text))
				for synctest.Wait(); len(c.out.all()) < i+2; synctest.Wait() {
					time.Sleep(grace / 4)
				}
			}
			if took := time.Since(begin); took != tc.took {
				t.Errorf("it waited for %v, not for %v", took, tc.took)
			}
			if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.texts, c.accepted()); diff != "" {
				t.Errorf("accepted (-want +got):\n%s", diff)
			}
			if w := c.warned(); len(w) > 0 {
				t.Errorf("warned of %q", w)
			}
		})
	}
}

// In bytes, nothing more is waited for, whatever comes.
func TestLengthForced(t *testing.T) {
	for _, tc := range []struct {
		length eventlistener.Length
		want   []string
	}{
		{length: eventlistener.LengthBytes, want: []string{"é", "é"}},
		{length: eventlistener.LengthChars, want: []string{"éa", "bé"}}, // takes what follows for the rest
	} {
		bubble(t, tc.length.String(), func(t *testing.T) {
			c := start(t, tc.length, nil)
			for i, text := range tc.want {
				c.send(envelope("X", i, 2, text))
				synctest.Wait()
			}
			if diff := cmp.Diff(tc.want, c.accepted()); diff != "" {
				t.Errorf("accepted (-want +got):\n%s", diff)
			}
			if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
				t.Fatal(err)
			}
		})
	}
}

// A silence inside of an event makes characters look like bytes. The event has
// then lost its end, and all that follow are whole.
func TestWrongGuess(t *testing.T) {
	next := python("TICK_5", 2, "when:2")
	for _, tc := range []struct {
		name, text string
		pieces     int // length of the pieces in which the rest and the next event come; 0: all at once
	}{
		{name: "between characters", text: "进程退"},
		{name: "a character cut after one byte", text: "进程退出"},
		{name: "a character cut after three bytes", text: "😀😀😀"},
		{name: "line breaks in the rest", text: "进程退出\n\nver:\n退\n"},
		{name: "a line break at its end", text: "进程退出\n"},
		{name: "the rest byte by byte", text: "a进程退出", pieces: 1},
		{name: "the rest in threes", text: "a进程退出", pieces: 3},
		{name: "a rest longer than a header can be", text: strings.Repeat("退出", 100_000)},
		{name: "a rest of many lines", text: strings.Repeat("退\n", 100_000), pieces: 10_000},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			c := start(t, eventlistener.LengthAuto, nil)
			first := python("PROCESS_LOG_STDOUT", 1, tc.text)
			chars := len([]rune(tc.text))
			at := len(first) - len(tc.text) + chars
			c.send(first[:at])
			time.Sleep(2 * grace)
			if diff := cmp.Diff([]string{tc.text[:chars]}, c.accepted()); diff != "" {
				t.Fatalf("accepted after the silence (-want +got):\n%s", diff)
			}
			rest := first[at:] + next
			n := tc.pieces
			if n == 0 {
				n = len(rest)
			}
			for ; rest != ""; rest = rest[min(n, len(rest)):] {
				time.Sleep(2 * grace)
				c.send(rest[:min(n, len(rest))])
			}
			// From now on characters are counted, without any pause.
			c.send(python("PROCESS_LOG_STDOUT", 3, tc.text))
			synctest.Wait()
			if diff := cmp.Diff([]string{tc.text[:chars], "when:2", tc.text}, c.accepted()); diff != "" {
				t.Errorf("accepted (-want +got):\n%s", diff)
			}
			want := fmt.Sprintf("its last %d bytes were lost", len(tc.text)-chars)
			if w := c.warned(); len(w) != 1 || !strings.Contains(w[0], want) {
				t.Errorf("warned of %q, not that %s", w, want)
			}
			if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
				t.Fatal(err)
			}
		})
	}
	bubble(t, "the stream ends in the rest", func(t *testing.T) {
		c := start(t, eventlistener.LengthAuto, nil)
		c.send(envelope("X", 1, 4, "进\xe7"))
		time.Sleep(2 * grace)
		c.send("\xa8\x8b退")
		if err := c.end(); !errors.Is(err, io.EOF) || errors.Is(err, eventlistener.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
	})
	bubble(t, "the stream ends before the rest", func(t *testing.T) {
		c := start(t, eventlistener.LengthAuto, nil)
		c.send(envelope("X", 1, 4, "进\xe7"))
		time.Sleep(2 * grace)
		if err := c.end(); !errors.Is(err, eventlistener.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
	})
}

// counting counts what the listener takes from the stream.
type counting struct {
	io.Reader
	bytes, reads int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes += n
	c.reads++
	return n, err
}

// Work and memory grow with the payload, not faster.
func TestSizes(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		name, text string
		encode     func(string, int, string) string
		length     eventlistener.Length
	}{
		{name: "empty", encode: python, length: eventlistener.LengthAuto},
		{
			name:   "64 KiB",
			text:   strings.Repeat("a", 64<<10),
			encode: python,
			length: eventlistener.LengthAuto,
		},
		{
			name:   "64 KiB of 2-byte characters",
			text:   strings.Repeat("é", 32<<10),
			encode: python,
			length: eventlistener.LengthAuto,
		},
		{
			name:   "8 MiB of 3-byte characters",
			text:   strings.Repeat("退", 8*mib/3),
			encode: python,
			length: eventlistener.LengthAuto,
		},
		{
			name:   "8 MiB of 4-byte characters",
			text:   strings.Repeat("😀", 2*mib),
			encode: python,
			length: eventlistener.LengthChars,
		},
		{
			name:   "8 MiB of 4-byte characters after ASCII",
			text:   strings.Repeat("a", mib) + strings.Repeat("😀", 2*mib),
			encode: python,
			length: eventlistener.LengthChars,
		},
		{
			name:   "8 MiB that are no text",
			text:   strings.Repeat("\xff\xe4", 4*mib),
			encode: goport,
			length: eventlistener.LengthBytes,
		},
		{
			name:   "the largest",
			text:   strings.Repeat("x", eventlistener.MaxPayload),
			encode: goport,
			length: eventlistener.LengthBytes,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stream := tc.encode("PROCESS_LOG_STDOUT", 1, tc.text) + python("TICK_5", 2, "when:2")
			in := &counting{Reader: strings.NewReader(stream)}
			var got []bool
			l, err := eventlistener.New(eventlistener.Config{
				In: in, Out: io.Discard, Length: tc.length,
				Accept: func(_ context.Context, _, payload []byte) error {
					got = append(got, string(payload) == tc.text || len(got) == 1 && string(payload) == "when:2")
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := l.Run(context.Background()); !errors.Is(err, eventlistener.ErrClosed) {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if diff := cmp.Diff([]bool{true, true}, got); diff != "" {
				t.Errorf("events that came whole (-want +got):\n%s", diff)
			}
			if in.bytes != len(stream) {
				t.Errorf("%d of %d bytes were read", in.bytes, len(stream))
			}
			if most := 100 + len(stream)/(16<<10); in.reads > most {
				t.Errorf("%d reads for %d bytes, expected at most %d", in.reads, len(stream), most)
			}
			if most := uint64(4*mib + 8*len(stream)); after.TotalAlloc-before.TotalAlloc > most {
				t.Errorf("%d bytes allocated for a stream of %d", after.TotalAlloc-before.TotalAlloc, len(stream))
			}
		})
	}
}

// A header that promises much is not believed before it comes.
func TestPromisedLength(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l, err := eventlistener.New(eventlistener.Config{
		In: strings.NewReader(envelope("X", 1, eventlistener.MaxPayload, "little")), Out: io.Discard,
		Accept: func(context.Context, []byte, []byte) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(context.Background()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

// A large payload does not stay in memory after its event, and a small one
// takes no memory at all.
func TestAllocations(t *testing.T) {
	const events = 1000
	stream := python("X", 1, strings.Repeat("退", 4<<20)) +
		strings.Repeat(python("PROCESS_LOG_STDOUT", 2, "processname:进程退出"), events)
	var seen int
	var before, after runtime.MemStats
	l, err := eventlistener.New(eventlistener.Config{
		In: strings.NewReader(stream), Out: io.Discard,
		Accept: func(context.Context, []byte, []byte) error {
			switch seen++; seen {
			case 3:
				runtime.GC()
				runtime.ReadMemStats(&before)
			case events:
				runtime.ReadMemStats(&after)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(context.Background()); !errors.Is(err, eventlistener.ErrClosed) {
		t.Fatal(err)
	}
	if n := after.Mallocs - before.Mallocs; n > events/10 {
		t.Errorf("%d allocations for %d events", n, events)
	}
	if held := int(before.HeapAlloc) - len(stream); held > 8<<20 {
		t.Errorf("%d bytes are held after a payload of 12 MiB", held)
	}
}
