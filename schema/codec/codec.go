// Package codec turns events into bytes and back, on the paths where speed counts: the bridge
// decodes and encodes each event on the machine that it happened on, and a consumer that
// starts reads days of them.
//
//	payload of supervisord -> Decode -> schema.Event -> AppendJSON -> message
//	message -> UnmarshalEvent -> schema.Event
//
// It writes and reads exactly what encoding/json makes of a schema.CloudEvent, in a small
// part of the time, what other programs write too: the fields and their order are here, the JSON itself is in
// schema/internal/fastjson. Nothing blocks, and no input makes it panic or allocate more than
// a small multiple of its size.
package codec

import (
	"fmt"
	"strconv"
	"strings"

	"supernats/schema"
)

// UnmarshalEvent reads the payload of a message on supervisor.event.>. The strings of the
// result may share one copy of the payload, and its parts one allocation: clone what is to
// be kept for long.
//
// Errors name the attribute that is missing or malformed.
func UnmarshalEvent(payload []byte) (*schema.CloudEvent[*schema.Event], error) {
	ce, ok := scanEvent(payload)
	if !ok {
		ce, ok = scanAnyOrder(payload)
	}
	if !ok {
		var err error
		if ce, err = schema.Unmarshal[*schema.Event](payload); err != nil {
			return nil, err
		}
	}

	e := ce.Data
	switch {
	case e == nil:
		return nil, fmt.Errorf("schema: event %q has no data", ce.ID)
	case e.Event == "" || e.Host == "" || e.Boot == "":
		return nil, fmt.Errorf("schema: event %q: data has no event, host or boot", ce.ID)
	case !hasID(e, ce.ID):
		return nil, fmt.Errorf("schema: event %q: id is not that of its data, %q", ce.ID, e.ID())
	}
	return ce, nil
}

// hasID reports whether an id is that of the event, without allocating it.
func hasID(e *schema.Event, id string) bool {
	rest, ok := strings.CutPrefix(id, e.Host)
	if !ok || !strings.HasPrefix(rest, "/") {
		return false
	}
	rest, ok = strings.CutPrefix(rest[1:], e.Boot)
	if !ok || !strings.HasPrefix(rest, "/") {
		return false
	}

	var buf [48]byte // two numbers of 20 digits and a slash
	b := strconv.AppendUint(buf[:0], e.Serial, 10)
	if e.Parts > 0 {
		b = strconv.AppendInt(append(b, '/'), int64(e.Part), 10)
	}
	return rest[1:] == string(b)
}
