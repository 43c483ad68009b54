package codec

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/schema"
)

// checkScan reads a payload both ways. What is scanned must be what encoding/json
// returns.
func checkScan(t interface {
	Helper()
	Fatalf(string, ...any)
}, payload []byte,
) (scanned bool) {
	t.Helper()
	before := bytes.Clone(payload)
	got, ok := scanEvent(payload)
	if !bytes.Equal(before, payload) {
		t.Fatalf("the payload is changed:\n%s\n%s", before, payload)
	}
	if !ok {
		return false
	}
	want, err := schema.Unmarshal[*schema.Event](payload)
	if err != nil {
		t.Fatalf("%s\nis scanned, but %v", payload, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\n-encoding/json +ours:\n%s", payload, cmp.Diff(want, got))
	}
	return true
}

// Whatever the bridge writes is scanned.
func TestWhatIsWrittenIsScanned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		at := time.UnixMicro(rapid.Int64Range(-62e15, 253e15).Draw(t, "time"))
		payload := AppendJSON(nil, e, at)
		if !checkScan(t, payload) {
			t.Fatalf("%s\nis not scanned", payload)
		}
	})
}

// Whatever is near to what the bridge writes is scanned as it is or not at all.
func TestWhatIsNearIsReadAlike(t *testing.T) {
	bytesNear := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte(`"\{}[]:,-+.eE0123456789tfn u/`)))
	rapid.Check(t, func(t *rapid.T) {
		payload := AppendJSON(nil, drawEvent(t), testTime)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(payload)-1).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0:
				payload[i] = bytesNear.Draw(t, "byte")
			case 1:
				payload = append(payload[:i:i], payload[i+1:]...)
			case 2:
				payload = append(append(payload[:i:i], bytesNear.Draw(t, "byte")), payload[i:]...)
			case 3:
				payload = payload[:i]
			}
			if len(payload) == 0 {
				return
			}
		}
		checkScan(t, payload)
	})
}

