package fit

import (
	"encoding/json"
	"fmt"
	"testing"

	"supernats/schema"
)

// The record of a host that has all that there can be fits a small server.
func TestRecordOfAHostFits(t *testing.T) {
	long := func(n int) string { return fmt.Sprintf("%0*d", n, 7) }
	h := &schema.HostRecord{Host: "web1"}
	for i := range 32 {
		h.Troubles = append(h.Troubles, schema.HostTrouble{Cause: fmt.Sprint("c", i), Text: long(300), Fix: long(300), Boot: long(64), Pool: long(256), Server: long(256)})
	}
	for range 16 {
		l := schema.HostLife{Boot: long(64), Server: long(256), SupervisorVersion: long(256)}
		b := schema.HostBridge{Boot: long(64), Server: long(256), Pool: long(256), Instance: long(256), Version: long(256), Section: &schema.Section{}, Reasons: &schema.Reasons{Problem: long(300), Fix: long(300)}}
		for range 32 {
			b.Section.Events, b.Section.SamePriority = append(b.Section.Events, long(60)), append(b.Section.SamePriority, long(60))
		}
		for range 8 {
			l.Instances, l.Pools = append(l.Instances, long(256)), append(l.Pools, long(256))
		}
		h.Lives, h.Bridges = append(h.Lives, l), append(h.Bridges, b)
	}
	before, err := schema.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1 << 20, 64 << 10, 32 << 10, 8 << 10, 4 << 10} {
		written, short, err := Record(h, limit)
		if err != nil || len(written) > limit || short != (limit < len(before)) {
			t.Errorf("%d of %d bytes, short %t: %v", len(written), limit, short, err)
		}
		var read schema.HostRecord
		if err := json.Unmarshal(written, &read); err != nil || read.Host != "web1" || len(read.Troubles)+read.MoreTroubles != 32 {
			t.Errorf("%d bytes: %d troubles and %d more: %v", limit, len(read.Troubles), read.MoreTroubles, err)
		}
	}
	if after, err := schema.Marshal(h); err != nil || string(after) != string(before) {
		t.Error("the record itself was changed")
	}
}
