package schema

import "time"

// Resent is the data of a message on supervisor.bridge.<host>.resent: the stream mistook
// an event for a duplicate, so the bridge sent it under another message id.
type Resent struct {
	Host   string `json:"host"`
	Server string `json:"server"`
	Boot   string `json:"boot"`
	Pool   string `json:"pool"`
	// Event is the CloudEvent's id: the message id that was already in use.
	Event string `json:"event"`
	// MessageID is the one under which the event was stored.
	MessageID string `json:"message_id"`
}

// Envelope wraps a record of an event that was sent again at a time.
func (r *Resent) Envelope(at time.Time) *CloudEvent[*Resent] {
	id := r.Host + "/" + r.Boot + "/" + BridgeResent + "/" + micros(at)
	return record(id, r.Host, TypeBridgePrefix+BridgeResent, schemaBridge, "", at, r)
}
