package schema

import "time"

// Trouble is the data of a message on supervisor.bridge.<host>.trouble: the bridge cannot
// do all of its work. A cause is repeated while it lasts, and reported once with Over set.
type Trouble struct {
	Host   string `json:"host"`
	Server string `json:"server"`
	Boot   string `json:"boot"`
	Pool   string `json:"pool"`
	// Cause is a word for programs that never changes, such as disk-full.
	Cause string `json:"cause"`
	// Text tells people what is wrong, Fix what to do about it.
	Text  string `json:"text"`
	Fix   string `json:"fix"`
	Since Time   `json:"since"`
	Over  bool   `json:"over"`
}

// Envelope wraps a trouble that was noticed at a time, or still lasted then.
func (t *Trouble) Envelope(at time.Time) *CloudEvent[*Trouble] {
	id := t.Host + "/" + t.Boot + "/" + BridgeTrouble + "/" + t.Pool + "/" + t.Cause + "/" + micros(at)
	return record(id, t.Host, TypeBridgePrefix+BridgeTrouble, schemaBridge, "", at, t)
}
