package schema

// Phases of an alert.
const (
	// PhasePending: something matched, but not often or long enough yet.
	PhasePending = "pending"
	PhaseFiring  = "firing"
	// PhaseResolved: closed, and kept for a while.
	PhaseResolved = "resolved"
)

// Alert is the record of an alert in the bucket supervisor_alerts under
// <rule>.<host>.<group>.<process>: what people want to see of it, and all that a
// restarted consumer needs to continue it.
type Alert struct {
	// Incident is its id, as in its notifications.
	Incident string `json:"alert"`
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Host     string `json:"host,omitempty"`
	Group    string `json:"group,omitempty"`
	Process  string `json:"process,omitempty"`
	// Kind is that of the rule, one of the Kind… constants.
	Kind string `json:"kind,omitempty"`
	// Phase is one of the Phase… constants.
	Phase  string `json:"phase"`
	Opened Time   `json:"opened"`
	Closed *Time  `json:"closed,omitempty"`
	// Ended says in words why it closed, unless it recovered. EndedBy is the reason as one
	// of the Ended… constants, and State that of its process, where the alert is about one.
	Ended   string `json:"ended,omitempty"`
	EndedBy string `json:"ended_by,omitempty"`
	State   string `json:"state,omitempty"`
	// Count is how many events matched since it opened, Last the last of them.
	Count       int               `json:"count"`
	Last        *AlertEvent       `json:"last,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Notify      []string          `json:"notify,omitempty"`

	// Acknowledged says who takes care of it, or did when it closed; nil if nobody does.
	// Answers is how many notifications said that somebody does or no longer does, which
	// Notifications does not count.
	Acknowledged *Acknowledgement `json:"acknowledged,omitempty"`
	Answers      int              `json:"answers,omitempty"`
	// Escalation is how many steps of the rule's escalate have been taken.
	// UnansweredSince is since when people have known of it and nobody has acknowledged it.
	Escalation      int   `json:"escalation,omitempty"`
	UnansweredSince *Time `json:"unanswered_since,omitempty"`

	// Notifications is how many were made, Notified when the last of them was. Quiet is how
	// many of them were for the record only, Heard when the last one that people got was
	// made, if that was before Notified.
	Notified      *Time `json:"notified,omitempty"`
	Notifications int   `json:"notifications"`
	Quiet         int   `json:"quiet,omitempty"`
	Heard         *Time `json:"heard,omitempty"`
	// FirstSeq and LastSeq are the sequences of the first and the last notification for
	// people in their stream, where they are known: a receiver whose queue is past them has
	// taken them.
	FirstSeq uint64 `json:"first_seq,omitempty"`
	LastSeq  uint64 `json:"last_seq,omitempty"`
	// Reported is what Count was at the last notification. Unlisted is how many events
	// since then are only counted, Runs how often and Ran for how long in all the process
	// has run since.
	Reported int      `json:"reported,omitempty"`
	Unlisted int      `json:"unlisted,omitempty"`
	Runs     int      `json:"runs,omitempty"`
	Ran      Duration `json:"ran,omitempty"`
	// Updates is how many notifications have reported the same processes once more.
	Updates int `json:"updates,omitempty"`

	// Reopened is how often the alert closed and something matched soon after; Earlier is
	// how many alerts about the same thing came shortly before. Again says that the next
	// notification is the first since it reopened, or got worse while somebody took care of
	// it. Hold is how long everything must be
	// well before it closes, if that is longer than resolve_after.
	Reopened int      `json:"reopened,omitempty"`
	Earlier  int      `json:"earlier,omitempty"`
	Again    bool     `json:"again,omitempty"`
	Hold     Duration `json:"hold,omitempty"`
	// WellSince is since when the process has been well, if everything that is still to
	// be reported came late.
	WellSince *Time `json:"well_since,omitempty"`
	// Prior is the alert before this one, while this one has not opened.
	Prior *PriorAlert `json:"prior,omitempty"`

	// Due is when the next notification is to be made or, of a pending alert, when it is
	// forgotten.
	Due *Time `json:"due,omitempty"`
	// HeardSince is set while a host that falls silent repeatedly is being watched: it has
	// been reporting since then, but not for long enough.
	HeardSince *Time `json:"heard_since,omitempty"`
	// Once says that it is not repeated while nothing happens.
	Once bool `json:"once,omitempty"`
	// Graced is until when a host may come back that was perhaps silent only because
	// nobody could reach the stream.
	Graced *Time `json:"graced,omitempty"`
	// HeldUntil is set while it is due and something holds it back: when to check again
	// at the latest.
	HeldUntil *Time `json:"held_until,omitempty"`

	// Unsent are the sequences of matched events that are in no notification yet; Matched
	// are the times of those events while the alert is pending.
	Unsent  []uint64 `json:"unsent,omitempty"`
	Matched []Time   `json:"matched,omitempty"`
	// UnsentStates stands for Unsent where the state of a process matched: it may come
	// from a snapshot, and so from no event of the stream.
	UnsentStates []AlertEvent `json:"unsent_states,omitempty"`
	// Members are the processes that keep it open.
	Members []AlertMember `json:"members,omitempty"`

	// InhibitedBy is the rule whose alert about the host hides this one.
	InhibitedBy string `json:"inhibited_by,omitempty"`
	// Muted is how many notifications were dropped because of a silence, MutedBy the last
	// such silence.
	Muted   int    `json:"muted,omitempty"`
	MutedBy string `json:"muted_by,omitempty"`

	// Seq is the sequence of the last message that it has seen, Clock the time up to which
	// its timers have run.
	Seq   uint64 `json:"seq"`
	Clock Time   `json:"clock"`
}

// PriorAlert is what an alert that has not opened yet keeps of the closed one before it.
type PriorAlert struct {
	Incident      string            `json:"alert"`
	Opened        Time              `json:"opened"`
	Closed        Time              `json:"closed"`
	Count         int               `json:"count"`
	Labels        map[string]string `json:"labels,omitempty"`
	Notified      *Time             `json:"notified,omitempty"`
	Notifications int               `json:"notifications"`
	Quiet         int               `json:"quiet,omitempty"`
	Answers       int               `json:"answers,omitempty"`
	Escalation    int               `json:"escalation,omitempty"`
	Updates       int               `json:"updates,omitempty"`
	Reopened      int               `json:"reopened,omitempty"`
	Earlier       int               `json:"earlier,omitempty"`
	Hold          Duration          `json:"hold,omitempty"`
}

// AlertMember is a process of an Alert. What it shares with the alert (its host, its
// group) is left out.
type AlertMember struct {
	Host    string `json:"host,omitempty"`
	Group   string `json:"group,omitempty"`
	Process string `json:"process,omitempty"`
	// Since is when it entered the state that the rule is about, while it has not been in
	// it for long enough; State is what will be reported then.
	Since *Time       `json:"since,omitempty"`
	State *AlertEvent `json:"state,omitempty"`
	// Well is since when it has been well after it matched.
	Well *Time `json:"well,omitempty"`
	// Matched is the sequence of its last message that matched.
	Matched uint64 `json:"matched,omitempty"`
	// Began is since when it has run, by its host's time.
	Began *Time `json:"began,omitempty"`
}
