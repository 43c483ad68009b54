package record

import (
	"bytes"
	"encoding/hex"
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

// Encoder makes messages of the records of a host.
type Encoder struct {
	Host string
	TTL  TTL
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

// Decode returns the event of a record, when it was read, and what was known of the death
// that it reports; nil for a message of our own.
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

	payload, facts := CutFacts(&h, payload)
	return at, codec.Decode(codec.Raw{
		Event: h.Event, Server: h.Server, Pool: h.Pool,
		Serial: h.Serial, PoolSerial: h.PoolSerial, Payload: payload,
	}, c.Host, hex.EncodeToString(rec[headSize-BootSize:headSize])), facts, nil
}

// Encode returns the messages of a record, none larger than maxPayload: one, or the parts
// of one that is larger, see limits.go.
func (c *Encoder) Encode(rec []byte, maxPayload int) ([]*nats.Msg, error) {
	at, event, facts, err := c.Decode(rec)
	switch {
	case err != nil:
		return nil, err
	case event != nil:
		facts.Apply(event)
		return c.EncodeEvent(new(nats.Msg), event, at, maxPayload)
	case rec[0] != kindMessage:
		return nil, fmt.Errorf("%w: kind %q", ErrMalformed, rec[0])
	}
	return c.encodeMessage(rec, maxPayload)
}

// encodeMessage makes the messages of a record of our own.
func (c *Encoder) encodeMessage(rec []byte, maxPayload int) ([]*nats.Msg, error) {
	_, body, _ := bytes.Cut(rec[headSize:], []byte("\n"))
	subject, body, _ := bytes.Cut(body, []byte("\n"))
	id, json, ok := bytes.Cut(body, []byte("\n"))
	if !ok {
		return nil, ErrMalformed
	}

	isTable := bytes.HasPrefix(subject, []byte(schema.SnapshotPrefix))
	ttl := time.Duration(0)
	if isTable {
		ttl = c.TTL[ttlSnapshot]
	}
	m := NewMessage(string(subject), string(id), bytes.Clone(json), ttl)
	if messageSize(m) <= maxPayload {
		return []*nats.Msg{m}, nil
	}

	if isTable {
		return c.divideTable(m, maxPayload)
	}
	m, err := shortenRecord(m, maxPayload)
	if err != nil {
		return nil, err
	}
	return []*nats.Msg{m}, nil
}

// EncodeEvent makes the message of an event in m, in the memory that m has, or new
// messages of its parts.
func (c *Encoder) EncodeEvent(m *nats.Msg, e *schema.Event, at time.Time, maxPayload int) ([]*nats.Msg, error) {
	c.writeEvent(m, e, at, c.TTL.Of(e.Event))
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

// NewMessage makes a message with the headers of the contract; a ttl of 0 leaves the
// stream's own limits.
func NewMessage(subject, id string, json []byte, ttl time.Duration) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: json}
	setHeaders(m, id, ttl)
	return m
}

// setHeaders sets the headers, in the memory of those that m has.
func setHeaders(m *nats.Msg, id string, ttl time.Duration) {
	if m.Header == nil {
		m.Header = nats.Header{stream.HeaderContentType: {schema.ContentType}}
	}
	m.Header[nats.MsgIdHdr] = append(m.Header[nats.MsgIdHdr][:0], id)
	if ttl > 0 {
		seconds := strconv.Itoa(int(ttl/time.Second)) + "s"
		m.Header[stream.HeaderTTL] = append(m.Header[stream.HeaderTTL][:0], seconds)
	} else {
		delete(m.Header, stream.HeaderTTL)
	}
}
