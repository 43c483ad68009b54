package schema

import "time"

// Trouble is the data of supervisor.bridge.<host>.trouble: the bridge cannot do
// its work fully. The same cause comes again while it lasts, and once with Over set.
type Trouble struct {
	Host   string `json:"host"`
	Server string `json:"server"`
	Boot   string `json:"boot"`
	Pool   string `json:"pool"`
	// Cause is a word that stays the same, such as disk-full.
	Cause string `json:"cause"`
	// Text says what is wrong, Fix what to do about it, for people.
	Text  string `json:"text"`
	Fix   string `json:"fix"`
	Since Time   `json:"since"`
	Over  bool   `json:"over"`
}

// Envelope wraps a trouble that was noticed, or found to last, at a time.
func (t *Trouble) Envelope(at time.Time) *CloudEvent[*Trouble] {
	id := t.Host + "/" + t.Boot + "/" + BridgeTrouble + "/" + t.Pool + "/" + t.Cause + "/" + micros(at)
	return record(id, t.Host, TypeBridgePrefix+BridgeTrouble, schemaBridge, "", at, t)
}
