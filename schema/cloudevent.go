package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ContentType is the value of the header Content-Type of every message: it is one
// CloudEvent in structured mode (NATS binding of CloudEvents 1.0.2).
const ContentType = "application/cloudevents+json"

// Values of the attributes type and dataschema.
const (
	eventTypePrefix = "org.supervisord."

	TypeSnapshot        = "supernats.snapshot"
	TypeBridgePrefix    = "supernats.bridge."
	TypeAlertFiring     = "supernats.alert.firing"
	TypeAlertUpdate     = "supernats.alert.update"
	TypeAlertResolved   = "supernats.alert.resolved"
	schemaEvent         = "urn:supernats:event:1"
	schemaSnapshot      = "urn:supernats:snapshot:1"
	schemaBridge        = "urn:supernats:bridge:1"
	schemaAlert         = "urn:supernats:alert:1"
	specVersion         = "1.0"
	dataContentTypeJSON = "application/json"
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

// hasID reports whether id is e.ID().
func (e *Event) hasID(id string) bool {
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

// Envelope wraps an event that the bridge read at a time.
func (e *Event) Envelope(read time.Time) *CloudEvent[*Event] {
	family, kind := Tail(e.Event, e.Type)
	return &CloudEvent[*Event]{
		SpecVersion: specVersion,
		ID:          e.ID(),
		// The identifier of a supervisord may be any text. It is escaped, because the source
		// has to be a URI reference.
		Source:          "/supervisor/" + url.PathEscape(e.Host) + "/" + url.PathEscape(e.Server),
		Type:            eventTypePrefix + family + "." + kind,
		Subject:         processSubject(e.Group, e.Process),
		Time:            Time{read},
		DataContentType: dataContentTypeJSON,
		DataSchema:      schemaEvent,
		Data:            e,
	}
}

// record wraps one of supernats' own records.
func record[T any](id, host, typ, dataSchema, subject string, at time.Time, data T) *CloudEvent[T] {
	return &CloudEvent[T]{
		SpecVersion:     specVersion,
		ID:              id,
		Source:          "/supernats/" + url.PathEscape(host),
		Type:            typ,
		Subject:         subject,
		Time:            Time{at},
		DataContentType: dataContentTypeJSON,
		DataSchema:      dataSchema,
		Data:            data,
	}
}

// micros is a time as it stands in an id that would not be unique without it.
func micros(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 10) }

func processSubject(group, process string) string {
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
	case ce.SpecVersion != specVersion:
		return nil, errorf("payload has specversion %q: want %q", ce.SpecVersion, specVersion)
	case ce.ID == "":
		return nil, errorf("payload has no id")
	case ce.Type == "":
		return nil, errorf("payload has no type")
	}
	return &ce, nil
}

// UnmarshalEvent reads the payload of a message on supervisor.event.>. The strings of the
// result may share one copy of the payload, and its parts one allocation: clone what is to
// be kept for long.
//
// Errors name the attribute that is missing or malformed.
func UnmarshalEvent(payload []byte) (*CloudEvent[*Event], error) {
	ce, ok := scanEvent(payload)
	if !ok {
		var err error
		if ce, err = Unmarshal[*Event](payload); err != nil {
			return nil, err
		}
	}

	e := ce.Data
	switch {
	case e == nil:
		return nil, errorf("event %q has no data", ce.ID)
	case e.Event == "" || e.Host == "" || e.Boot == "":
		return nil, errorf("event %q: data has no event, host or boot", ce.ID)
	case !e.hasID(ce.ID):
		return nil, errorf("event %q: id is not that of its data, %q", ce.ID, e.ID())
	}
	return ce, nil
}
