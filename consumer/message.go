package consumer

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/stream"
)

// Message is one message of a stream.
type Message struct {
	// Subject it was published on, see schema.ParseSubject.
	Subject string
	// ID is the CloudEvent's id.
	ID string
	// Data is a CloudEvent in JSON; see Event.
	Data []byte
	// Seq is its sequence in the stream: use it to recognise a message that you have seen.
	Seq uint64
	// Stored is when the stream got it.
	Stored time.Time
	// Sent is what the host's clock said when its bridge sent it; zero if it does not say.
	Sent time.Time
	// Tries counts from 1.
	Tries int
}

// Event decodes a message on supervisor.event.>. An error means that another program has
// published there, or a host in the name of another one: return it through Park.
func (m *Message) Event() (*schema.CloudEvent[*schema.Event], error) {
	ce, err := codec.UnmarshalEvent(m.Data)
	if err == nil && !schema.OfHost(m.Subject, schema.EventPrefix, ce.Data.Host) {
		return nil, fmt.Errorf("event %q of host %q was published on %s, by another host",
			ce.ID, ce.Data.Host, m.Subject)
	}
	return ce, err
}

// NewMessage returns a message of JetStream as Handlers get it.
func NewMessage(m jetstream.Msg) (*Message, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read a message's metadata: %w", err)
	}
	return &Message{
		Subject: m.Subject(),
		ID:      m.Headers().Get(nats.MsgIdHdr),
		Data:    m.Data(),
		Seq:     meta.Sequence.Stream,
		Stored:  meta.Timestamp,
		Sent:    SentAt(m.Headers()),
		Tries:   int(meta.NumDelivered),
	}, nil
}

// SentAt returns what the host's clock said when a message was sent, by its headers; the
// zero time if they do not say.
func SentAt(h nats.Header) time.Time {
	t, err := time.Parse(time.RFC3339, h.Get(stream.HeaderSent))
	if err != nil {
		return time.Time{}
	}
	return t
}
