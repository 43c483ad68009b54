package acks

import (
	"bytes"
	"encoding/json"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Answer is what became of a message: the acknowledgement of a stream, or an error.
type Answer struct {
	// Stream is the name in the acknowledgement: any responder on the subject can answer.
	Stream string
	// Seq is the sequence of the message in the stream; for a duplicate, that of the
	// message that the stream already holds.
	Seq       uint64
	Duplicate bool
	// Err is the library's error: jetstream.ErrNoStreamResponse, ErrInvalidJSAck,
	// ErrAsyncPublishTimeout, *jetstream.APIError or nats.ErrDisconnected.
	Err error
}

// readAnswer returns what an answer says. Its errors are those of the library.
func (r *Ring) readAnswer(m *nats.Msg) Answer {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" { // there are no responders
		return Answer{Err: jetstream.ErrNoStreamResponse}
	}
	if name, seq, duplicate, ok := cutAck(m.Data); ok {
		stream := r.stream
		if string(name) != stream {
			stream = string(name)
		}
		return Answer{Stream: stream, Seq: seq, Duplicate: duplicate}
	}
	return parseAck(m.Data)
}

// parseAck reads an answer of any form.
func parseAck(data []byte) Answer {
	var r struct {
		Type  string              `json:"type"`
		Error *jetstream.APIError `json:"error"`
		*jetstream.PubAck
	}
	switch err := json.Unmarshal(data, &r); {
	case err != nil:
		return Answer{Err: jetstream.ErrInvalidJSAck}
	case r.Error != nil:
		return Answer{Err: r.Error}
	case r.PubAck == nil || r.Stream == "":
		return Answer{Err: jetstream.ErrInvalidJSAck}
	}
	return Answer{Stream: r.Stream, Seq: r.Sequence, Duplicate: r.Duplicate}
}

// cutAck reads an acknowledgement as nats-server writes it (stream.go pubAck), in
// a twentieth of the time of parseAck:
//
//	{"stream":"SUPERVISOR","domain":"hub","seq":123,"duplicate": true}
//
// domain and duplicate may be missing. ok is false for anything else.
func cutAck(b []byte) (stream []byte, seq uint64, duplicate, ok bool) {
	if b, ok = bytes.CutPrefix(b, []byte(`{"stream":"`)); !ok {
		return nil, 0, false, false
	}
	if stream, b, ok = cutPlain(b); !ok || len(stream) == 0 {
		return nil, 0, false, false
	}

	if rest, found := bytes.CutPrefix(b, []byte(`,"domain":"`)); found {
		if _, b, ok = cutPlain(rest); !ok {
			return nil, 0, false, false
		}
	}
	if b, ok = bytes.CutPrefix(b, []byte(`,"seq":`)); !ok {
		return nil, 0, false, false
	}

	digits := 0
	for digits < len(b) && '0' <= b[digits] && b[digits] <= '9' {
		seq = 10*seq + uint64(b[digits]-'0')
		digits++
	}
	// JSON has no leading zeros, and 20 digits may be too many for a number.
	if digits == 0 || digits > 19 || b[0] == '0' {
		return nil, 0, false, false
	}

	switch string(b[digits:]) {
	case `}`:
		return stream, seq, false, true
	case `,"duplicate": true}`, `,"duplicate":true}`:
		return stream, seq, true, true
	}
	return nil, 0, false, false
}

// cutPlain cuts the rest of a JSON string, up to its quote, from b. ok is false if the text
// is not plain ASCII without escapes.
func cutPlain(b []byte) (text, rest []byte, ok bool) {
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:], true
		case c < ' ' || c == '\\' || c >= 0x7f:
			return nil, nil, false
		}
	}
	return nil, nil, false
}
