package eventlistener

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseHeaderErrors(t *testing.T) {
	for _, tc := range []struct{ name, line, problem string }{
		{name: "empty", problem: "no server: followed by serial:"},
		{name: "only a newline", line: "\n", problem: "no server: followed by serial:"},
		{name: "answer of an echo", line: "READY", problem: "no server: followed by serial:"},
		{
			name: "after something", line: "x ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:0",
			problem: "no server: followed by serial:",
		},
		{
			name: "no server", line: "ver:3.0 serial:1 pool:p poolserial:1 eventname:E len:0",
			problem: "no server: followed by serial:",
		},
		{
			name: "serial before server", line: "ver:3.0 serial:1 server:s pool:p poolserial:1 eventname:E len:0",
			problem: "no server: followed by serial:",
		},
		{name: "no pool", line: "ver:3.0 server:s serial:1 poolserial:1 eventname:E len:0", problem: "no pool"},
		{
			name: "empty pool", line: "ver:3.0 server:s serial:1 pool: poolserial:1 eventname:E len:0",
			problem: "no pool",
		},
		{name: "no poolserial", line: "ver:3.0 server:s serial:1 pool:p eventname:E len:0", problem: "no poolserial"},
		{name: "no eventname", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 len:0", problem: "no eventname"},
		{
			name: "empty eventname", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname: len:0",
			problem: "no eventname",
		},
		{name: "no len", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E", problem: "no len"},
		{
			name: "empty len", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:",
			problem: `len is "", not a number`,
		},
		{
			name: "garbled len", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:1x",
			problem: `len is "1x", not a number`,
		},
		{
			name: "carriage return", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:1\r\n",
			problem: `len is "1\r", not a number`,
		},
		{
			name: "negative len", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:-1",
			problem: "len is -1, allowed are 0 to 67108864",
		},
		{
			name: "len too large", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:67108865",
			problem: "len is 67108865, allowed are 0 to 67108864",
		},
		{
			name:    "len of 20 digits",
			line:    "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:99999999999999999999",
			problem: `len is "99999999999999999999", not a number`,
		},
		{
			name: "negative serial", line: "ver:3.0 server:s serial:-1 pool:p poolserial:1 eventname:E len:0",
			problem: `serial is "-1", not a number`,
		},
		{
			name:    "serial of 20 digits",
			line:    "ver:3.0 server:s serial:99999999999999999999 pool:p poolserial:1 eventname:E len:0",
			problem: `serial is "99999999999999999999", not a number`,
		},
		{
			name: "garbled poolserial", line: "ver:3.0 server:s serial:1 pool:p poolserial:0x1 eventname:E len:0",
			problem: `poolserial is "0x1", not a number`,
		},
		{name: "cut", line: "ver:3.0 server:s serial:1 pool:p poolserial:1 event", problem: "no eventname"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := ParseHeader([]byte(tc.line))
			var got *HeaderError
			if !errors.As(err, &got) {
				t.Fatalf("ParseHeader(%q) = %+v, %v", tc.line, h, err)
			}
			want := &HeaderError{Line: strings.TrimSuffix(tc.line, "\n"), Problem: tc.problem}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !strings.Contains(err.Error(), tc.problem) ||
				!strings.HasPrefix(err.Error(), "malformed event header \"") {
				t.Errorf("text is %s", err)
			}
			if h != (Header{}) {
				t.Errorf("an error comes with %+v", h)
			}
		})
	}
}

// The text quotes the line, but not a megabyte of it.
func TestHeaderErrorText(t *testing.T) {
	line := []byte("a \"header\" with \x00\x1b[1m\xff" + strings.Repeat("x", 1000))
	kept := string(line)
	_, err := ParseHeader(line)
	if err == nil {
		t.Fatal("no error")
	}
	if want := `"a \"header\" with \x00\x1b[1m\xffxxx`; !strings.Contains(err.Error(), want) {
		t.Errorf("text does not hold %s: %v", want, err)
	}
	if !strings.Contains(err.Error(), "…") || len(err.Error()) > 700 {
		t.Errorf("text of %d bytes: %v", len(err.Error()), err)
	}
	if string(line) != kept {
		t.Errorf("the line was changed to %q", line)
	}
}

func TestParseHeader(t *testing.T) {
	want := Header{
		Server: "supervisor", Serial: 21, Pool: "supernats", PoolSerial: 10, Event: "PROCESS_COMMUNICATION_STDOUT",
		Len: 54,
	}
	server := func(name string) Header { h := want; h.Server = name; return h }
	for _, tc := range []struct {
		name, line string
		want       Header
	}{
		{
			name: "as supervisord writes it",
			line: "ver:3.0 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54\n",
			want: want,
		},
		{
			name: "without newline",
			line: "ver:3.0 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54",
			want: want,
		},
		{
			name: "another version",
			line: "ver:4 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54",
			want: want,
		},
		{
			name: "another order",
			line: "ver:3.0 server:supervisor serial:21 len:54 eventname:PROCESS_COMMUNICATION_STDOUT poolserial:10 pool:supernats",
			want: want,
		},
		{
			name: "keys not known",
			line: "ver:3.0 more:1 server:supervisor serial:21 pool:supernats node:a:b poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54 last",
			want: want,
		},
		{
			name: "several spaces",
			line: "ver:3.0  server:supervisor serial:21  pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54 ",
			want: want,
		},
		{
			name: "server with spaces",
			line: "ver:3.0 server:my own supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54",
			want: server("my own supervisor"),
		},
		{
			name: "server with colons",
			line: "ver:3.0 server:a:b len:9 pool:x serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54",
			want: server("a:b len:9 pool:x"),
		},
		{
			name: "server with serial:",
			line: "ver:3.0 server:a serial:7 b server:c serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54",
			want: server("a serial:7 b server:c"),
		},
		{
			name: "server empty",
			line: "ver:3.0 server: serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54",
			want: server(""),
		},
		{
			name: "server not ASCII",
			line: "ver:3.0 server:é* serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54",
			want: server("é*"),
		},
		{
			name: "largest values", line: "ver:3.0 server:s serial:18446744073709551615 pool:p:q poolserial:18446744073709551615 eventname:X len:67108864",
			want: Header{
				Server: "s", Serial: 1<<64 - 1, Pool: "p:q", PoolSerial: 1<<64 - 1, Event: "X", Len: MaxPayload,
			},
		},
		{
			name: "smallest values", line: "ver:3.0 server:s serial:0 pool:p poolserial:0 eventname:X len:0",
			want: Header{Server: "s", Pool: "p", Event: "X"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseHeader([]byte(tc.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What was counted of a payload is not counted again: the work of a payload of
// many rounds stays linear.
func TestCounterCountsOnce(t *testing.T) {
	var c counter
	p := []byte("进程退\xe5\x87")
	if n := c.count(p); n != 3 || c.bytes != 9 {
		t.Fatalf("%d characters in %d bytes", n, c.bytes)
	}
	copy(p, "aaaaaaaaa") // nine characters if it was counted again
	if n := c.count(append(p, "\xba!"...)); n != 5 || c.bytes != 13 {
		t.Fatalf("%d characters in %d bytes", n, c.bytes)
	}
}
