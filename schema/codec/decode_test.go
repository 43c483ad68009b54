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
		want           schema.Event
	}{
		// Malformed payloads are kept whole.
		{schema.ProcessStateExited, "", schema.Event{Data: new("")}},
		{schema.ProcessStateExited, "the cat is dead", schema.Event{Data: new("the cat is dead")}},
		{schema.ProcessStateExited, "processname:cat groupname:cat :4", schema.Event{Data: new("processname:cat groupname:cat :4")}},
		{schema.ProcessStateExited, "processname:cat \xff", schema.Event{DataBase64: []byte("processname:cat \xff")}},
		{schema.ProcessStateExited, "groupname:cat from_state:RUNNING expected:0 pid:5", schema.Event{
			Group: "cat", FromState: "RUNNING", Expected: new(false), PID: 5, Data: new("groupname:cat from_state:RUNNING expected:0 pid:5"),
		}},
		{schema.ProcessStateExited, "processname:cat groupname:cat expected:0 pid:5", schema.Event{
			Group: "cat", Process: "cat", Expected: new(false), PID: 5, Data: new("processname:cat groupname:cat expected:0 pid:5"),
		}},
		{schema.ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING", schema.Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Data: new("processname:cat groupname:cat from_state:RUNNING"),
		}},
		{schema.ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:2 pid:x", schema.Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Extra: map[string]string{"expected": "2", "pid": "x"},
			Data: new("processname:cat groupname:cat from_state:RUNNING expected:2 pid:x"),
		}},
		{schema.ProcessStateStopped, "processname:cat groupname:cat from_state:NAPPING", schema.Event{
			Group: "cat", Process: "cat", Extra: map[string]string{"from_state": "NAPPING"}, Data: new("processname:cat groupname:cat from_state:NAPPING"),
		}},
		{schema.ProcessLogStdout, "", schema.Event{Data: new("")}},
		{schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout", schema.Event{Data: new("processname:foo groupname:bar pid:123 channel:stdout")}},
		{schema.ProcessLogStdout, "a line\nand one more", schema.Event{Data: new("a line\nand one more")}},
		{schema.ProcessLogStdout, "at:noon\nand one more", schema.Event{Extra: map[string]string{"at": "noon"}, Data: new("at:noon\nand one more")}},
		{schema.ProcessLogStderr, "processname:foo groupname:bar pid:-1 channel:syslog\n", schema.Event{
			Group: "bar", Process: "foo", Channel: "stderr", Data: new(""), Extra: map[string]string{"pid": "-1", "channel": "syslog"},
		}},
		{schema.ProcessCommunicationStdout, "\xff\n", schema.Event{DataBase64: []byte("\xff\n")}},
		{schema.RemoteCommunication, "", schema.Event{Data: new("")}},
		{schema.RemoteCommunication, "type:a", schema.Event{Data: new("type:a")}},
		{schema.RemoteCommunication, "kind:a\nb", schema.Event{Data: new("kind:a\nb")}},
		{schema.Tick5, "", schema.Event{Data: new("")}},
		{schema.Tick5, "when:noon", schema.Event{Extra: map[string]string{"when": "noon"}, Data: new("when:noon")}},
		{schema.ProcessGroupAdded, "\n", schema.Event{Data: new("\n")}},
		{schema.ProcessGroupRemoved, "group:foo\n", schema.Event{Extra: map[string]string{"group": "foo"}, Data: new("group:foo\n")}},
		{schema.SupervisorStateChangeRunning, "all well", schema.Event{Data: new("all well")}},

		// Bytes that are no UTF-8.
		{schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n\xe4\xbd", schema.Event{
			Group: "bar", Process: "foo", PID: 123, Channel: "stdout", DataBase64: []byte("\xe4\xbd"),
		}},
		{schema.RemoteCommunication, "type:\xff\n\x00\xff", schema.Event{Type: "\uFFFD", DataBase64: []byte("\x00\xff")}},
		{schema.ProcessStateFatal, "processname:a\xff groupname:b\xff from_state:BACKOFF c\xff:d\xff", schema.Event{
			Group: "b\uFFFD", Process: "a\uFFFD", FromState: "BACKOFF", Extra: map[string]string{"c\uFFFD": "d\uFFFD"},
		}},

		// The Go port of supervisord.
		{schema.ProcessStateExited, "processname:cat groupname: from_state:Running expected:0", schema.Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Expected: new(false),
		}},
		{schema.ProcessStateStarting, "processname:cat groupname: from_state:Backoff tries:2", schema.Event{
			Group: "cat", Process: "cat", FromState: "BACKOFF", Tries: new(2),
		}},
		{schema.ProcessLogStdout, "processname:cat groupname: pid:7\na line\n", schema.Event{
			Group: "cat", Process: "cat", PID: 7, Channel: "stdout", Data: new("a line\n"),
		}},
		{schema.ProcessCommunicationStderr, "processname:cat groupname: pid:-1\nhello", schema.Event{
			Group: "cat", Process: "cat", Channel: "stderr", Data: new("hello"), Extra: map[string]string{"pid": "-1"},
		}},

		// Names and values at the edge of what is legal.
		{schema.ProcessStateRunning, "processname:my.app-weird*>é groupname:a\u00a0b\tc from_state:STARTING pid:1", schema.Event{
			Group: "a\u00a0b\tc", Process: "my.app-weird*>é", FromState: "STARTING", PID: 1,
		}},
		{schema.ProcessStateStopped, "processname:cat groupname:cat from_state:BACKOFF pid:0", schema.Event{
			Group: "cat", Process: "cat", FromState: "BACKOFF",
		}},
		{schema.ProcessStateBackoff, "processname:cat groupname:cat from_state:STARTING tries:1 host:a:b", schema.Event{
			Group: "cat", Process: "cat", FromState: "STARTING", Tries: new(1), Extra: map[string]string{"host": "a:b"},
		}},
		{schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n", schema.Event{
			Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new(""),
		}},
		{schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\nprocessname:x\n\x1b[1m\x00<&>\u2028", schema.Event{
			Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("processname:x\n\x1b[1m\x00<&>\u2028"),
		}},
		{schema.RemoteCommunication, "type:\n", schema.Event{Data: new("")}},
		{schema.RemoteCommunication, "type:a type: with colons\nfoo:bar\nbaz", schema.Event{Type: "a type: with colons", Data: new("foo:bar\nbaz")}},
		{schema.Tick3600, "when:-1", schema.Event{When: new(int64(-1))}},

		// Events that no one knows.
		{"PROCESS_STATE_FROZEN", "processname:cat groupname:cat from_state:RUNNING depth:3", schema.Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Extra: map[string]string{"depth": "3"},
		}},
		{"PROCESS_LOG_AUDIT", "processname:cat groupname:cat pid:1\nx", schema.Event{Group: "cat", Process: "cat", PID: 1, Data: new("x")}},
		{"FROZEN", "", schema.Event{}},
		{"FROZEN", "so it is", schema.Event{Data: new("so it is")}},
		{"FROZEN", "depth:3\n", schema.Event{Extra: map[string]string{"depth": "3"}}},
		{"FROZEN", "depth:3\nbrr\n", schema.Event{Extra: map[string]string{"depth": "3"}, Data: new("brr\n")}},
		{"FROZEN\xff", "processname:cat", schema.Event{Event: "FROZEN\uFFFD", Group: "cat", Process: "cat"}},

		// Every event as Python's supervisord sends it.
		{schema.ProcessStateStopped, "processname:cat groupname:cat from_state:STOPPING pid:2766", withProcess(cat, schema.Event{FromState: "STOPPING", PID: 2766})},
		{schema.ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:0 pid:2766", withProcess(cat, schema.Event{FromState: "RUNNING", PID: 2766, Expected: new(false)})},
		{schema.ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:1 pid:2766", withProcess(cat, schema.Event{FromState: "RUNNING", PID: 2766, Expected: new(true)})},
		{schema.ProcessStateStarting, "processname:cat groupname:cat from_state:STOPPED tries:0", withProcess(cat, schema.Event{FromState: "STOPPED", Tries: new(0)})},
		{schema.ProcessStateStopping, "processname:cat groupname:cat from_state:RUNNING pid:2766", withProcess(cat, schema.Event{FromState: "RUNNING", PID: 2766})},
		{schema.ProcessStateBackoff, "processname:cat groupname:cat from_state:STARTING tries:0", withProcess(cat, schema.Event{FromState: "STARTING", Tries: new(0)})},
		{schema.ProcessStateFatal, "processname:cat groupname:cat from_state:BACKOFF", withProcess(cat, schema.Event{FromState: "BACKOFF"})},
		{schema.ProcessStateRunning, "processname:cat groupname:cat from_state:STARTING pid:2766", withProcess(cat, schema.Event{FromState: "STARTING", PID: 2766})},
		{schema.ProcessStateUnknown, "processname:cat groupname:cat from_state:BACKOFF", withProcess(cat, schema.Event{FromState: "BACKOFF"})},
		{schema.ProcessCommunicationStdout, "processname:foo groupname:bar pid:123\nhello", schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("hello")}},
		{schema.ProcessCommunicationStderr, "processname:foo groupname:bar pid:123\nhello", schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stderr", Data: new("hello")}},
		{schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n进程退出\n", schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("进程退出\n")}},
		{schema.ProcessLogStderr, "processname:foo groupname:bar pid:123 channel:stderr\nhello\n", schema.Event{Group: "bar", Process: "foo", PID: 123, Channel: "stderr", Data: new("hello\n")}},
		{schema.RemoteCommunication, "type:TYPE\nhello", schema.Event{Type: "TYPE", Data: new("hello")}},
		{schema.SupervisorStateChangeRunning, "", schema.Event{}},
		{schema.SupervisorStateChangeStopping, "", schema.Event{}},
		{schema.Tick5, "when:1201063880", schema.Event{When: new(int64(1201063880))}},
		{schema.Tick60, "when:1201063860", schema.Event{When: new(int64(1201063860))}},
		{schema.Tick3600, "when:1201060800", schema.Event{When: new(int64(1201060800))}},
		{schema.ProcessGroupAdded, "groupname:foo\n", schema.Event{Group: "foo"}},
		{schema.ProcessGroupRemoved, "groupname:foo\n", schema.Event{Group: "foo"}},
	} {
		r := raw(c.event, c.payload)
		want := c.want
		if want.Event == "" {
			want.Event = c.event
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
		{schema.ProcessStateExited, "", false},
		{schema.ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:1 pid:1", false},
		{schema.ProcessStateFatal, "processname:cat groupname:cat from_state:RUNNING expected:0", false},
		{schema.ProcessStateExited, "processname:cat expected:0", true},
		{schema.ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:0 pid:1", true},
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
		rapid.SampledFrom([]string{"PROCESS_STATE", "PROCESS_LOG", "PROCESS_LOG_STDIN", "PROCESS_STATE_", "PROCESS_COMMUNICATION_\xff", "tick_5", "-", "EVENT"}),
		rapid.StringN(1, 20, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 300), func(b []byte) string { return string(b) }),
	)
	pairs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		key := rapid.SampledFrom([]string{"processname", "groupname", "from_state", "expected", "pid", "tries", "when", "channel", "type", "data", "part", "", "\xff"}).Draw(t, "key")
		value := rapid.SampledFrom([]string{"", "cat", "RUNNING", "Running", "ſtopped", "0", "1", "-1", "2766", "9223372036854775808", "stdout", "stderr", "é", "\xff", "a:b", "\u00a0", "+3"}).Draw(t, "value")
		return key + rapid.SampledFrom([]string{":", ":", ":", ":", ""}).Draw(t, "colon") + value
	}), 0, 7)
	payloads := rapid.OneOf(
		rapid.SliceOf(rapid.Byte()),
		rapid.Custom(func(t *rapid.T) []byte {
			sep := rapid.SampledFrom([]string{" ", " ", " ", "\n", "  "}).Draw(t, "sep")
			return []byte(strings.Join(pairs.Draw(t, "pairs"), sep) + rapid.SampledFrom([]string{"", "\n", "\ntext", "\n\xff", "\n\n"}).Draw(t, "tail"))
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
