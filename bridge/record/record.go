package record

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/bridge/eventlistener"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/stream"
)

// A record is what the spool holds of one event or of one record of our own.
// An event is kept as it was read, with what cannot be found out later; it
// becomes JSON when it is published, off supervisord's path.
//
//	 0       1                9               17
//	┌──────┬────────────────┬───────────────┬──────────────────────────┐
//	│ kind │ time read,     │ boot          │ event: header line, \n,  │
//	│      │ Unix µs, LE    │               │        payload, facts    │
//	│      │                │               │ message: header line, \n,│
//	│      │                │               │        subject, \n,      │
//	│      │                │               │        id, \n, JSON      │
//	└──────┴────────────────┴───────────────┴──────────────────────────┘
//
// The header line of a message is that of the last event before it that was stored
// or let go; empty, or "beginning", if there was none: the next run goes on from there, see history.
const (
	kindEvent   = 'e'
	kindMessage = 'm'
	headSize    = 1 + 8 + BootSize
	BootSize    = 8
)

var ErrMalformed = errors.New("record of the spool is malformed")

func appendHead(b []byte, kind byte, at time.Time, boot [BootSize]byte) []byte {
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(at.UnixMicro()))
	return append(b, boot[:]...)
}

// appendEvent appends the record of an event to b.
func AppendEvent(b []byte, at time.Time, boot [BootSize]byte, header, payload []byte) []byte {
	b = appendHead(b, kindEvent, at, boot)
	b = append(append(b, header...), '\n')
	return append(b, payload...)
}

// appendMessage appends a record that goes out as it is, behind the event of a
// header.
func AppendMessage(b []byte, at time.Time, boot [BootSize]byte, header []byte, subject, id string, json []byte) []byte {
	b = appendHead(b, kindMessage, at, boot)
	b = append(append(b, header...), '\n')
	b = append(append(b, subject...), '\n')
	b = append(append(b, id...), '\n')
	return append(b, json...)
}

// View is a record taken apart; its slices are parts of the record.
type View struct {
	kind byte
	// Boot is the boot of the supervisord that the record is of, in BootSize bytes.
	Boot []byte
	// Header is the header line: of the event, or of the last one before a message.
	Header []byte
	// Body is what follows: payload and facts of an event; subject, id and JSON of a
	// message.
	Body []byte
}

// Parse takes a record apart; false if it is shorter than its head.
func Parse(rec []byte) (View, bool) {
	if len(rec) < headSize {
		return View{}, false
	}
	header, body, _ := bytes.Cut(rec[headSize:], []byte("\n"))
	return View{kind: rec[0], Boot: rec[headSize-BootSize : headSize], Header: header, Body: body}, true
}

// IsEvent reports whether the record is one of an event.
func (v View) IsEvent() bool { return v.kind == kindEvent }

// IsMessage reports whether the record is one of our own.
func (v View) IsMessage() bool { return v.kind == kindMessage }

// Message returns subject and JSON of a record of our own.
func (v View) Message() (subject, json []byte) {
	subject, rest, _ := bytes.Cut(v.Body, []byte("\n"))
	_, json, _ = bytes.Cut(rest, []byte("\n"))
	return subject, json
}

// IsTable reports whether the record is a process table.
func (v View) IsTable() bool {
	return v.IsMessage() && bytes.HasPrefix(v.Body, []byte(schema.SnapshotPrefix))
}

// EventPlace returns of the record of an event its boot and its header line: that is
// how far the events are accounted for with it. nil of any other record.
func EventPlace(rec []byte) []byte {
	if len(rec) < headSize || rec[0] != kindEvent {
		return nil
	}
	end := bytes.IndexByte(rec[headSize:], '\n')
	if end < 0 {
		return nil
	}
	return rec[headSize-BootSize : headSize+end]
}

// RecordTime returns when the event of a record was read from supervisord.
func Time(rec []byte) (time.Time, error) {
	if len(rec) < headSize {
		return time.Time{}, ErrMalformed
	}
	return time.UnixMicro(int64(binary.LittleEndian.Uint64(rec[1:]))), nil
}

// Payloads returns what would be published of a record of a host's spool.
func Payloads(host string, rec []byte) ([][]byte, error) {
	msgs, err := (&Encoder{Host: host}).Encode(rec, math.MaxInt)
	if err != nil {
		return nil, err
	}
	payloads := make([][]byte, len(msgs))
	for i, m := range msgs {
		payloads[i] = m.Data
	}
	return payloads, nil
}

