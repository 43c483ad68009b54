package schema

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is written by hand is what encoding/json writes, whatever is in the event.
func TestAppendJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time"))
		want, err := Marshal(e.Envelope(at))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(e.AppendJSON(nil, at))); diff != "" {
			t.Fatalf("-encoding/json +ours:\n%s", diff)
		}
	})
}

// drawEvent draws an event with anything in it.
func drawEvent(t *rapid.T) *Event {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "api", "\x00\x07\b\t\n\f\r\x1b\x7f", `"\/<>&`, "进程\u2028\u2029\ufffd", "\xff\xc3", "=2E"}),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 30), func(b []byte) string { return string(b) }),
	)
	optional := rapid.Ptr(rapid.Int(), true)
	e := &Event{
		Event: rapid.OneOf(rapid.SampledFrom(Names()), text).Draw(t, "event"),
		Host:  text.Draw(t, "host"), Server: text.Draw(t, "server"), Boot: text.Draw(t, "boot"),
		Serial: rapid.Uint64().Draw(t, "serial"), Pool: text.Draw(t, "pool"), PoolSerial: rapid.Uint64().Draw(t, "poolserial"),
		Group: text.Draw(t, "group"), Process: text.Draw(t, "process"), FromState: text.Draw(t, "from_state"),
		Expected: rapid.Ptr(rapid.Bool(), true).Draw(t, "expected"), PID: rapid.IntRange(-1, 3).Draw(t, "pid"),
		Tries: optional.Draw(t, "tries"), Channel: text.Draw(t, "channel"), Type: text.Draw(t, "type"),
		When: rapid.Ptr(rapid.Int64(), true).Draw(t, "when"), Data: rapid.Ptr(text, true).Draw(t, "data"),
		DataBase64: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "data_base64"),
		Part:       rapid.IntRange(0, 2).Draw(t, "part"), Parts: rapid.IntRange(0, 2).Draw(t, "parts"),
		Extra: rapid.MapOfN(text, text, 0, 3).Draw(t, "extra"),
	}
	if rapid.Bool().Draw(t, "has exit") {
		e.Exit = &Exit{optional.Draw(t, "code"), text.Draw(t, "signal"), rapid.Bool().Draw(t, "core"), text.Draw(t, "spawnerr")}
	}
	if rapid.Bool().Draw(t, "has log") {
		e.Log = &Log{text.Draw(t, "stdout"), text.Draw(t, "stderr")}
	}
	return e
}
