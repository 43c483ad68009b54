package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// ContentType is the value of the header Content-Type of every message: it is one
// CloudEvent in structured mode (NATS binding of CloudEvents 1.0.2).
const ContentType = "application/cloudevents+json"

// Values of attributes.
const (
	SpecVersion     = "1.0"
	DataContentType = "application/json"

	TypeEventPrefix   = "org.supervisord."
	TypeSnapshot      = "supernats.snapshot"
	TypeBridgePrefix  = "supernats.bridge."
	TypeAlertFiring   = "supernats.alert.firing"
	TypeAlertUpdate   = "supernats.alert.update"
	TypeAlertResolved = "supernats.alert.resolved"
	// Somebody takes care of an alert, or no longer does.
	TypeAlertAcknowledged   = "supernats.alert.acknowledged"
	TypeAlertUnacknowledged = "supernats.alert.unacknowledged"

	SchemaEvent    = "urn:supernats:event:1"
	schemaSnapshot = "urn:supernats:snapshot:1"
	schemaBridge   = "urn:supernats:bridge:1"
	schemaAlert    = "urn:supernats:alert:1"
	schemaAck      = "urn:supernats:ack:1"
)

// CloudEvent is the envelope of every message on our subjects, with data of type T. The
// order of the fields is the order in the JSON.
type CloudEvent[T any] struct {
	SpecVersion string `json:"specversion"`
	// ID is unique within Source, and also the Nats-Msg-Id.
	ID     string `json:"id"`
	Source string `json:"source"`
	Type   string `json:"type"`
	// Subject is "group:process", or the group alone, or empty.
	Subject         string `json:"subject,omitempty"`
	Time            Time   `json:"time"`
	DataContentType string `json:"datacontenttype"`
	DataSchema      string `json:"dataschema"`
	Data            T      `json:"data"`
}

// EventID is the id of an event: host/boot/serial. supervisord gives an event one serial
// whatever pools it goes to, so two listeners make no duplicates.
func EventID(host, boot string, serial uint64) string {
	return host + "/" + boot + "/" + strconv.FormatUint(serial, 10)
}

// ID is the id of the event, or of the part of one.
func (e *Event) ID() string {
	id := EventID(e.Host, e.Boot, e.Serial)
	if e.Parts > 0 {
		id += "/" + strconv.Itoa(e.Part)
	}
	return id
}

// Envelope wraps an event that the bridge read at a time.
func (e *Event) Envelope(read time.Time) *CloudEvent[*Event] {
	family, kind := Tail(e.Event, e.Type)
	return &CloudEvent[*Event]{
		SpecVersion: SpecVersion,
		ID:          e.ID(),
		// The identifier of a supervisord may be any text. It is escaped, because the source
		// has to be a URI reference.
		Source:          "/supervisor/" + url.PathEscape(e.Host) + "/" + url.PathEscape(e.Server),
		Type:            TypeEventPrefix + family + "." + kind,
		Subject:         ProcessSubject(e.Group, e.Process),
		Time:            Time{read},
		DataContentType: DataContentType,
		DataSchema:      SchemaEvent,
		Data:            e,
	}
}

// record wraps one of supernats' own records.
func record[T any](id, host, typ, dataSchema, subject string, at time.Time, data T) *CloudEvent[T] {
	return &CloudEvent[T]{
		SpecVersion:     SpecVersion,
		ID:              id,
		Source:          "/supernats/" + url.PathEscape(host),
		Type:            typ,
		Subject:         subject,
		Time:            Time{at},
		DataContentType: DataContentType,
		DataSchema:      dataSchema,
		Data:            data,
	}
}

// micros is a time as it stands in an id that would not be unique without it.
func micros(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 10) }

// ProcessSubject is the attribute subject: "group:process", the group alone, or empty.
func ProcessSubject(group, process string) string {
	if process == "" {
		return group
	}
	return group + ":" + process
}

// Marshal writes v as JSON without escaping <, > and &, so that the output of processes
// stays readable in a terminal. v must hold valid UTF-8 only.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Unmarshal reads the payload of a message on one of our subjects. It checks what every
// reader relies on: that it is a CloudEvent 1.0 with an id and a type.
func Unmarshal[T any](payload []byte) (*CloudEvent[T], error) {
	var ce CloudEvent[T]
	if err := json.Unmarshal(payload, &ce); err != nil {
		return nil, errorf("payload is no CloudEvent of ours: %w", err)
	}

	switch {
	case ce.SpecVersion != SpecVersion:
		return nil, errorf("payload has specversion %q: want %q", ce.SpecVersion, SpecVersion)
	case ce.ID == "":
		return nil, errorf("payload has no id")
	case ce.Type == "":
		return nil, errorf("payload has no type")
	}
	return &ce, nil
}
