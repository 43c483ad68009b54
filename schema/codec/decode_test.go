package codec

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/schema"
	"supernats/schema/schematest"
)

func TestDecode(t *testing.T) {
	cat := schema.Event{Group: "cat", Process: "cat"}
	for _, c := range []struct {
		event, payload string
		whole          bool // the payload is kept whole, as data
		want           schema.Event
	}{
		// Malformed payloads are kept whole.
		{event: schema.ProcessStateExited, whole: true},
		{event: schema.ProcessStateExited, payload: "the cat is dead", whole: true},
		{event: schema.ProcessStateExited, payload: "processname:cat groupname:cat :4", whole: true},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat \xff",
			want:    schema.Event{DataBase64: []byte("processname:cat \xff")},
		},
		{
			event:   schema.ProcessStateExited,
			payload: "groupname:cat from_state:RUNNING expected:0 pid:5",
			whole:   true,
			want:    schema.Event{Group: "cat", FromState: "RUNNING", Expected: new(false), PID: 5},
		},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname:cat expected:0 pid:5",
			whole:   true,
			want:    withProcess(cat, schema.Event{Expected: new(false), PID: 5}),
		},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname:cat from_state:RUNNING",
			whole:   true,
			want:    withProcess(cat, schema.Event{FromState: "RUNNING"}),
		},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname:cat from_state:RUNNING expected:2 pid:x",
			whole:   true,
			want: withProcess(cat, schema.Event{
				FromState: "RUNNING", Extra: map[string]string{"expected": "2", "pid": "x"},
			}),
		},
		{
			event:   schema.ProcessStateStopped,
			payload: "processname:cat groupname:cat from_state:NAPPING",
			whole:   true,
			want:    withProcess(cat, schema.Event{Extra: map[string]string{"from_state": "NAPPING"}}),
		},
		{event: schema.ProcessLogStdout, whole: true},
		{event: schema.ProcessLogStdout, payload: "processname:foo groupname:bar pid:123 channel:stdout", whole: true},
		{event: schema.ProcessLogStdout, payload: "a line\nand one more", whole: true},
		{
			event:   schema.ProcessLogStdout,
			payload: "at:noon\nand one more",
			whole:   true,
			want:    schema.Event{Extra: map[string]string{"at": "noon"}},
		},
		{
			event:   schema.ProcessLogStderr,
			payload: "processname:foo groupname:bar pid:-1 channel:syslog\n",
			want: schema.Event{
				Group: "bar", Process: "foo", Channel: "stderr", Data: new(""), Extra: map[string]string{
					"pid": "-1", "channel": "syslog",
				},
			},
		},
		{event: schema.ProcessCommunicationStdout, payload: "\xff\n", want: schema.Event{DataBase64: []byte("\xff\n")}},
		{event: schema.RemoteCommunication, whole: true},
		{event: schema.RemoteCommunication, payload: "type:a", whole: true},
		{event: schema.RemoteCommunication, payload: "kind:a\nb", whole: true},
		{event: schema.Tick5, whole: true},
		{
			event:   schema.Tick5,
			payload: "when:noon",
			whole:   true,
			want:    schema.Event{Extra: map[string]string{"when": "noon"}},
		},
		{event: schema.ProcessGroupAdded, payload: "\n", whole: true},
		{
			event:   schema.ProcessGroupRemoved,
			payload: "group:foo\n",
			whole:   true,
			want:    schema.Event{Extra: map[string]string{"group": "foo"}},
		},
		{event: schema.SupervisorStateChangeRunning, payload: "all well", whole: true},

		// Bytes that are no UTF-8.
		{
			event:   schema.ProcessLogStdout,
			payload: "processname:foo groupname:bar pid:123 channel:stdout\n\xe4\xbd",
			want: schema.Event{
				Group: "bar", Process: "foo", PID: 123, Channel: "stdout", DataBase64: []byte("\xe4\xbd"),
			},
		},
		{
			event:   schema.RemoteCommunication,
			payload: "type:\xff\n\x00\xff",
			want:    schema.Event{Type: "\uFFFD", DataBase64: []byte("\x00\xff")},
		},
		{
			event:   schema.ProcessStateFatal,
			payload: "processname:a\xff groupname:b\xff from_state:BACKOFF c\xff:d\xff",
			want: schema.Event{
				Group: "b\uFFFD", Process: "a\uFFFD", FromState: "BACKOFF", Extra: map[string]string{
					"c\uFFFD": "d\uFFFD",
				},
			},
		},

		// The Go port of supervisord.
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname: from_state:Running expected:0",
			want:    withProcess(cat, schema.Event{FromState: "RUNNING", Expected: new(false)}),
		},
		{
			event:   schema.ProcessStateStarting,
			payload: "processname:cat groupname: from_state:Backoff tries:2",
			want:    withProcess(cat, schema.Event{FromState: "BACKOFF", Tries: new(2)}),
		},
		{
			event:   schema.ProcessLogStdout,
			payload: "processname:cat groupname: pid:7\na line\n",
			want:    withProcess(cat, schema.Event{PID: 7, Channel: "stdout", Data: new("a line\n")}),
		},
		{
			event:   schema.ProcessCommunicationStderr,
			payload: "processname:cat groupname: pid:-1\nhello",
			want: withProcess(cat, schema.Event{
				Channel: "stderr", Data: new("hello"), Extra: map[string]string{"pid": "-1"},
			}),
		},

		// Names and values at the edge of what is legal.
		{
			event:   schema.ProcessStateRunning,
			payload: "processname:my.app-weird*>é groupname:a\u00a0b\tc from_state:STARTING pid:1",
			want:    schema.Event{Group: "a\u00a0b\tc", Process: "my.app-weird*>é", FromState: "STARTING", PID: 1},
		},
		{
			event:   schema.ProcessStateStopped,
			payload: "processname:cat groupname:cat from_state:BACKOFF pid:0",
			want:    withProcess(cat, schema.Event{FromState: "BACKOFF"}),
		},
		{
			event:   schema.ProcessStateBackoff,
			payload: "processname:cat groupname:cat from_state:STARTING tries:1 host:a:b",
			want: withProcess(cat, schema.Event{
				FromState: "STARTING", Tries: new(1), Extra: map[string]string{"host": "a:b"},
			}),
		},
		{
			event:   schema.ProcessLogStdout,
			payload: "processname:foo groupname:bar pid:123 channel:stdout\n",
			want:    schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("")},
		},
		{
			event:   schema.ProcessLogStdout,
			payload: "processname:foo groupname:bar pid:123 channel:stdout\nprocessname:x\n\x1b[1m\x00<&>\u2028",
			want: schema.Event{
				Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("processname:x\n\x1b[1m\x00<&>\u2028"),
			},
		},
		{event: schema.RemoteCommunication, payload: "type:\n", want: schema.Event{Data: new("")}},
		{
			event:   schema.RemoteCommunication,
			payload: "type:a type: with colons\nfoo:bar\nbaz",
			want:    schema.Event{Type: "a type: with colons", Data: new("foo:bar\nbaz")},
		},
		{event: schema.Tick3600, payload: "when:-1", want: schema.Event{When: new(int64(-1))}},

		// Events that no one knows.
		{
			event:   "PROCESS_STATE_FROZEN",
			payload: "processname:cat groupname:cat from_state:RUNNING depth:3",
			want:    withProcess(cat, schema.Event{FromState: "RUNNING", Extra: map[string]string{"depth": "3"}}),
		},
		{
			event:   "PROCESS_LOG_AUDIT",
			payload: "processname:cat groupname:cat pid:1\nx",
			want:    withProcess(cat, schema.Event{PID: 1, Data: new("x")}),
		},
		{event: "FROZEN"},
		{event: "FROZEN", payload: "so it is", whole: true},
		{event: "FROZEN", payload: "depth:3\n", want: schema.Event{Extra: map[string]string{"depth": "3"}}},
		{
			event:   "FROZEN",
			payload: "depth:3\nbrr\n",
			want:    schema.Event{Extra: map[string]string{"depth": "3"}, Data: new("brr\n")},
		},
		{
			event:   "FROZEN\xff",
			payload: "processname:cat",
			want:    schema.Event{Event: "FROZEN\uFFFD", Group: "cat", Process: "cat"},
		},

		// Every event as Python's supervisord sends it.
		{
			event:   schema.ProcessStateStopped,
			payload: "processname:cat groupname:cat from_state:STOPPING pid:2766",
			want:    withProcess(cat, schema.Event{FromState: "STOPPING", PID: 2766}),
		},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname:cat from_state:RUNNING expected:0 pid:2766",
			want:    withProcess(cat, schema.Event{FromState: "RUNNING", PID: 2766, Expected: new(false)}),
		},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname:cat from_state:RUNNING expected:1 pid:2766",
			want:    withProcess(cat, schema.Event{FromState: "RUNNING", PID: 2766, Expected: new(true)}),
		},
		{
			event:   schema.ProcessStateStarting,
			payload: "processname:cat groupname:cat from_state:STOPPED tries:0",
			want:    withProcess(cat, schema.Event{FromState: "STOPPED", Tries: new(0)}),
		},
		{
			event:   schema.ProcessStateStopping,
			payload: "processname:cat groupname:cat from_state:RUNNING pid:2766",
			want:    withProcess(cat, schema.Event{FromState: "RUNNING", PID: 2766}),
		},
		{
			event:   schema.ProcessStateBackoff,
			payload: "processname:cat groupname:cat from_state:STARTING tries:0",
			want:    withProcess(cat, schema.Event{FromState: "STARTING", Tries: new(0)}),
		},
		{
			event:   schema.ProcessStateFatal,
			payload: "processname:cat groupname:cat from_state:BACKOFF",
			want:    withProcess(cat, schema.Event{FromState: "BACKOFF"}),
		},
		{
			event:   schema.ProcessStateRunning,
			payload: "processname:cat groupname:cat from_state:STARTING pid:2766",
			want:    withProcess(cat, schema.Event{FromState: "STARTING", PID: 2766}),
		},
		{
			event:   schema.ProcessStateUnknown,
			payload: "processname:cat groupname:cat from_state:BACKOFF",
			want:    withProcess(cat, schema.Event{FromState: "BACKOFF"}),
		},
		{
			event:   schema.ProcessCommunicationStdout,
			payload: "processname:foo groupname:bar pid:123\nhello",
			want:    schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("hello")},
		},
		{
			event:   schema.ProcessCommunicationStderr,
			payload: "processname:foo groupname:bar pid:123\nhello",
			want:    schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stderr", Data: new("hello")},
		},
		{
			event:   schema.ProcessLogStdout,
			payload: "processname:foo groupname:bar pid:123 channel:stdout\n进程退出\n",
			want:    schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("进程退出\n")},
		},
		{
			event:   schema.ProcessLogStderr,
			payload: "processname:foo groupname:bar pid:123 channel:stderr\nhello\n",
			want:    schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stderr", Data: new("hello\n")},
		},
		{
			event:   schema.RemoteCommunication,
			payload: "type:TYPE\nhello",
			want:    schema.Event{Type: "TYPE", Data: new("hello")},
		},
		{event: schema.SupervisorStateChangeRunning},
		{event: schema.SupervisorStateChangeStopping},
		{event: schema.Tick5, payload: "when:1201063880", want: schema.Event{When: new(int64(1201063880))}},
		{event: schema.Tick60, payload: "when:1201063860", want: schema.Event{When: new(int64(1201063860))}},
		{event: schema.Tick3600, payload: "when:1201060800", want: schema.Event{When: new(int64(1201060800))}},
		{event: schema.ProcessGroupAdded, payload: "groupname:foo\n", want: schema.Event{Group: "foo"}},
		{event: schema.ProcessGroupRemoved, payload: "groupname:foo\n", want: schema.Event{Group: "foo"}},
	} {
		r := raw(c.event, c.payload)
		want := c.want
		if want.Event == "" {
			want.Event = c.event
		}
		if c.whole {
			want.Data = new(c.payload)
		}
		want.Host, want.Server, want.Boot, want.Serial, want.Pool, want.PoolSerial = testHost, "supervisor", testBoot, 21, "supernats", 10
		got := Decode(r, testHost, testBoot)
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", c.event, c.payload, diff)
		}
		checkDecode(t, r, testHost)
	}
}

