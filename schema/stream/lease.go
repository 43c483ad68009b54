package stream

import "supernats/schema"

// LeaseRecord says which of several `supernats consume` is the active one: the value of
// the key LeaseKey.
type LeaseRecord struct {
	Instance string      `json:"instance"`
	Since    schema.Time `json:"since"`
	// Token tells the lives of one instance apart.
	Token string `json:"token"`
}

// RosterRecord says to whom the active `supernats consume` delivers: the value of the key
// RosterKey. A receiver that was removed from the configuration is not in it, and
// keeps its queue.
type RosterRecord struct {
	Instance string      `json:"instance"`
	Since    schema.Time `json:"since"`
	// Receivers are their names with the addresses: "mail/ops@example.com".
	Receivers []string `json:"receivers"`
}
