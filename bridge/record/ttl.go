package record

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// ttlSnapshot is the name of snapshots among the event names of --ttl.
const ttlSnapshot = "snapshot"

// ttlTable says how long messages stay in the stream, by the name of an event,
// concrete or abstract, or "snapshot". What is not in it stays for as long as
// the stream keeps it.
type TTL map[string]time.Duration

// defaultTTL keeps ticks and logs from pushing last week's crashes out: 1,000
// hosts make 17 million TICK_5 a day.
var defaultTTL = TTL{
	schema.Tick5:            time.Hour,
	ttlSnapshot:             time.Hour,
	schema.Tick60:           24 * time.Hour,
	"PROCESS_LOG":           72 * time.Hour,
	"PROCESS_COMMUNICATION": 72 * time.Hour,
}

// newTTLTable lays the settings over the defaults. 0 means for as long as the
// stream keeps it. A concrete name wins over an abstract one; an abstract one
// that is set wins over defaults for the names below it.
func NewTTL(settings map[string]schema.Duration) (TTL, error) {
	t := TTL{}
	for name, d := range defaultTTL {
		t[name] = d
	}
	for name := range settings {
		if name != ttlSnapshot && !schema.Known(name) && !slices.Contains(schema.Families(), name) {
			return nil, fmt.Errorf("--ttl %s: no such event; allowed are %s, %s, %s", name,
				ttlSnapshot, strings.Join(schema.Families(), ", "), strings.Join(schema.Names(), ", "))
		}
		for old := range t {
			if old != name && old != ttlSnapshot && schema.Is(old, name) {
				delete(t, old)
			}
		}
	}
	for name, d := range settings {
		if d := time.Duration(d); d != 0 && d < time.Second {
			return nil, fmt.Errorf("--ttl %s=%v: allowed are 0 and 1s or more", name, d)
		}
		t[name] = time.Duration(d)
	}
	for _, name := range schema.Names() {
		t[name] = t.Of(name)
	}
	return t, nil
}

// of returns the time for an event, 0 for none.
func (t TTL) Of(event string) time.Duration {
	if d, ok := t[event]; ok {
		return d
	}
	for _, family := range schema.Families()[1:] {
		if d, ok := t[family]; ok && schema.Is(event, family) {
			return d
		}
	}
	return t["EVENT"]
}
