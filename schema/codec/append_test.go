package codec

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/schema"
)

// What is written by hand is what encoding/json writes, whatever is in the event.
func TestAppendJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time"))
		want, err := schema.Marshal(e.Envelope(at))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(AppendJSON(nil, e, at))); diff != "" {
			t.Fatalf("-encoding/json +ours:\n%s", diff)
		}
	})
}

// drawEvent draws an event with anything in it.
func drawEvent(t *rapid.T) *schema.Event {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "api", "\x00\x07\b\t\n\f\r\x1b\x7f", `"\/<>&`, "进程\u2028\u2029\ufffd", "\xff\xc3", "=2E",
		}),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 30), func(b []byte) string { return string(b) }),
	)
	optional := rapid.Ptr(rapid.Int(), true)
	e := &schema.Event{
		Event: rapid.OneOf(rapid.SampledFrom(schema.Names()), text).Draw(t, "event"),
		Host:  text.Draw(t, "host"), Server: text.Draw(t, "server"), Boot: text.Draw(t, "boot"),
		Serial: rapid.Uint64().Draw(t, "serial"), Pool: text.Draw(t, "pool"), PoolSerial: rapid.Uint64().Draw(t,
			"poolserial"),
		Group: text.Draw(t, "group"), Process: text.Draw(t, "process"), FromState: text.Draw(t, "from_state"),
		Expected: rapid.Ptr(rapid.Bool(), true).Draw(t, "expected"), PID: rapid.IntRange(-1, 3).Draw(t, "pid"),
		Tries: optional.Draw(t, "tries"), Channel: text.Draw(t, "channel"), Type: text.Draw(t, "type"),
		When: rapid.Ptr(rapid.Int64(), true).Draw(t, "when"), Data: rapid.Ptr(text, true).Draw(t, "data"),
		DataBase64: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "data_base64"),
		Part:       rapid.IntRange(0, 2).Draw(t, "part"), Parts: rapid.IntRange(0, 2).Draw(t, "parts"),
		Extra: rapid.MapOfN(text, text, 0, 3).Draw(t, "extra"),
	}
	if rapid.Bool().Draw(t, "has exit") {
		e.Exit = &schema.Exit{
			Code: optional.Draw(t, "code"), Signal: text.Draw(t, "signal"), Core: rapid.Bool().Draw(t, "core"),
			SpawnErr: text.Draw(t, "spawnerr"), Source: text.Draw(t, "source"),
		}
		if rapid.Bool().Draw(t, "has oom") {
			e.Exit.OOM = &schema.OOM{
				Cgroup: text.Draw(t, "cgroup"),
				Limit:  rapid.Uint64().Draw(t, "limit"),
				Peak:   rapid.Uint64().Draw(t, "peak"),
			}
		}
	}
	if rapid.Bool().Draw(t, "has log") {
		e.Log = &schema.Log{Stdout: text.Draw(t, "stdout"), Stderr: text.Draw(t, "stderr")}
	}
	seconds := rapid.OneOf(rapid.SampledFrom([]float64{
		0, math.Copysign(0, -1), 1e-6, 9.99e-7, 1e21, 9.99e20, 5e-324, -1e-9, 187_442.031,
	}), rapid.Float64())
	e.Ran = rapid.Ptr(seconds, true).Draw(t, "ran")
	if rapid.Bool().Draw(t, "has last") {
		e.Last = &schema.Look{
			Time:        schema.Time{Time: time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "look"))},
			RSS:         rapid.Uint64().Draw(t, "rss"),
			PeakRSS:     rapid.Uint64().Draw(t, "peak rss"),
			CPU:         seconds.Draw(t, "cpu"),
			Threads:     rapid.Int().Draw(t, "threads"),
			Descriptors: rapid.Int().Draw(t, "fds"),
			Age:         seconds.Draw(t, "age"),
		}
	}
	return e
}

// JSON has no such numbers: an event that has one is written all the same.
func TestAppendJSONOfWhatIsNoNumber(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		e := &schema.Event{Event: schema.ProcessStateExited, Ran: &f, Last: &schema.Look{CPU: f, Age: f}}
		got := string(AppendJSON(nil, e, testTime))
		if want := `"ran":0,"last":{"time":"0001-01-01T00:00:00.000000Z","cpu_seconds":0,"age_seconds":0}`; !strings.Contains(got, want) {
			t.Errorf("%g is written as %s, want %s in it", f, got, want)
		}
	}
}
