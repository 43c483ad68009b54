package schema

import "time"

// AckPrefix is that of the subjects on which people say that they take care of an alert.
const AckPrefix = "supervisor.ack."

// Types of messages on AckPrefix.
const (
	TypeAck   = "supernats.ack"
	TypeUnack = "supernats.unack"
)

// Ack is the data of a message on supervisor.ack.<host>.<group>.<process>.<rule>: somebody
// takes care of an alert or, with the type TypeUnack, no longer does. It names the alert as
// its record does, so that rights on subjects are rights on alerts.
type Ack struct {
	// Incident is the id of the alert. One that is over, or another one, is not changed.
	Incident string `json:"alert"`
	Rule     string `json:"rule"`
	Host     string `json:"host"`
	Group    string `json:"group,omitempty"`
	Process  string `json:"process,omitempty"`
	// By is who says so, Reason why.
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	// For is how long it holds at most, from when the stream stores it; 0: until the alert is
	// over or gets worse. More than MaxAckFor is MaxAckFor.
	For Duration `json:"for,omitempty"`
}

// MaxAckFor is how long an acknowledgement for a time may hold: as long as the stream keeps
// the message that asks for it.
const MaxAckFor = 30 * 24 * time.Hour

// Subject is the NATS subject of the message.
func (a *Ack) Subject() string { return AckSubject(a.Host, a.Group, a.Process, a.Rule) }

// AckSubject is where people acknowledge the alert of a rule about a process.
func AckSubject(host, group, process, rule string) string {
	return AckPrefix + Token(host) + "." + Token(group) + "." + Token(process) + "." + Token(rule)
}

// Envelope wraps the message with an id; typ is TypeAck or TypeUnack.
func (a *Ack) Envelope(id, typ string, at time.Time) *CloudEvent[*Ack] {
	return record(id, a.Host, typ, schemaAck, ProcessSubject(a.Group, a.Process), at, a)
}

// Acknowledgement says that somebody takes care of an alert.
type Acknowledgement struct {
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	// Since is when it was said, Until when it ends by itself, nil if it does not.
	Since Time  `json:"since"`
	Until *Time `json:"until,omitempty"`
}

// Reasons why an acknowledgement ended before its alert did.
const (
	// UnackedByHand: somebody has withdrawn it.
	UnackedByHand = "withdrawn"
	// UnackedByTime: it was for a time, which is over.
	UnackedByTime = "expired"
	// UnackedByProcess: another process has joined the alert.
	UnackedByProcess = "joined"
	// UnackedBySeverity: the severity of its rule has risen.
	UnackedBySeverity = "severity"
	// UnackedByReturn: everything had recovered, and then something matched again.
	UnackedByReturn = "recovered"
)

// IsAcknowledged reports whether somebody takes care of an open alert.
func (a *Alert) IsAcknowledged() bool { return a.Acknowledged != nil && a.Phase == PhaseFiring }
