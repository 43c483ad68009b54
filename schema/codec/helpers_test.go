package codec

import (
	"time"

	"supernats/schema"
	"supernats/schema/schematest"
)

const (
	testHost = "web1"
	testBoot = "4f0c6d1e2a90b7c3"
)

var testTime = time.Date(2026, 11, 21, 19, 0, 31, 833512000, time.UTC)

func raw(event, payload string) Raw {
	return Raw{
		Event: event, Server: "supervisor", Pool: "supernats", Serial: 21, PoolSerial: 10, Payload: []byte(payload),
	}
}

func marshal(t schematest.Fataler, v any) []byte {
	t.Helper()
	b, err := schema.Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}
