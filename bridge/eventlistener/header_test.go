package eventlistener

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseHeaderErrors(t *testing.T) {
	for _, tc := range []struct{ name, line, problem string }{
		{"empty", "", "no server: followed by serial:"},
		{"only a newline", "\n", "no server: followed by serial:"},
		{"answer of an echo", "READY", "no server: followed by serial:"},
		{"behind something", "x ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:0", "no server: followed by serial:"},
		{"no server", "ver:3.0 serial:1 pool:p poolserial:1 eventname:E len:0", "no server: followed by serial:"},
		{"serial before server", "ver:3.0 serial:1 server:s pool:p poolserial:1 eventname:E len:0", "no server: followed by serial:"},
		{"no pool", "ver:3.0 server:s serial:1 poolserial:1 eventname:E len:0", "no pool"},
		{"empty pool", "ver:3.0 server:s serial:1 pool: poolserial:1 eventname:E len:0", "no pool"},
		{"no poolserial", "ver:3.0 server:s serial:1 pool:p eventname:E len:0", "no poolserial"},
		{"no eventname", "ver:3.0 server:s serial:1 pool:p poolserial:1 len:0", "no eventname"},
		{"empty eventname", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname: len:0", "no eventname"},
		{"no len", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E", "no len"},
		{"empty len", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:", `len is "", not a number`},
		{"garbled len", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:1x", `len is "1x", not a number`},
		{"carriage return", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:1\r\n", `len is "1\r", not a number`},
		{"negative len", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:-1", "len is -1, allowed are 0 to 67108864"},
		{"len too large", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:67108865", "len is 67108865, allowed are 0 to 67108864"},
		{"len of 20 digits", "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:E len:99999999999999999999", `len is "99999999999999999999", not a number`},
		{"negative serial", "ver:3.0 server:s serial:-1 pool:p poolserial:1 eventname:E len:0", `serial is "-1", not a number`},
		{"serial of 20 digits", "ver:3.0 server:s serial:99999999999999999999 pool:p poolserial:1 eventname:E len:0", `serial is "99999999999999999999", not a number`},
		{"garbled poolserial", "ver:3.0 server:s serial:1 pool:p poolserial:0x1 eventname:E len:0", `poolserial is "0x1", not a number`},
		{"cut", "ver:3.0 server:s serial:1 pool:p poolserial:1 event", "no eventname"},
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
			if !strings.Contains(err.Error(), tc.problem) || !strings.HasPrefix(err.Error(), "malformed event header \"") {
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
	want := Header{Server: "supervisor", Serial: 21, Pool: "supernats", PoolSerial: 10, Event: "PROCESS_COMMUNICATION_STDOUT", Len: 54}
	server := func(name string) Header { h := want; h.Server = name; return h }
	for _, tc := range []struct {
		name, line string
		want       Header
	}{
		{"as supervisord writes it", "ver:3.0 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54\n", want},
		{"without newline", "ver:3.0 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54", want},
		{"another version", "ver:4 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54", want},
		{"another order", "ver:3.0 server:supervisor serial:21 len:54 eventname:PROCESS_COMMUNICATION_STDOUT poolserial:10 pool:supernats", want},
		{"keys not known", "ver:3.0 more:1 server:supervisor serial:21 pool:supernats node:a:b poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54 last", want},
		{"several spaces", "ver:3.0  server:supervisor serial:21  pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54 ", want},
		{"server with spaces", "ver:3.0 server:my own supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54", server("my own supervisor")},
		{"server with colons", "ver:3.0 server:a:b len:9 pool:x serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54", server("a:b len:9 pool:x")},
		{"server with serial:", "ver:3.0 server:a serial:7 b server:c serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54", server("a serial:7 b server:c")},
		{"server empty", "ver:3.0 server: serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54", server("")},
		{"server not ASCII", "ver:3.0 server:é* serial:21 pool:supernats poolserial:10 eventname:PROCESS_COMMUNICATION_STDOUT len:54", server("é*")},
		{
			"largest values", "ver:3.0 server:s serial:18446744073709551615 pool:p:q poolserial:18446744073709551615 eventname:X len:67108864",
			Header{Server: "s", Serial: 1<<64 - 1, Pool: "p:q", PoolSerial: 1<<64 - 1, Event: "X", Len: MaxPayload},
		},
		{
			"smallest values", "ver:3.0 server:s serial:0 pool:p poolserial:0 eventname:X len:0",
			Header{Server: "s", Pool: "p", Event: "X"},
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
	copy(p, "aaaaaaaaa") // nine characters if it was counted anew
	if n := c.count(append(p, "\xba!"...)); n != 5 || c.bytes != 13 {
		t.Fatalf("%d characters in %d bytes", n, c.bytes)
	}
}
