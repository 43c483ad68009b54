package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go"

	"supernats/schema"
)

// keptFields are the fields of a record's data that are never shortened: whose it is, and
// what readers distinguish records by.
var keptFields = map[string]bool{
	"host": true, "server": true, "boot": true, "pool": true, "instance": true, "cause": true, "since": true,
	"event": true, "message_id": true, "bridge_version": true, "group": true, "process": true,
}

// shortenRecord makes a record of the bridge as small as it has to be: the largest text
// loses half, the largest list its second half, until it fits. Readers ignore what is not
// there.
func shortenRecord(m *nats.Msg, limit int) (*nats.Msg, error) {
	d := json.NewDecoder(bytes.NewReader(m.Data))
	d.UseNumber() // they stay as they are written
	var record map[string]any
	if err := d.Decode(&record); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	data, _ := record["data"].(map[string]any)

	small := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	for messageSize(small) > limit {
		var largest largestValue
		largest.searchBelow(data, nil)
		if largest.halve == nil {
			return nil, errTooLarge("a record on "+m.Subject, messageSize(small), limit)
		}
		largest.halve()

		var err error
		if small.Data, err = schema.Marshal(record); err != nil {
			return nil, err
		}
	}
	return small, nil
}

// largestValue is the largest text or list below an object.
type largestValue struct {
	size  int
	halve func() // nil while there is none
}

// offerHalving takes a value if it is the largest one so far.
func (l *largestValue) offerHalving(size int, halve func()) {
	if size > l.size {
		l.size, l.halve = size, halve
	}
}

// searchBelow looks at a value and all below it. set puts another one in its place; nil for the
// whole object.
func (l *largestValue) searchBelow(v any, set func(any)) {
	switch v := v.(type) {
	case string:
		if len(v) > minText {
			l.offerHalving(len(v), func() { set(firstBytes(v, max(minText, len(v)/2))) })
		}

	case []any:
		if len(v) > 1 {
			b, _ := schema.Marshal(v)
			l.offerHalving(len(b)/2, func() { set(v[:len(v)/2]) })
		}
		for i := range v {
			l.searchBelow(v[i], func(with any) { v[i] = with })
		}

	case map[string]any:
		if len(v) > manyFields && set != nil {
			b, _ := schema.Marshal(v)
			l.offerHalving(len(b)/2, func() { dropSecondHalf(v) })
		}
		for k := range v {
			if !keptFields[k] {
				l.searchBelow(v[k], func(with any) { v[k] = with })
			}
		}
	}
}

// dropSecondHalf removes the second half of an object's fields, by name.
func dropSecondHalf(of map[string]any) {
	names := slices.Sorted(maps.Keys(of))
	for _, name := range names[len(names)/2:] {
		delete(of, name)
	}
}
