package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"supernats/schema"
)

// kept are the fields of a record's data that are never shortened: who it is of,
// and what readers tell records apart by.
var keptFields = map[string]bool{
	"host": true, "server": true, "boot": true, "pool": true, "instance": true, "cause": true, "since": true,
	"event": true, "message_id": true, "bridge_version": true, "group": true, "process": true,
}

// shorten makes a record of the bridge as small as it has to be: the largest text
// loses half, the largest list its second half, until it fits. Readers ignore what
// is not there.
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
		halve := largestHalver(data)
		if halve == nil {
			return nil, errTooLarge("a record on "+m.Subject, messageSize(small), limit)
		}
		halve()
		var err error
		if small.Data, err = schema.Marshal(record); err != nil {
			return nil, err
		}
	}
	return small, nil
}

// largest returns what halves the largest text or list below an object, nil if there
// is none left.
func largestHalver(of map[string]any) (halve func()) {
	most := 0
	better := func(size int) bool {
		if size <= most {
			return false
		}
		most = size
		return true
	}
	var look func(v any, set func(any))
	look = func(v any, set func(any)) {
		switch v := v.(type) {
		case string:
			if len(v) > minText && better(len(v)) {
				halve = func() { set(firstBytes(v, max(minText, len(v)/2))) }
			}
		case []any:
			b, _ := schema.Marshal(v)
			if len(v) > 1 && better(len(b)/2) {
				halve = func() { set(v[:len(v)/2]) }
			}
			for i := range v {
				look(v[i], func(with any) { v[i] = with })
			}
		case map[string]any:
			b, _ := schema.Marshal(v)
			if len(v) > manyFields && set != nil && better(len(b)/2) {
				halve = func() { dropSecondHalf(v) }
			}
			for k := range v {
				if !keptFields[k] {
					look(v[k], func(with any) { v[k] = with })
				}
			}
		}
	}
	look(of, nil)
	return halve
}

// dropHalf removes the second half of an object's fields.
func dropSecondHalf(of map[string]any) {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names[len(names)/2:] {
		delete(of, name)
	}
}
