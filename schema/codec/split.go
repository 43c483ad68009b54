package codec

import (
	"unicode/utf8"

	"supernats/schema"
	"supernats/schema/internal/fastjson"
)

// Split divides an event whose data would make its message too big into parts, which differ
// in Part (from 1) and their share of the data only. limit is the size of the largest share
// in bytes, as it stands in the JSON with quotes and escapes. An event whose data fits is
// returned as it is.
func Split(e *schema.Event, limit int) []*schema.Event {
	var shares [][]byte
	for rest := textOf(e); len(rest) > 0; {
		n := share(rest, e.Data == nil, limit)
		shares = append(shares, rest[:n])
		rest = rest[n:]
	}
	if len(shares) < 2 {
		return []*schema.Event{e}
	}

	parts := make([]*schema.Event, len(shares))
	for i, s := range shares {
		p := *e
		p.Part, p.Parts = i+1, len(shares)
		p.Data, p.DataBase64 = nil, nil
		if e.Data == nil {
			p.DataBase64 = s
		} else {
			text := string(s)
			p.Data = &text
		}
		parts[i] = &p
	}
	return parts
}

// share returns how many bytes of data take no more than limit bytes in JSON, at least one
// character.
func share(data []byte, base64 bool, limit int) int {
	if base64 {
		return min(len(data), max(3, limit/4*3-3))
	}

	size := 2
	for n := 0; n < len(data); {
		_, w := utf8.DecodeRune(data[n:])
		size += fastjson.SizeOf(data[n : n+w])
		if size > limit && n > 0 {
			return n
		}
		n += w
	}
	return len(data)
}

// textOf returns the event's data as bytes.
func textOf(e *schema.Event) []byte {
	if e.Data != nil {
		return []byte(*e.Data)
	}
	return e.DataBase64
}
