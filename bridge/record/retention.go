package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// ttlSnapshot is the name of snapshots among the event names of --ttl.
const ttlSnapshot = "snapshot"

// TTL says how long messages stay in the stream, by the name of an event, concrete or
// abstract, or "snapshot". What is not in it stays for as long as the stream keeps it.
type TTL map[string]time.Duration

// defaultTTL keeps ticks and logs from pushing last week's crashes out: 1,000 hosts make
// 17 million TICK_5 a day.
var defaultTTL = TTL{
	schema.Tick5:            time.Hour,
	ttlSnapshot:             time.Hour,
	schema.Tick60:           24 * time.Hour,
	"PROCESS_LOG":           72 * time.Hour,
	"PROCESS_COMMUNICATION": 72 * time.Hour,
}

// NewTTL lays the settings over the defaults. 0 means for as long as the stream keeps it. A
// concrete name wins over an abstract one; an abstract one that is set wins over defaults
// for the names below it.
func NewTTL(settings map[string]schema.Duration) (TTL, error) {
	t := maps.Clone(defaultTTL)
	for name := range settings {
		if !hasTTL(name) {
			return nil, fmt.Errorf("--ttl: invalid event %q: want one of %s, %s, %s", name,
				ttlSnapshot, strings.Join(schema.Families(), ", "), strings.Join(schema.Names(), ", "))
		}
		maps.DeleteFunc(t, func(below string, _ time.Duration) bool {
			return below != name && below != ttlSnapshot && schema.Is(below, name)
		})
	}

	for name, d := range settings {
		if d := time.Duration(d); d != 0 && d < time.Second {
			return nil, fmt.Errorf("--ttl: invalid value %s=%v: want 0, or 1s or more", name, d)
		}
		t[name] = time.Duration(d)
	}

	// Known events are looked up once.
	for _, name := range schema.Names() {
		t[name] = t.Of(name)
	}
	return t, nil
}

// hasTTL reports whether a name is one that --ttl knows.
func hasTTL(name string) bool {
	return name == ttlSnapshot || schema.Known(name) || slices.Contains(schema.Families(), name)
}

// Of returns the time for an event, 0 for none.
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
