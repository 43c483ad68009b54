package codec

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"supernats/schema"
	"supernats/schema/schematest"
)

// inOtherOrder writes a payload as other programs may: sorted, and with white space.
func inOtherOrder(t schematest.Fataler, payload []byte) (sorted, spaced []byte) {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		t.Fatalf("%v", err)
	}
	sorted, err := json.Marshal(fields)
	if err != nil {
		t.Fatalf("%v", err)
	}
	spaced, err = json.MarshalIndent(fields, "", " ")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return sorted, spaced
}

// What other programs write is read as encoding/json reads it, and what most events have is
// scanned.
func TestAnyOrderIsReadAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sorted, spaced := inOtherOrder(t, AppendJSON(nil, drawEvent(t), testTime))
		for _, payload := range [][]byte{sorted, spaced} {
			checkScanner(t, scanAnyOrder, payload)
		}
	})

	plain := &schema.Event{
		Event: schema.ProcessStateRunning, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: 7,
		Pool: "supernats", PoolSerial: 7, Group: "api", Process: "api_00", FromState: "STARTING", PID: 11,
	}
	sorted, spaced := inOtherOrder(t, AppendJSON(nil, plain, testTime))
	for _, payload := range [][]byte{sorted, spaced, bytes.Replace(sorted, []byte(`Z"`), []byte(`999+02:00"`), 1)} {
		if !checkScanner(t, scanAnyOrder, payload) {
			t.Errorf("%s is not scanned", payload)
		}
	}
}

// Whatever is near to that is read alike or not at all: what is wrong, and what is there twice.
func TestNearAnyOrderIsReadAlike(t *testing.T) {
	bytesNear := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte(`"\{}[]:,-+.eE0123456789tfn u/`)))
	rapid.Check(t, func(t *rapid.T) {
		payload, spaced := inOtherOrder(t, AppendJSON(nil, drawEvent(t), testTime))
		if rapid.Bool().Draw(t, "spaced") {
			payload = spaced
		}
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(payload)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				payload[i] = bytesNear.Draw(t, "byte")
			case 1:
				payload = append(payload[:i:i], payload[min(i+1, len(payload)-1):]...)
			case 2:
				payload = append(append(bytes.Clone(payload[:i]), bytesNear.Draw(t, "byte")), payload[i:]...)
			}
		}
		checkScanner(t, scanAnyOrder, payload)
	})

	const head = `{"specversion":"1.0","id":"a","type":"t","data":`
	for _, payload := range []string{
		head + `{}}`, head + `{"exit":{}"pid":1}}`, head + `{"exit":{},"pid":1}}`, head + `{"log":{"stdout":"a"},"log":{"stderr":"b"}}}`,
		head + `{"exit":{"code":1},"exit":{"signal":"a"}}}`, head + `{"host":"a"},"data":{"boot":"b"}}`, head + `{"host":null}}`,
		head + `{"HOST":"a"}}`, head + `{"unknown":1}}`, head + `{"data_base64":"QQ==","data_base64":""}}`, head + `null}`,
		head + `{"pid":1}}x`, head + `{"pid":1},}`, head + `{,"pid":1}}`, `{"specversion":"2","id":"a","type":"t","data":{"pid":1}}`,
		head + `{"pid":1},"time":"no"}`, head + `{"pid":1},"time":"2026-01-01T00:00:00Z\""}`, head + `{"host":"a","host":"b"}}`,
	} {
		checkScanner(t, scanAnyOrder, []byte(payload))
	}
}