// withProcess returns an event about the process of another one.
func withProcess(of, e schema.Event) schema.Event {
	e.Group, e.Process = of.Group, of.Process
	return e
}

func TestUnexpectedExit(t *testing.T) {
	for _, c := range []struct {
		event, payload string
		want           bool
	}{
		{event: schema.ProcessStateExited},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname:cat from_state:RUNNING expected:1 pid:1",
		},
		{event: schema.ProcessStateFatal, payload: "processname:cat groupname:cat from_state:RUNNING expected:0"},
		{event: schema.ProcessStateExited, payload: "processname:cat expected:0", want: true},
		{
			event:   schema.ProcessStateExited,
			payload: "processname:cat groupname:cat from_state:RUNNING expected:0 pid:1",
			want:    true,
		},
	} {
		if got := Decode(raw(c.event, c.payload), testHost, testBoot).UnexpectedExit(); got != c.want {
			t.Errorf("%s %q: UnexpectedExit is %t", c.event, c.payload, got)
		}
	}
}

// checkDecode holds what Decode promises for every r: its event is valid, is
// read back as it was written, has lost none of the text, and shares no memory
// with the payload.
func checkDecode(t schematest.Fataler, r Raw, host string) {
	t.Helper()
	payload := bytes.Clone(r.Payload)
	e := Decode(r, host, testBoot)
	for i := range r.Payload {
		r.Payload[i] = 'X'
	}
	ce := e.Envelope(testTime)
	b := marshal(t, ce)
	if refused := schematest.Refused(t, "event", b); refused != nil {
		t.Fatalf("%s %q: %s\nis refused for %q", r.Event, payload, b, refused)
	}
	back, err := UnmarshalEvent(b)
	if err != nil {
		t.Fatalf("%s %q: %v", r.Event, payload, err)
	}
	if diff := cmp.Diff(ce, back); diff != "" {
		t.Fatalf("%s %q (-written +read):\n%s", r.Event, payload, diff)
	}
	text := textOf(e)
	_, tail, _ := bytes.Cut(payload, []byte("\n"))
	switch {
	case utf8.Valid(text) != (e.DataBase64 == nil):
		t.Fatalf("%s %q: text %q is not where it belongs", r.Event, payload, text)
	case (e.Data != nil || e.DataBase64 != nil) && !bytes.Equal(text, payload) && !bytes.Equal(text, tail):
		t.Fatalf("%s %q: data is %q", r.Event, payload, text)
	}
}

