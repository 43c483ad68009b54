package schema

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	testHost = "web1"
	testBoot = "4f0c6d1e2a90b7c3"
)

var testTime = time.Date(2026, 11, 21, 19, 0, 31, 833512000, time.UTC)

func raw(event, payload string) Raw {
	return Raw{Event: event, Server: "supervisor", Pool: "supernats", Serial: 21, PoolSerial: 10, Payload: []byte(payload)}
}

func TestDecode(t *testing.T) {
	cat := Event{Group: "cat", Process: "cat"}
	for _, c := range []struct {
		event, payload string
		want           Event
	}{
		// Malformed payloads are kept whole.
		{ProcessStateExited, "", Event{Data: new("")}},
		{ProcessStateExited, "the cat is dead", Event{Data: new("the cat is dead")}},
		{ProcessStateExited, "processname:cat groupname:cat :4", Event{Data: new("processname:cat groupname:cat :4")}},
		{ProcessStateExited, "processname:cat \xff", Event{DataBase64: []byte("processname:cat \xff")}},
		{ProcessStateExited, "groupname:cat from_state:RUNNING expected:0 pid:5", Event{
			Group: "cat", FromState: "RUNNING", Expected: new(false), PID: 5, Data: new("groupname:cat from_state:RUNNING expected:0 pid:5"),
		}},
		{ProcessStateExited, "processname:cat groupname:cat expected:0 pid:5", Event{
			Group: "cat", Process: "cat", Expected: new(false), PID: 5, Data: new("processname:cat groupname:cat expected:0 pid:5"),
		}},
		{ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING", Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Data: new("processname:cat groupname:cat from_state:RUNNING"),
		}},
		{ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:2 pid:x", Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Extra: map[string]string{"expected": "2", "pid": "x"},
			Data: new("processname:cat groupname:cat from_state:RUNNING expected:2 pid:x"),
		}},
		{ProcessStateStopped, "processname:cat groupname:cat from_state:NAPPING", Event{
			Group: "cat", Process: "cat", Extra: map[string]string{"from_state": "NAPPING"}, Data: new("processname:cat groupname:cat from_state:NAPPING"),
		}},
		{ProcessLogStdout, "", Event{Data: new("")}},
		{ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout", Event{Data: new("processname:foo groupname:bar pid:123 channel:stdout")}},
		{ProcessLogStdout, "a line\nand one more", Event{Data: new("a line\nand one more")}},
		{ProcessLogStdout, "at:noon\nand one more", Event{Extra: map[string]string{"at": "noon"}, Data: new("at:noon\nand one more")}},
		{ProcessLogStderr, "processname:foo groupname:bar pid:-1 channel:syslog\n", Event{
			Group: "bar", Process: "foo", Channel: "stderr", Data: new(""), Extra: map[string]string{"pid": "-1", "channel": "syslog"},
		}},
		{ProcessCommunicationStdout, "\xff\n", Event{DataBase64: []byte("\xff\n")}},
		{RemoteCommunication, "", Event{Data: new("")}},
		{RemoteCommunication, "type:a", Event{Data: new("type:a")}},
		{RemoteCommunication, "kind:a\nb", Event{Data: new("kind:a\nb")}},
		{Tick5, "", Event{Data: new("")}},
		{Tick5, "when:noon", Event{Extra: map[string]string{"when": "noon"}, Data: new("when:noon")}},
		{ProcessGroupAdded, "\n", Event{Data: new("\n")}},
		{ProcessGroupRemoved, "group:foo\n", Event{Extra: map[string]string{"group": "foo"}, Data: new("group:foo\n")}},
		{SupervisorStateChangeRunning, "all well", Event{Data: new("all well")}},

		// Bytes that are no UTF-8.
		{ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n\xe4\xbd", Event{
			Group: "bar", Process: "foo", PID: 123, Channel: "stdout", DataBase64: []byte("\xe4\xbd"),
		}},
		{RemoteCommunication, "type:\xff\n\x00\xff", Event{Type: "\uFFFD", DataBase64: []byte("\x00\xff")}},
		{ProcessStateFatal, "processname:a\xff groupname:b\xff from_state:BACKOFF c\xff:d\xff", Event{
			Group: "b\uFFFD", Process: "a\uFFFD", FromState: "BACKOFF", Extra: map[string]string{"c\uFFFD": "d\uFFFD"},
		}},

		// The Go port of supervisord.
		{ProcessStateExited, "processname:cat groupname: from_state:Running expected:0", Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Expected: new(false),
		}},
		{ProcessStateStarting, "processname:cat groupname: from_state:Backoff tries:2", Event{
			Group: "cat", Process: "cat", FromState: "BACKOFF", Tries: new(2),
		}},
		{ProcessLogStdout, "processname:cat groupname: pid:7\na line\n", Event{
			Group: "cat", Process: "cat", PID: 7, Channel: "stdout", Data: new("a line\n"),
		}},
		{ProcessCommunicationStderr, "processname:cat groupname: pid:-1\nhello", Event{
			Group: "cat", Process: "cat", Channel: "stderr", Data: new("hello"), Extra: map[string]string{"pid": "-1"},
		}},

		// Names and values at the edge of what is legal.
		{ProcessStateRunning, "processname:my.app-weird*>é groupname:a\u00a0b\tc from_state:STARTING pid:1", Event{
			Group: "a\u00a0b\tc", Process: "my.app-weird*>é", FromState: "STARTING", PID: 1,
		}},
		{ProcessStateStopped, "processname:cat groupname:cat from_state:BACKOFF pid:0", Event{
			Group: "cat", Process: "cat", FromState: "BACKOFF",
		}},
		{ProcessStateBackoff, "processname:cat groupname:cat from_state:STARTING tries:1 host:a:b", Event{
			Group: "cat", Process: "cat", FromState: "STARTING", Tries: new(1), Extra: map[string]string{"host": "a:b"},
		}},
		{ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n", Event{
			Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new(""),
		}},
		{ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\nprocessname:x\n\x1b[1m\x00<&>\u2028", Event{
			Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("processname:x\n\x1b[1m\x00<&>\u2028"),
		}},
		{RemoteCommunication, "type:\n", Event{Data: new("")}},
		{RemoteCommunication, "type:a type: with colons\nfoo:bar\nbaz", Event{Type: "a type: with colons", Data: new("foo:bar\nbaz")}},
		{Tick3600, "when:-1", Event{When: new(int64(-1))}},

		// Events that no one knows.
		{"PROCESS_STATE_FROZEN", "processname:cat groupname:cat from_state:RUNNING depth:3", Event{
			Group: "cat", Process: "cat", FromState: "RUNNING", Extra: map[string]string{"depth": "3"},
		}},
		{"PROCESS_LOG_AUDIT", "processname:cat groupname:cat pid:1\nx", Event{Group: "cat", Process: "cat", PID: 1, Data: new("x")}},
		{"FROZEN", "", Event{}},
		{"FROZEN", "so it is", Event{Data: new("so it is")}},
		{"FROZEN", "depth:3\n", Event{Extra: map[string]string{"depth": "3"}}},
		{"FROZEN", "depth:3\nbrr\n", Event{Extra: map[string]string{"depth": "3"}, Data: new("brr\n")}},
		{"FROZEN\xff", "processname:cat", Event{Event: "FROZEN\uFFFD", Group: "cat", Process: "cat"}},

		// Every event as Python's supervisord sends it.
		{ProcessStateStopped, "processname:cat groupname:cat from_state:STOPPING pid:2766", cat.with(Event{FromState: "STOPPING", PID: 2766})},
		{ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:0 pid:2766", cat.with(Event{FromState: "RUNNING", PID: 2766, Expected: new(false)})},
		{ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:1 pid:2766", cat.with(Event{FromState: "RUNNING", PID: 2766, Expected: new(true)})},
		{ProcessStateStarting, "processname:cat groupname:cat from_state:STOPPED tries:0", cat.with(Event{FromState: "STOPPED", Tries: new(0)})},
		{ProcessStateStopping, "processname:cat groupname:cat from_state:RUNNING pid:2766", cat.with(Event{FromState: "RUNNING", PID: 2766})},
		{ProcessStateBackoff, "processname:cat groupname:cat from_state:STARTING tries:0", cat.with(Event{FromState: "STARTING", Tries: new(0)})},
		{ProcessStateFatal, "processname:cat groupname:cat from_state:BACKOFF", cat.with(Event{FromState: "BACKOFF"})},
		{ProcessStateRunning, "processname:cat groupname:cat from_state:STARTING pid:2766", cat.with(Event{FromState: "STARTING", PID: 2766})},
		{ProcessStateUnknown, "processname:cat groupname:cat from_state:BACKOFF", cat.with(Event{FromState: "BACKOFF"})},
		{ProcessCommunicationStdout, "processname:foo groupname:bar pid:123\nhello", Event{Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("hello")}},
		{ProcessCommunicationStderr, "processname:foo groupname:bar pid:123\nhello", Event{Group: "bar", Process: "foo", PID: 123, Channel: "stderr", Data: new("hello")}},
		{ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n进程退出\n", Event{Group: "bar", Process: "foo", PID: 123, Channel: "stdout", Data: new("进程退出\n")}},
		{ProcessLogStderr, "processname:foo groupname:bar pid:123 channel:stderr\nhello\n", Event{Group: "bar", Process: "foo", PID: 123, Channel: "stderr", Data: new("hello\n")}},
		{RemoteCommunication, "type:TYPE\nhello", Event{Type: "TYPE", Data: new("hello")}},
		{SupervisorStateChangeRunning, "", Event{}},
		{SupervisorStateChangeStopping, "", Event{}},
		{Tick5, "when:1201063880", Event{When: new(int64(1201063880))}},
		{Tick60, "when:1201063860", Event{When: new(int64(1201063860))}},
		{Tick3600, "when:1201060800", Event{When: new(int64(1201060800))}},
		{ProcessGroupAdded, "groupname:foo\n", Event{Group: "foo"}},
		{ProcessGroupRemoved, "groupname:foo\n", Event{Group: "foo"}},
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

// with adds what is particular of an event to a copy of e.
func (e Event) with(more Event) Event {
	more.Group, more.Process = e.Group, e.Process
	return more
}

func TestUnexpectedExit(t *testing.T) {
	for _, c := range []struct {
		event, payload string
		want           bool
	}{
		{ProcessStateExited, "", false},
		{ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:1 pid:1", false},
		{ProcessStateFatal, "processname:cat groupname:cat from_state:RUNNING expected:0", false},
		{ProcessStateExited, "processname:cat expected:0", true},
		{ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:0 pid:1", true},
	} {
		if got := Decode(raw(c.event, c.payload), testHost, testBoot).UnexpectedExit(); got != c.want {
			t.Errorf("%s %q: UnexpectedExit is %t", c.event, c.payload, got)
		}
	}
}

// checkDecode holds what Decode promises for every r: its event is valid, is
// read back as it was written, has lost none of the text, and shares no memory
// with the payload.
func checkDecode(t fataler, r Raw, host string) {
	t.Helper()
	payload := bytes.Clone(r.Payload)
	e := Decode(r, host, testBoot)
	for i := range r.Payload {
		r.Payload[i] = 'X'
	}
	ce := e.Envelope(testTime)
	b := marshal(t, ce)
	if refused := validate(t, schemaEvent, b); refused != nil {
		t.Fatalf("%s %q: %s\nis refused for %q", r.Event, payload, b, refused)
	}
	back, err := UnmarshalEvent(b)
	if err != nil {
		t.Fatalf("%s %q: %v", r.Event, payload, err)
	}
	if diff := cmp.Diff(ce, back); diff != "" {
		t.Fatalf("%s %q (-written +read):\n%s", r.Event, payload, diff)
	}
	text := e.text()
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
		rapid.SampledFrom(Names()),
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
			Event: names.Draw(t, "event"), Server: anyName().Draw(t, "server"), Pool: anyName().Draw(t, "pool"),
			Serial: rapid.Uint64().Draw(t, "serial"), PoolSerial: rapid.Uint64().Draw(t, "poolserial"),
			Payload: payloads.Draw(t, "payload"),
		}, rapid.StringN(1, 40, -1).Draw(t, "host"))
	})
}

func FuzzDecode(f *testing.F) {
	for _, n := range Names() {
		f.Add(n, []byte("processname:cat groupname:cat from_state:RUNNING expected:0 pid:2766"))
		f.Add(n, []byte("processname:foo groupname:bar pid:123 channel:stdout\nhello\xff"))
	}
	f.Add(RemoteCommunication, []byte("type:a b:c\nhello"))
	f.Add(Tick5, []byte("when:1201063880"))
	f.Add("FROZEN", []byte("a:b \n"))
	f.Fuzz(func(t *testing.T, event string, payload []byte) {
		if event == "" {
			return // no header line is without a name
		}
		checkDecode(t, Raw{Event: event, Server: "supervisor", Pool: "supernats", Payload: payload}, testHost)
	})
}