// Every value of a kind that is legal in JSON but not in our form, or the other way
// round, in the place of one that is in a good payload.
func TestOddValues(t *testing.T) {
	good := AppendJSON(nil, drawnByHand(), testTime)
	if !checkScan(t, good) {
		t.Fatalf("%s\nis not scanned", good)
	}
	for _, c := range []struct {
		old, new string
		scanned  bool
	}{
		{`"serial":1234`, `"serial":0`, true},
		{`"serial":1234`, `"serial":18446744073709551615`, true},
		{`"serial":1234`, `"serial":18446744073709551616`, false},
		{`"serial":1234`, `"serial":99999999999999999999`, false},
		{`"serial":1234`, `"serial":01234`, false},
		{`"serial":1234`, `"serial":-1`, false},
		{`"serial":1234`, `"serial":1e3`, false},
		{`"serial":1234`, `"serial":1.0`, false},
		{`"serial":1234`, `"serial":`, false},
		{`"serial":1234`, `"serial":"1234"`, false},
		{`"serial":1234`, `"serial":null`, false},
		{`"serial":1234`, `"SERIAL":1234`, false},
		{`"serial":1234`, `"serial":1234,"serial":5`, false},
		{`"serial":1234`, `"unknown":1,"serial":1234`, false},
		{`"when":-5`, `"when":9223372036854775807`, true},
		{`"when":-5`, `"when":9223372036854775808`, false},
		{`"when":-5`, `"when":-9223372036854775808`, true},
		{`"when":-5`, `"when":-9223372036854775809`, false},
		{`"when":-5`, `"when":-0`, true},
		{`"when":-5`, `"when":--5`, false},
		{`"when":-5`, `"when":-`, false},
		{`"expected":false`, `"expected":true`, true},
		{`"expected":false`, `"expected":null`, false},
		{`"expected":false`, `"expected":False`, false},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{}`, true},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{,"spawnerr":"x"}`, false},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{"code":3,}`, false},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{"spawnerr":"x","code":3}`, false},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{"core":false}`, true},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":null`, false},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{"source":"pidfd","oom":{"cgroup":"/a","limit":2,"peak":1}}`, true},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{"oom":{"limit":2}}`, false},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{"oom":null}`, false},
		{`"exit":{"code":3,"spawnerr":"x"}`, `"exit":{"oom":{"cgroup":"/a","limit":-2}}`, false},
		{`"ran":3.5`, `"ran":0`, true},
		{`"ran":3.5`, `"ran":-0.0`, true},
		{`"ran":3.5`, `"ran":1e-7`, true},
		{`"ran":3.5`, `"ran":1E+2`, true},
		{`"ran":3.5`, `"ran":0.1000000000000000055511151231257827021181583404541015625`, true},
		{`"ran":3.5`, `"ran":1e309`, false},
		{`"ran":3.5`, `"ran":03.5`, false},
		{`"ran":3.5`, `"ran":3.`, false},
		{`"ran":3.5`, `"ran":.5`, false},
		{`"ran":3.5`, `"ran":+3`, false},
		{`"ran":3.5`, `"ran":-`, false},
		{`"ran":3.5`, `"ran":3e`, false},
		{`"ran":3.5`, `"ran":0x1p3`, false},
		{`"ran":3.5`, `"ran":NaN`, false},
		{`"ran":3.5`, `"ran":"3.5"`, false},
		{`"rss_bytes":1`, `"rss_bytes":1.0`, false},
		{`"cpu_seconds":0.25`, `"cpu_seconds":25e-2`, true},
		{`"threads":2`, `"threads":2.5`, false},
		{`"extra":{"a":"b"}`, `"extra":{}`, true},
		{`"extra":{"a":"b"}`, `"extra":{"a":"b","a":"c"}`, true},
		{`"extra":{"a":"b"}`, `"extra":{"b":"1","a":"2"}`, true},
		{`"extra":{"a":"b"}`, `"extra":{"a":"b",}`, false},
		{`"extra":{"a":"b"}`, `"extra":{"a":1}`, false},
		{`"data_base64":"AP8="`, `"data_base64":""`, true},
		{`"data_base64":"AP8="`, `"data_base64":"AP8"`, false},
		{`"data_base64":"AP8="`, `"data_base64":"AP\n8="`, true},
		{`"data_base64":"AP8="`, `"data_base64":"AP9="`, true},
		{`"pool":"supernats"`, `"pool":"\u0041\u00e9\u2028\ufffd\\\""`, true},
		{`"pool":"supernats"`, `"pool":"\u00E9"`, false},
		{`"pool":"supernats"`, `"pool":"\ud83d\ude00"`, false},
		{`"pool":"supernats"`, `"pool":"\ud83d"`, false},
		{`"pool":"supernats"`, `"pool":"\/"`, false},
		{`"pool":"supernats"`, `"pool":"\u00"`, false},
		{`"pool":"supernats"`, `"pool":"\x41"`, false},
		{`"pool":"supernats"`, "\"pool\":\"\xff\"", false},
		{`"pool":"supernats"`, "\"pool\":\"a\tb\"", false},
		{`"pool":"supernats"`, "\"pool\":\"é\x01\"", false},
		{`"pool":"supernats"`, "\"pool\":\"é\u007f😀\"", true},
		{`"pool":"supernats"`, `"pool":supernats`, false},
		{`"specversion":"1.0"`, `"specversion":"0.3"`, false},
		{`"id":"web1/4f0c6d1e2a90b7c3/1234/1"`, `"id":""`, false},
		{`"type":"org.supervisord.process_state.exited"`, `"type":""`, false},
		{`{"specversion"`, ` {"specversion"`, false},
		{`:31.833512Z`, `:31.833512+00:00`, false},
		{`:31.833512Z`, `:31.83351Z`, false},
		{`:31.833512Z`, `:60.833512Z`, false},
		{`2026-11-21T19:00`, `2026-02-29T19:00`, false},
		{`2026-11-21T19:00`, `2028-02-29T19:00`, true},
		{`2026-11-21T19:00`, `0000-01-01T00:00`, true},
		{`2026-11-21T19:00`, `2026-11-31T19:00`, false},
		{`2026-11-21T19:00`, `2026-13-21T19:00`, false},
		{`2026-11-21T19:00`, `2026-00-21T19:00`, false},
		{`2026-11-21T19:00`, `2026-11-00T19:00`, false},
		{`2026-11-21T19:00`, `2026-11-21T24:00`, false},
		{`2026-11-21T19:00`, `2026-11-21T19:60`, false},
		{`2026-11-21T19:00`, `2026-11-21 19:00`, false},
	} {
		if !bytes.Contains(good, []byte(c.old)) {
			t.Fatalf("there is no %s in %s", c.old, good)
		}
		if payload := bytes.Replace(good, []byte(c.old), []byte(c.new), 1); checkScan(t, payload) != c.scanned {
			t.Errorf("%s: scanned is not %t", c.new, c.scanned)
		}
	}
	for _, payload := range []string{"", "{", string(good) + " ", string(good) + "}", string(good[:len(good)-1])} {
		if checkScan(t, []byte(payload)) {
			t.Errorf("%q is scanned", payload)
		}
	}
}

// drawnByHand has a value of each kind.
func drawnByHand() *schema.Event {
	return &schema.Event{
		Event: schema.ProcessStateExited, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: 1234, Pool: "supernats", PoolSerial: 1200,
		Group: "api", Process: "api_00", FromState: "RUNNING", Expected: new(false), PID: 11167, Tries: new(0), Channel: "stdout", Type: "t",
		When: new(int64(-5)), Data: new("text"), DataBase64: []byte("\x00\xff"), Exit: &schema.Exit{Code: new(3), SpawnErr: "x"},
		Ran: new(3.5), Last: &schema.Look{Time: schema.Time{Time: testTime}, RSS: 1, CPU: 0.25, Threads: 2, Age: 3},
		Log: &schema.Log{Stdout: "a\n", Stderr: "é\n"}, Part: 1, Parts: 2, Extra: map[string]string{"a": "b"},
	}
}

// What others read in the stream is scanned: the events of the golden file.
func TestTheGoldenEventsAreScanned(t *testing.T) {
	b, err := os.ReadFile("testdata/events.golden")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		_, payload, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !checkScan(t, []byte(payload)) {
			t.Errorf("%s\nis not scanned", payload)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(AppendJSON(nil, drawnByHand(), testTime))
	b, err := os.ReadFile("testdata/events.golden")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		_, payload, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		scanned := checkScan(t, payload)
		// What encoding/json makes of the payload is scanned once we have written it.
		if ce, err := UnmarshalEvent(payload); err == nil && ce.Time.Year() >= 0 && ce.Time.Year() <= 9999 {
			if again := AppendJSON(nil, ce.Data, ce.Time.Time); !checkScan(t, again) {
				t.Fatalf("%s\nis not scanned, from %t\n%s", again, scanned, payload)
			}
		}
	})
}

// A change of state costs its text and its fields.
func TestScanAllocatesTwice(t *testing.T) {
	e := Decode(raw(schema.ProcessStateExited, "processname:api_00 groupname:api from_state:RUNNING expected:0 pid:11167"), "web1.example.com", testBoot)
	e.Exit = &schema.Exit{Code: new(3)}
	payload := AppendJSON(nil, e, testTime)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := UnmarshalEvent(payload); err != nil {
			t.Error(err)
		}
	}); got > 2 {
		t.Errorf("%g allocations", got)
	}
}

// A name that records keep is not a part of the payload.
func TestNamesAreOurOwn(t *testing.T) {
	payload := AppendJSON(nil, drawnByHand(), testTime)
	ce, ok := scanEvent(payload)
	if !ok {
		t.Fatal("not scanned")
	}
	for name, want := range map[string]string{ce.Data.Event: ownNames[schema.ProcessStateExited], ce.Data.FromState: ownNames["RUNNING"]} {
		if unsafe.StringData(name) != unsafe.StringData(want) {
			t.Errorf("%s is a part of the payload", name)
		}
	}
}

func TestHasID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "a", "a/b", "/", "4f0c", "1"})
		draw := func() *schema.Event {
			return &schema.Event{
				Host: text.Draw(t, "host"), Boot: text.Draw(t, "boot"), Serial: rapid.OneOf(rapid.Uint64Range(0, 2), rapid.Uint64()).Draw(t, "serial"),
				Part: rapid.SampledFrom([]int{-1 << 63, -1, 0, 1}).Draw(t, "part"), Parts: rapid.IntRange(-1, 1).Draw(t, "parts"),
			}
		}
		e, other := draw(), draw()
		if !hasID(e, e.ID()) {
			t.Fatalf("%q is not the id of %+v", e.ID(), e)
		}
		if hasID(e, other.ID()) != (e.ID() == other.ID()) {
			t.Fatalf("%q: %t for %+v", other.ID(), hasID(e, other.ID()), e)
		}
	})
}

// encoding/json is the measure of what is scanned.
func BenchmarkUnmarshalEventJSON(b *testing.B) {
	for _, p := range benchPayloads {
		payload := marshal(b, Decode(p.raw, testHost, testBoot).Envelope(testTime))
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var ce schema.CloudEvent[*schema.Event]
				if err := json.Unmarshal(payload, &ce); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
