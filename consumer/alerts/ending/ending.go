// Package ending is what the record of an alert, and the notification of its end, say of why
// it ended. It keeps nothing.
package ending

import "supernats/schema"

// Text says in words why an alert ended, "" where that is that all has recovered. by is one
// of schema's Ended… constants.
func Text(by string) string {
	switch by {
	case schema.EndedStopped:
		return "it was stopped"
	case schema.EndedRemoved:
		return "supervisord does not have it any more"
	case schema.EndedSupervisord:
		return "its supervisord was stopped"
	case schema.EndedSnapshot:
		return "the process table shows that it has recovered; no event said so"
	case schema.EndedRule:
		return "its rule is not in the configuration any more"
	}
	return ""
}

// Set notes why an alert is about to end. That stands until it lasts after all.
func Set(rec *schema.Alert, by string) {
	rec.EndedBy = by
	rec.Ended = Text(by)
}

// Clear notes that an alert does not end, or has not ended.
func Clear(rec *schema.Alert) {
	rec.EndedBy = ""
	rec.Ended = ""
}

// Describe adds to the notification of an end why it came and what the state is now.
func Describe(rec *schema.Alert, n *schema.Notification) {
	n.Ended = rec.EndedBy
	if n.Ended == "" {
		n.Ended = schema.EndedRecovered
	}
	if n.State != rec.State {
		n.State = rec.State
		n.StateSince = nil
	}
}