// encoder makes messages of records.
type Encoder struct {
	Host string
	TTL  TTL
}

// decode returns the event of a record, when it was read, and what was known of the
// death that it reports; nil for a record of our own.
func (c *Encoder) Decode(rec []byte) (time.Time, *schema.Event, *Facts, error) {
	at, err := Time(rec)
	if err != nil || rec[0] != kindEvent {
		return at, nil, nil, err
	}
	header, payload, ok := bytes.Cut(rec[headSize:], []byte("\n"))
	if !ok {
		return at, nil, nil, ErrMalformed
	}
	h, err := eventlistener.ParseHeader(header)
	if err != nil {
		return at, nil, nil, err
	}
	payload, f := CutFacts(&h, payload)
	return at, codec.Decode(codec.Raw{
		Event: h.Event, Server: h.Server, Pool: h.Pool,
		Serial: h.Serial, PoolSerial: h.PoolSerial, Payload: payload,
	}, c.Host, hex.EncodeToString(rec[9:headSize])), f, nil
}

// Encode returns the messages of a record, none larger than maxPayload: one, or the
// parts of one that is larger, see fit, divide and shorten.
func (c *Encoder) Encode(rec []byte, maxPayload int) ([]*nats.Msg, error) {
	at, event, f, err := c.Decode(rec)
	switch {
	case err != nil:
		return nil, err
	case event != nil:
		f.Apply(event)
		return c.EncodeEvent(new(nats.Msg), event, at, maxPayload)
	case rec[0] != kindMessage:
		return nil, fmt.Errorf("%w: kind %q", ErrMalformed, rec[0])
	}
	_, body, _ := bytes.Cut(rec[headSize:], []byte("\n"))
	subject, body, _ := bytes.Cut(body, []byte("\n"))
	id, json, ok := bytes.Cut(body, []byte("\n"))
	if !ok {
		return nil, ErrMalformed
	}
	if bytes.HasPrefix(subject, []byte(schema.SnapshotPrefix)) {
		m := NewMessage(string(subject), string(id), bytes.Clone(json), c.TTL[ttlSnapshot])
		if messageSize(m) > maxPayload {
			return c.divideTable(m, maxPayload)
		}
		return []*nats.Msg{m}, nil
	}
	m := NewMessage(string(subject), string(id), bytes.Clone(json), 0)
	if messageSize(m) > maxPayload {
		var err error
		if m, err = shortenRecord(m, maxPayload); err != nil {
			return nil, err
		}
	}
	return []*nats.Msg{m}, nil
}

// event makes the message of an event in m, in the memory that m has, or new
// messages of its parts.
func (c *Encoder) EncodeEvent(m *nats.Msg, e *schema.Event, at time.Time, maxPayload int) ([]*nats.Msg, error) {
	ttl := c.TTL.Of(e.Event)
	c.writeEvent(m, e, at, ttl)
	if len(m.Data) < maxPayload-headerRoom || messageSize(m) <= maxPayload {
		return []*nats.Msg{m}, nil
	}
	return c.fitEvent(m, e, at, maxPayload)
}

func (c *Encoder) writeEvent(m *nats.Msg, e *schema.Event, at time.Time, ttl time.Duration) {
	size := 512 + len(e.DataBase64)*4/3
	if e.Data != nil {
		size += len(*e.Data)
	}
	if e.Log != nil {
		size += len(e.Log.Stdout) + len(e.Log.Stderr)
	}
	m.Subject, m.Reply = e.Subject(), ""
	m.Data = codec.AppendJSON(slices.Grow(m.Data[:0], size+size/8), e, at)
	setHeaders(m, e.ID(), ttl)
}

// message adds the headers; a ttl of 0 leaves the stream's own limits.
func NewMessage(subject, id string, json []byte, ttl time.Duration) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: json}
	setHeaders(m, id, ttl)
	return m
}

func setHeaders(m *nats.Msg, id string, ttl time.Duration) {
	if m.Header == nil {
		m.Header = nats.Header{stream.HeaderContentType: {schema.ContentType}}
	}
	m.Header[nats.MsgIdHdr] = append(m.Header[nats.MsgIdHdr][:0], id)
	if ttl > 0 {
		m.Header[stream.HeaderTTL] = append(m.Header[stream.HeaderTTL][:0], strconv.Itoa(int(ttl/time.Second))+"s")
	} else {
		delete(m.Header, stream.HeaderTTL)
	}
}
