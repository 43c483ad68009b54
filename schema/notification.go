package schema

import "time"

// Notification is the data of supervisor.alert.<host>.<group>.<process>.<rule>: one
// notification.
type Notification struct {
	// Incident is the id of the incident that the notification is about.
	Incident string `json:"alert"`
	Rule     string `json:"rule"`
	// Kind is that of the rule, one of the Kind… constants; empty in a notification of
	// an earlier version.
	Kind     string `json:"kind,omitempty"`
	Severity string `json:"severity"`
	Host     string `json:"host"`
	Group    string `json:"group,omitempty"`
	Process  string `json:"process,omitempty"`
	Opened   Time   `json:"opened"`
	Closed   *Time  `json:"closed,omitempty"`
	// Ended is why it closed, one of the Ended… constants, and State that of its
	// process by then; of the notification that it is over only. State is left out
	// where the alert is about several or supervisord does not have the process.
	Ended string `json:"ended,omitempty"`
	State string `json:"state,omitempty"`
	// WellSince is set where all that is reported is late, and the process had
	// recovered by the time that it became known.
	WellSince *Time `json:"well_since,omitempty"`
	// Count is how many events matched since the incident opened.
	Count int `json:"count"`
	// Recurring is set where one process has matched again and again.
	Recurring *Recurring `json:"recurring,omitempty"`
	// Events are those that matched since the last notification.
	Events      []AlertEvent      `json:"events"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Notify names the receivers; none means all of them.
	Notify []string `json:"notify,omitempty"`
}

// Kinds of rules: what they are about.
const (
	KindEvent   = "event"
	KindState   = "state"
	KindQuorum  = "quorum"
	KindSilent  = "silent"
	KindLoss    = "loss"
	KindTrouble = "trouble"
)

// Why an alert closed.
const (
	// EndedRecovered: all that matched has recovered, or nothing is wrong any more.
	EndedRecovered = "recovered"
	// EndedSnapshot: a process table shows that; no event did.
	EndedSnapshot = "snapshot"
	// EndedStopped: somebody stopped the process.
	EndedStopped = "stopped"
	// EndedRemoved: its supervisord does not have it any more.
	EndedRemoved = "removed"
	// EndedSupervisord: its supervisord was stopped.
	EndedSupervisord = "supervisord-stopped"
	// EndedRule: the rule was removed.
	EndedRule = "rule-removed"
	// EndedForgotten: its host was forgotten.
	EndedForgotten = "host-forgotten"
)

// Recurring says what a process did since the last notification.
type Recurring struct {
	// Times is how often it matched since Since, when the last notification was made.
	Times int  `json:"times"`
	Since Time `json:"since"`
	// RunMS is for how long it ran each time, on average, 0 where that is not known.
	RunMS int64 `json:"run_ms,omitempty"`
	// Unlisted is how many of them there was no room for.
	Unlisted int `json:"unlisted,omitempty"`
	// Reopened is how often it matched again soon after the alert had closed.
	Reopened int `json:"reopened,omitempty"`
}

// AlertEvent is one matched event of an alert.
type AlertEvent struct {
	ID   string `json:"id"`
	Time Time   `json:"time"`
	// Seq is the event's sequence in the stream SUPERVISOR.
	Seq   uint64 `json:"seq"`
	Event string `json:"event"`
	// Host, Group and Process say whose event it is where the alert is about more
	// than one process.
	Host      string `json:"host,omitempty"`
	Group     string `json:"group,omitempty"`
	Process   string `json:"process,omitempty"`
	Server    string `json:"server,omitempty"`
	FromState string `json:"from_state,omitempty"`
	Expected  *bool  `json:"expected,omitempty"`
	PID       int    `json:"pid,omitempty"`
	Exit      *Exit  `json:"exit,omitempty"`
	Log       *Log   `json:"log,omitempty"`
	// Ran and Last are those of the event.
	Ran  *float64 `json:"ran,omitempty"`
	Last *Look    `json:"last,omitempty"`
	// Late says that the stream got the event long after it happened.
	Late bool `json:"late,omitempty"`
	// HostTime is what the host's clock said where that is wrong by more than a
	// minute; Time is right then.
	HostTime *Time `json:"host_time,omitempty"`
	// Lost is how many events a loss record tells.
	Lost uint64 `json:"lost,omitempty"`
	// Cause is a word: that of a loss or of a trouble. Text says of a trouble what is
	// wrong, Fix what to do about it.
	Cause string `json:"cause,omitempty"`
	Text  string `json:"text,omitempty"`
	Fix   string `json:"fix,omitempty"`
}

// Envelope wraps a notification; id is that of the notification, typ one of the
// TypeAlert… constants.
func (a *Notification) Envelope(id, typ string, at time.Time) *CloudEvent[*Notification] {
	data := *a
	if data.Events == nil {
		data.Events = []AlertEvent{} // never null
	}
	return record(id, a.Host, typ, schemaAlert, processSubject(a.Group, a.Process), at, &data)
}

// Subject is the NATS subject of the alert.
func (a *Notification) Subject() string { return AlertSubject(a.Host, a.Group, a.Process, a.Rule) }
