package schema

import "time"

// Forgotten is the data of supervisor.bridge.<host>.forgotten: the host is gone for good,
// and what is known of it is dropped. One that speaks again after that is a new one.
type Forgotten struct {
	Host string `json:"host"`
	// Reason is one of the Forgotten… constants, By who wants it so.
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	// LastSeen is when the stream had got the last message of the host, unless somebody
	// has asked to forget it whatever it does: if another one has come since, it stays.
	LastSeen *Time `json:"last_seen,omitempty"`
}

// Why a host is forgotten.
const (
	// ForgottenByHand: somebody has asked for it.
	ForgottenByHand = "operator"
	// ForgottenByAge: it has been silent for as long as forget_after says.
	ForgottenByAge = "forget_after"
	// ForgottenEphemeral: it was to be gone when its supervisord had been stopped.
	ForgottenEphemeral = "ephemeral"
)

// Envelope wraps the wish to forget a host at a time.
func (f *Forgotten) Envelope(at time.Time) *CloudEvent[*Forgotten] {
	id := f.Host + "/" + BridgeForgotten + "/" + f.Reason + "/"
	if f.LastSeen != nil {
		id += micros(f.LastSeen.Time) // several that find the same say it once
	} else {
		id += micros(at)
	}
	return record(id, f.Host, TypeBridgePrefix+BridgeForgotten, schemaBridge, "", at, f)
}
