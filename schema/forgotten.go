package schema

import "time"

// Forgotten is the data of a message on supervisor.bridge.<host>.forgotten: the host is
// gone for good, and its records are deleted. If it reports again, it is a new host.
type Forgotten struct {
	Host string `json:"host"`
	// Reason is one of the Forgotten… constants, By the operator.
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	// LastSeen is when the stream got the last message of the host: if another one has
	// come since, the host stays. It is nil if an operator wants it forgotten in any case.
	LastSeen *Time `json:"last_seen,omitempty"`
}

// Reasons why a host is forgotten.
const (
	// ForgottenByHand: an operator has asked for it.
	ForgottenByHand = "operator"
	// ForgottenByAge: it has been silent for forget_after.
	ForgottenByAge = "forget_after"
	// ForgottenEphemeral: its supervisord has been stopped, and it was ephemeral.
	ForgottenEphemeral = "ephemeral"
)

// Envelope wraps a request to forget a host.
func (f *Forgotten) Envelope(at time.Time) *CloudEvent[*Forgotten] {
	id := f.Host + "/" + BridgeForgotten + "/" + f.Reason + "/"
	if f.LastSeen != nil {
		id += micros(f.LastSeen.Time) // several instances that find the same are one message
	} else {
		id += micros(at)
	}
	return record(id, f.Host, TypeBridgePrefix+BridgeForgotten, schemaBridge, "", at, f)
}
