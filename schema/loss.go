package schema

import "time"

// Loss is the data of a message on supervisor.bridge.<host>.loss: events that will never
// be in the stream.
type Loss struct {
	Host string `json:"host"`
	Boot string `json:"boot"`
	Pool string `json:"pool"`
	// Cause is one of the Loss… constants.
	Cause           string         `json:"cause"`
	Count           uint64         `json:"count"`
	FirstPoolSerial *uint64        `json:"first_poolserial,omitempty"`
	LastPoolSerial  *uint64        `json:"last_poolserial,omitempty"`
	Events          map[string]int `json:"events,omitempty"`
	// Processes is what the process tables before and after show about events that nobody
	// read: with the cause LossNotListening only.
	Processes []LossProcess `json:"processes,omitempty"`
}

// Causes of a loss.
const (
	// LossBuffer: supervisord's buffer for the listener overflowed.
	LossBuffer = "supervisord-buffer"
	// LossFull: the spool reached its limit.
	LossFull = "spool-full"
	// LossCorrupt: the spool, or a part of it, is damaged or missing.
	LossCorrupt = "spool-corrupt"
	// LossNotListening: supervisord's configuration had no bridge for a while.
	LossNotListening = "not-listening"
)

// LossOther stands for a cause that this version does not know.
const LossOther = "other"

// LossCauses returns the causes of losses, but for LossOther.
func LossCauses() []string { return []string{LossBuffer, LossFull, LossCorrupt, LossNotListening} }

// LossProcess is how often, at least, a process started and ended unseen.
type LossProcess struct {
	Group   string `json:"group"`
	Process string `json:"process"`
	Starts  int    `json:"starts"`
	Exits   int    `json:"exits"`
}

// Envelope wraps a loss that was noticed at a time.
func (l *Loss) Envelope(at time.Time) *CloudEvent[*Loss] {
	id := l.Host + "/" + l.Boot + "/" + BridgeLoss + "/" + l.Pool + "/" + l.Cause + "/" + micros(at)
	return record(id, l.Host, TypeBridgePrefix+BridgeLoss, schemaBridge, "", at, l)
}
