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
	return checkScanner(t, scanEvent, payload)
}

// checkScanner does so with any reader.
func checkScanner(t interface {
	Helper()
	Fatalf(string, ...any)
}, scan func([]byte) (*schema.CloudEvent[*schema.Event], bool), payload []byte,
) (scanned bool) {
	t.Helper()
	before := bytes.Clone(payload)
	got, ok := scan(payload)
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
		{old: `"serial":1234`, new: `"serial":0`, scanned: true},
		{old: `"serial":1234`, new: `"serial":18446744073709551615`, scanned: true},
		{old: `"serial":1234`, new: `"serial":18446744073709551616`},
		{old: `"serial":1234`, new: `"serial":99999999999999999999`},
		{old: `"serial":1234`, new: `"serial":01234`},
		{old: `"serial":1234`, new: `"serial":-1`},
		{old: `"serial":1234`, new: `"serial":1e3`},
		{old: `"serial":1234`, new: `"serial":1.0`},
		{old: `"serial":1234`, new: `"serial":`},
		{old: `"serial":1234`, new: `"serial":"1234"`},
		{old: `"serial":1234`, new: `"serial":null`},
		{old: `"serial":1234`, new: `"SERIAL":1234`},
		{old: `"serial":1234`, new: `"serial":1234,"serial":5`},
		{old: `"serial":1234`, new: `"unknown":1,"serial":1234`},
		{old: `"when":-5`, new: `"when":9223372036854775807`, scanned: true},
		{old: `"when":-5`, new: `"when":9223372036854775808`},
		{old: `"when":-5`, new: `"when":-9223372036854775808`, scanned: true},
		{old: `"when":-5`, new: `"when":-9223372036854775809`},
		{old: `"when":-5`, new: `"when":-0`, scanned: true},
		{old: `"when":-5`, new: `"when":--5`},
		{old: `"when":-5`, new: `"when":-`},
		{old: `"expected":false`, new: `"expected":true`, scanned: true},
		{old: `"expected":false`, new: `"expected":null`},
		{old: `"expected":false`, new: `"expected":False`},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{}`, scanned: true},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{,"spawnerr":"x"}`},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{"code":3,}`},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{"spawnerr":"x","code":3}`},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{"core":false}`, scanned: true},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":null`},
		{
			old:     `"exit":{"code":3,"spawnerr":"x"}`,
			new:     `"exit":{"source":"pidfd","oom":{"cgroup":"/a","limit":2,"peak":1}}`,
			scanned: true,
		},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{"oom":{"limit":2}}`},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{"oom":null}`},
		{old: `"exit":{"code":3,"spawnerr":"x"}`, new: `"exit":{"oom":{"cgroup":"/a","limit":-2}}`},
		{old: `"ran":3.5`, new: `"ran":0`, scanned: true},
		{old: `"ran":3.5`, new: `"ran":-0.0`, scanned: true},
		{old: `"ran":3.5`, new: `"ran":1e-7`, scanned: true},
		{old: `"ran":3.5`, new: `"ran":1E+2`, scanned: true},
		{old: `"ran":3.5`, new: `"ran":0.1000000000000000055511151231257827021181583404541015625`, scanned: true},
		{old: `"ran":3.5`, new: `"ran":1e309`},
		{old: `"ran":3.5`, new: `"ran":03.5`},
		{old: `"ran":3.5`, new: `"ran":3.`},
		{old: `"ran":3.5`, new: `"ran":.5`},
		{old: `"ran":3.5`, new: `"ran":+3`},
		{old: `"ran":3.5`, new: `"ran":-`},
		{old: `"ran":3.5`, new: `"ran":3e`},
		{old: `"ran":3.5`, new: `"ran":0x1p3`},
		{old: `"ran":3.5`, new: `"ran":NaN`},
		{old: `"ran":3.5`, new: `"ran":"3.5"`},
		{old: `"rss_bytes":1`, new: `"rss_bytes":1.0`},
		{old: `"cpu_seconds":0.25`, new: `"cpu_seconds":25e-2`, scanned: true},
		{old: `"threads":2`, new: `"threads":2.5`},
		{old: `"extra":{"a":"b"}`, new: `"extra":{}`, scanned: true},
		{old: `"extra":{"a":"b"}`, new: `"extra":{"a":"b","a":"c"}`, scanned: true},
		{old: `"extra":{"a":"b"}`, new: `"extra":{"b":"1","a":"2"}`, scanned: true},
		{old: `"extra":{"a":"b"}`, new: `"extra":{"a":"b",}`},
		{old: `"extra":{"a":"b"}`, new: `"extra":{"a":1}`},
		{old: `"data_base64":"AP8="`, new: `"data_base64":""`, scanned: true},
		{old: `"data_base64":"AP8="`, new: `"data_base64":"AP8"`},
		{old: `"data_base64":"AP8="`, new: `"data_base64":"AP\n8="`, scanned: true},
		{old: `"data_base64":"AP8="`, new: `"data_base64":"AP9="`, scanned: true},
		{old: `"pool":"supernats"`, new: `"pool":"\u0041\u00e9\u2028\ufffd\\\""`, scanned: true},
		{old: `"pool":"supernats"`, new: `"pool":"\u00E9"`},
		{old: `"pool":"supernats"`, new: `"pool":"\ud83d\ude00"`},
		{old: `"pool":"supernats"`, new: `"pool":"\ud83d"`},
		{old: `"pool":"supernats"`, new: `"pool":"\/"`},
		{old: `"pool":"supernats"`, new: `"pool":"\u00"`},
		{old: `"pool":"supernats"`, new: `"pool":"\x41"`},
		{old: `"pool":"supernats"`, new: "\"pool\":\"\xff\""},
		{old: `"pool":"supernats"`, new: "\"pool\":\"a\tb\""},
		{old: `"pool":"supernats"`, new: "\"pool\":\"é\x01\""},
		{old: `"pool":"supernats"`, new: "\"pool\":\"é\u007f😀\"", scanned: true},
		{old: `"pool":"supernats"`, new: `"pool":supernats`},
		{old: `"specversion":"1.0"`, new: `"specversion":"0.3"`},
		{old: `"id":"web1/4f0c6d1e2a90b7c3/1234/1"`, new: `"id":""`},
		{old: `"type":"org.supervisord.process_state.exited"`, new: `"type":""`},
		{old: `{"specversion"`, new: ` {"specversion"`},
		{old: `:31.833512Z`, new: `:31.833512+00:00`},
		{old: `:31.833512Z`, new: `:31.83351Z`},
		{old: `:31.833512Z`, new: `:60.833512Z`},
		{old: `2026-11-21T19:00`, new: `2026-02-29T19:00`},
		{old: `2026-11-21T19:00`, new: `2028-02-29T19:00`, scanned: true},
		{old: `2026-11-21T19:00`, new: `0000-01-01T00:00`, scanned: true},
		{old: `2026-11-21T19:00`, new: `2026-11-31T19:00`},
		{old: `2026-11-21T19:00`, new: `2026-13-21T19:00`},
		{old: `2026-11-21T19:00`, new: `2026-00-21T19:00`},
		{old: `2026-11-21T19:00`, new: `2026-11-00T19:00`},
		{old: `2026-11-21T19:00`, new: `2026-11-21T24:00`},
		{old: `2026-11-21T19:00`, new: `2026-11-21T19:60`},
		{old: `2026-11-21T19:00`, new: `2026-11-21 19:00`},
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
		When: new(int64(-5)), Data: new("text"), DataBase64: []byte("\x00\xff"), Exit: &schema.Exit{
			Code: new(3), SpawnErr: "x",
		},
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
	for name, want := range map[string]string{
		ce.Data.Event: ownNames[schema.ProcessStateExited], ce.Data.FromState: ownNames["RUNNING"],
	} {
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
				Host: text.Draw(t, "host"), Boot: text.Draw(t, "boot"), Serial: rapid.OneOf(rapid.Uint64Range(0, 2),
					rapid.Uint64()).Draw(t, "serial"),
				Part: rapid.SampledFrom([]int{-1 << 63, -1, 0, 1}).Draw(t, "part"), Parts: rapid.IntRange(-1, 1).Draw(t,
					"parts"),
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