func TestDecodeIsValid(t *testing.T) {
	names := rapid.OneOf(
		rapid.SampledFrom(schema.Names()),
		rapid.SampledFrom([]string{
			"PROCESS_STATE", "PROCESS_LOG", "PROCESS_LOG_STDIN", "PROCESS_STATE_", "PROCESS_COMMUNICATION_\xff",
			"tick_5", "-", "EVENT",
		}),
		rapid.StringN(1, 20, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 300), func(b []byte) string { return string(b) }),
	)
	pairs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		key := rapid.SampledFrom([]string{
			"processname", "groupname", "from_state", "expected", "pid", "tries", "when", "channel", "type", "data",
			"part", "", "\xff",
		}).Draw(t, "key")
		value := rapid.SampledFrom([]string{
			"", "cat", "RUNNING", "Running", "ſtopped", "0", "1", "-1", "2766", "9223372036854775808", "stdout",
			"stderr", "é", "\xff", "a:b", "\u00a0", "+3",
		}).Draw(t, "value")
		return key + rapid.SampledFrom([]string{":", ":", ":", ":", ""}).Draw(t, "colon") + value
	}), 0, 7)
	payloads := rapid.OneOf(
		rapid.SliceOf(rapid.Byte()),
		rapid.Custom(func(t *rapid.T) []byte {
			sep := rapid.SampledFrom([]string{" ", " ", " ", "\n", "  "}).Draw(t, "sep")
			return []byte(strings.Join(pairs.Draw(t, "pairs"), sep) +
				rapid.SampledFrom([]string{"", "\n", "\ntext", "\n\xff", "\n\n"}).Draw(t, "tail"))
		}),
	)
	rapid.Check(t, func(t *rapid.T) {
		checkDecode(t, Raw{
			Event: names.Draw(t, "event"), Server: schematest.AnyName().Draw(t, "server"), Pool: schematest.AnyName().Draw(t, "pool"),
			Serial: rapid.Uint64().Draw(t, "serial"), PoolSerial: rapid.Uint64().Draw(t, "poolserial"),
			Payload: payloads.Draw(t, "payload"),
		}, rapid.StringN(1, 40, -1).Draw(t, "host"))
	})
}

func FuzzDecode(f *testing.F) {
	for _, n := range schema.Names() {
		f.Add(n, []byte("processname:cat groupname:cat from_state:RUNNING expected:0 pid:2766"))
		f.Add(n, []byte("processname:foo groupname:bar pid:123 channel:stdout\nhello\xff"))
	}
	f.Add(schema.RemoteCommunication, []byte("type:a b:c\nhello"))
	f.Add(schema.Tick5, []byte("when:1201063880"))
	f.Add("FROZEN", []byte("a:b \n"))
	f.Fuzz(func(t *testing.T, event string, payload []byte) {
		if event == "" {
			return // no header line is without a name
		}
		checkDecode(t, Raw{Event: event, Server: "supervisor", Pool: "supernats", Payload: payload}, testHost)
	})
}
