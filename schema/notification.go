package schema

import "time"

// Notification is the data of a message on
// supervisor.alert.<host>.<group>.<process>.<rule>.
type Notification struct {
	// Incident is the id of the incident that the notification is about.
	Incident string `json:"alert"`
	Rule     string `json:"rule"`
	// Kind is that of the rule, one of the Kind… constants.
	Kind     string `json:"kind,omitempty"`
	Severity string `json:"severity"`
	Host     string `json:"host"`
	Group    string `json:"group,omitempty"`
	Process  string `json:"process,omitempty"`
	Opened   Time   `json:"opened"`
	Closed   *Time  `json:"closed,omitempty"`
	// Ended is why the alert closed, one of the Ended… constants: in the notification that
	// reports the end only.
	Ended string `json:"ended,omitempty"`
	// State is that of its process when the notification was made, by its record, StateSince
	// when it entered it. Both are left out if the alert is about several processes, or
	// supervisord does not have the process, or nothing is recorded of it.
	State      string `json:"state,omitempty"`
	StateSince *Time  `json:"state_since,omitempty"`
	// WellSince is set if everything reported is late, and the process had recovered
	// before it became known.
	WellSince *Time `json:"well_since,omitempty"`
	// By, Reason and Until say who takes care of the alert, why and until when, in a
	// TypeAlertAcknowledged. In a TypeAlertUnacknowledged, By is who has withdrawn that,
	// empty if it ended by itself, and Cause is one of the Unacked… constants.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	Until  *Time  `json:"until,omitempty"`
	Cause  string `json:"cause,omitempty"`
	// Acknowledged says who takes care of it, or did before it closed or the
	// acknowledgement ended.
	Acknowledged *Acknowledgement `json:"acknowledged,omitempty"`
	// Quiet says that it is for the record, and for receivers that must hear of an alert
	// that lasts: people are not notified, because somebody takes care of it.
	Quiet bool `json:"quiet,omitempty"`
	// Escalation is set if nobody has acknowledged the alert, and it is for more people:
	// the number of the step of the rule's escalate.
	Escalation int `json:"escalation,omitempty"`
	// Count is how many events matched since the incident opened.
	Count int `json:"count"`
	// Recurring is set if one process has matched repeatedly.
	Recurring *Recurring `json:"recurring,omitempty"`
	// Crashes is how often its process crashed lately, whatever the rule is about; nil if it
	// did not within a day, or the alert is about several.
	Crashes *RecentCrashes `json:"crashes,omitempty"`
	// Events are those that matched since the last notification; of an escalation the last
	// one that did.
	Events      []AlertEvent      `json:"events"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Notify names the receivers; none means all of them.
	Notify []string `json:"notify,omitempty"`
}

// AnnotationReason is the annotation that says why a host is silent, or why an alert has
// ended although nothing has recovered, where that is known.
const AnnotationReason = "reason"

// EventTest is the one event of a notification that `supernats test-alert` sends.
const EventTest = "TEST"

// Kinds of rules, by what they are about.
const (
	KindEvent   = "event"
	KindState   = "state"
	KindQuorum  = "quorum"
	KindSilent  = "silent"
	KindLoss    = "loss"
	KindTrouble = "trouble"
)

// Reasons why an alert closed.
const (
	// EndedRecovered: everything that matched has recovered, or nothing is wrong any more.
	EndedRecovered = "recovered"
	// EndedSnapshot: it has recovered, as a process table shows and no event did.
	EndedSnapshot = "snapshot"
	// EndedStopped: somebody stopped the process.
	EndedStopped = "stopped"
	// EndedRemoved: its supervisord does not have the process any more.
	EndedRemoved = "removed"
	// EndedSupervisord: its supervisord was stopped.
	EndedSupervisord = "supervisord-stopped"
	// EndedRule: the rule was removed.
	EndedRule = "rule-removed"
	// EndedForgotten: its host was forgotten.
	EndedForgotten = "host-forgotten"
)

// Recurring says what a process has done since the last notification.
type Recurring struct {
	// Times is how often it matched since Since, when the last notification was made.
	Times int  `json:"times"`
	Since Time `json:"since"`
	// RunMS is how long it ran each time, on average, in milliseconds; 0 if unknown.
	RunMS int64 `json:"run_ms,omitempty"`
	// Unlisted is how many of these events the notification had no room for.
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
	// Host, Group and Process are set if the alert is about more than one process.
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
	// HostTime is what the host's clock said if that is wrong by more than a minute;
	// Time is corrected then.
	HostTime *Time `json:"host_time,omitempty"`
	// Lost is how many events a loss record reports.
	Lost uint64 `json:"lost,omitempty"`
	// Cause is the word of a loss or of a trouble. Text says what is wrong, Fix what to do
	// about it: of a trouble only.
	Cause string `json:"cause,omitempty"`
	Text  string `json:"text,omitempty"`
	Fix   string `json:"fix,omitempty"`
}

// Envelope wraps a notification with an id; typ is one of the TypeAlert… constants.
func (n *Notification) Envelope(id, typ string, at time.Time) *CloudEvent[*Notification] {
	data := *n
	if data.Events == nil {
		data.Events = []AlertEvent{} // never null
	}
	return record(id, n.Host, typ, schemaAlert, ProcessSubject(n.Group, n.Process), at, &data)
}

// Subject is the NATS subject of the notification.
func (n *Notification) Subject() string { return AlertSubject(n.Host, n.Group, n.Process, n.Rule) }
