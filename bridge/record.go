package bridge

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
	recordHead  = 1 + 8 + bootBytes
	bootBytes   = 8
)

var errRecord = errors.New("record of the spool is malformed")

func appendHead(b []byte, kind byte, at time.Time, boot [bootBytes]byte) []byte {
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(at.UnixMicro()))
	return append(b, boot[:]...)
}

// appendEvent appends the record of an event to b.
func appendEvent(b []byte, at time.Time, boot [bootBytes]byte, header, payload []byte) []byte {
	b = appendHead(b, kindEvent, at, boot)
	b = append(append(b, header...), '\n')
	return append(b, payload...)
}

// appendMessage appends a record that goes out as it is, behind the event of a
// header.
func appendMessage(b []byte, at time.Time, boot [bootBytes]byte, header []byte, subject, id string, json []byte) []byte {
	b = appendHead(b, kindMessage, at, boot)
	b = append(append(b, header...), '\n')
	b = append(append(b, subject...), '\n')
	b = append(append(b, id...), '\n')
	return append(b, json...)
}

// RecordTime returns when the event of a record was read from supervisord.
func RecordTime(rec []byte) (time.Time, error) {
	if len(rec) < recordHead {
		return time.Time{}, errRecord
	}
	return time.UnixMicro(int64(binary.LittleEndian.Uint64(rec[1:]))), nil
}

// Payloads returns what would be published of a record of a host's spool.
func Payloads(host string, rec []byte) ([][]byte, error) {
	msgs, err := (&encoder{host: host}).Encode(rec, math.MaxInt)
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
type encoder struct {
	host string
	ttl  ttlTable
}

// decode returns the event of a record, when it was read, and what was known of the
// death that it reports; nil for a record of our own.
func (c *encoder) decode(rec []byte) (time.Time, *schema.Event, *facts, error) {
	at, err := RecordTime(rec)
	if err != nil || rec[0] != kindEvent {
		return at, nil, nil, err
	}
	header, payload, ok := bytes.Cut(rec[recordHead:], []byte("\n"))
	if !ok {
		return at, nil, nil, errRecord
	}
	h, err := eventlistener.ParseHeader(header)
	if err != nil {
		return at, nil, nil, err
	}
	payload, f := cutFacts(&h, payload)
	return at, schema.Decode(schema.Raw{
		Event: h.Event, Server: h.Server, Pool: h.Pool,
		Serial: h.Serial, PoolSerial: h.PoolSerial, Payload: payload,
	}, c.host, hex.EncodeToString(rec[9:recordHead])), f, nil
}

// Encode returns the messages of a record, none larger than maxPayload: one, or the
// parts of one that is larger, see fit, divide and shorten.
func (c *encoder) Encode(rec []byte, maxPayload int) ([]*nats.Msg, error) {
	at, event, f, err := c.decode(rec)
	switch {
	case err != nil:
		return nil, err
	case event != nil:
		f.apply(event)
		return c.event(new(nats.Msg), event, at, maxPayload)
	case rec[0] != kindMessage:
		return nil, fmt.Errorf("%w: kind %q", errRecord, rec[0])
	}
	_, body, _ := bytes.Cut(rec[recordHead:], []byte("\n"))
	subject, body, _ := bytes.Cut(body, []byte("\n"))
	id, json, ok := bytes.Cut(body, []byte("\n"))
	if !ok {
		return nil, errRecord
	}
	if bytes.HasPrefix(subject, []byte(schema.SnapshotPrefix)) {
		m := message(string(subject), string(id), bytes.Clone(json), c.ttl[ttlSnapshot])
		if messageSize(m) > maxPayload {
			return c.divide(m, maxPayload)
		}
		return []*nats.Msg{m}, nil
	}
	m := message(string(subject), string(id), bytes.Clone(json), 0)
	if messageSize(m) > maxPayload {
		var err error
		if m, err = shorten(m, maxPayload); err != nil {
			return nil, err
		}
	}
	return []*nats.Msg{m}, nil
}

// event makes the message of an event in m, in the memory that m has, or new
// messages of its parts.
func (c *encoder) event(m *nats.Msg, e *schema.Event, at time.Time, maxPayload int) ([]*nats.Msg, error) {
	ttl := c.ttl.of(e.Event)
	c.write(m, e, at, ttl)
	if len(m.Data) < maxPayload-headerRoom || messageSize(m) <= maxPayload {
		return []*nats.Msg{m}, nil
	}
	return c.fit(m, e, at, maxPayload)
}

func (c *encoder) write(m *nats.Msg, e *schema.Event, at time.Time, ttl time.Duration) {
	size := 512 + len(e.DataBase64)*4/3
	if e.Data != nil {
		size += len(*e.Data)
	}
	if e.Log != nil {
		size += len(e.Log.Stdout) + len(e.Log.Stderr)
	}
	m.Subject, m.Reply = e.Subject(), ""
	m.Data = e.AppendJSON(slices.Grow(m.Data[:0], size+size/8), at)
	setHeaders(m, e.ID(), ttl)
}

// message adds the headers; a ttl of 0 leaves the stream's own limits.
func message(subject, id string, json []byte, ttl time.Duration) *nats.Msg {
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
