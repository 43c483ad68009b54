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
// <rule>.<host>.<group>.<process>: what people want to see of it, and what
// consumer/rules needs to go on with it after a restart.
type Alert struct {
	// Incident is its id, as in its notifications.
	Incident string `json:"alert"`
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Host     string `json:"host,omitempty"`
	Group    string `json:"group,omitempty"`
	Process  string `json:"process,omitempty"`
	// Kind is that of the rule: event, state, quorum, silent, loss, trouble.
	Kind string `json:"kind,omitempty"`
	// Phase is one of the Phase… constants.
	Phase  string `json:"phase"`
	Opened Time   `json:"opened"`
	Closed *Time  `json:"closed,omitempty"`
	// Ended is why it closed, for people, where that is not that all is well again.
	Ended string `json:"ended,omitempty"`
	// EndedBy is the same in a word, one of the Ended… constants, and State that of its
	// process, where the alert is about one.
	EndedBy string `json:"ended_by,omitempty"`
	State   string `json:"state,omitempty"`
	// Count is how many events matched since it opened, Last the last of them.
	Count       int               `json:"count"`
	Last        *AlertEvent       `json:"last,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Notify      []string          `json:"notify,omitempty"`
	// Notified is when the last of its Notifications was made.
	Notified      *Time `json:"notified,omitempty"`
	Notifications int   `json:"notifications"`
	// FirstSeq and LastSeq are the sequences of the first and the last of them in the
	// stream of notifications, where they are known: a receiver whose queue is past
	// them has taken them.
	FirstSeq uint64 `json:"first_seq,omitempty"`
	LastSeq  uint64 `json:"last_seq,omitempty"`
	// Reported is what Count was then, Unlisted how many events since then are counted
	// only, Runs and Ran how often and for how long the process ran meanwhile.
	Reported int      `json:"reported,omitempty"`
	Unlisted int      `json:"unlisted,omitempty"`
	Runs     int      `json:"runs,omitempty"`
	Ran      Duration `json:"ran,omitempty"`
	// Updates is how many notifications have told of the same processes again.
	Updates int `json:"updates,omitempty"`
	// Reopened is how often the alert closed and something matched soon after, Earlier
	// how many alerts of the same thing came shortly before. Again says that the next
	// notification is the first since it reopened, Hold how long all must be well
	// until it closes, if that is longer than resolve_after.
	Reopened int      `json:"reopened,omitempty"`
	Earlier  int      `json:"earlier,omitempty"`
	Again    bool     `json:"again,omitempty"`
	Hold     Duration `json:"hold,omitempty"`
	// WellSince is since when the process has been well if all that is to be told came
	// late.
	WellSince *Time `json:"well_since,omitempty"`
	// Prior is the alert before this one, which has not opened yet.
	Prior *PriorAlert `json:"prior,omitempty"`
	// Due is when the next notification is to be made or, of a pending alert, when
	// it is forgotten.
	Due *Time `json:"due,omitempty"`
	// HeardSince is since when a host has been heard again that was silent again and
	// again, until that has lasted.
	HeardSince *Time `json:"heard_since,omitempty"`
	// Once says that it is not repeated while nothing happens.
	Once bool `json:"once,omitempty"`
	// Graced is until when a host has time to come back that may have been silent only
	// because nobody could reach the stream.
	Graced *Time `json:"graced,omitempty"`
	// HeldUntil is set while it is due and something holds it back: when to look
	// again at the latest.
	HeldUntil *Time `json:"held_until,omitempty"`
	// Unsent are the sequences of matched events that are in no notification yet,
	// Matched the times of those events while the alert is pending.
	Unsent  []uint64 `json:"unsent,omitempty"`
	Matched []Time   `json:"matched,omitempty"`
	// UnsentStates stand for Unsent where what matched was the state of a process,
	// which may come from a snapshot and so be no event of the stream.
	UnsentStates []AlertEvent `json:"unsent_states,omitempty"`
	// Members are the processes that keep it open.
	Members []AlertMember `json:"members,omitempty"`
	// InhibitedBy is the rule whose alert about the host hides this one.
	InhibitedBy string `json:"inhibited_by,omitempty"`
	// Muted is how many were not told because of a silence, MutedBy the last one.
	Muted   int    `json:"muted,omitempty"`
	MutedBy string `json:"muted_by,omitempty"`
	// Seq is the sequence of the last message that it has seen, Clock up to when
	// its timers have run.
	Seq   uint64 `json:"seq"`
	Clock Time   `json:"clock"`
}

// PriorAlert is what an alert that has not opened yet keeps of the closed one before.
type PriorAlert struct {
	Incident      string            `json:"alert"`
	Opened        Time              `json:"opened"`
	Closed        Time              `json:"closed"`
	Count         int               `json:"count"`
	Labels        map[string]string `json:"labels,omitempty"`
	Notified      *Time             `json:"notified,omitempty"`
	Notifications int               `json:"notifications"`
	Updates       int               `json:"updates,omitempty"`
	Reopened      int               `json:"reopened,omitempty"`
	Earlier       int               `json:"earlier,omitempty"`
	Hold          Duration          `json:"hold,omitempty"`
}

// AlertMember is a process of an Alert. What it shares with the alert (its
// host, its group) is left out.
type AlertMember struct {
	Host    string `json:"host,omitempty"`
	Group   string `json:"group,omitempty"`
	Process string `json:"process,omitempty"`
	// Since is when it came into the state that the rule is about, while it has
	// not been in it for long enough; State is what will be told of it then.
	Since *Time       `json:"since,omitempty"`
	State *AlertEvent `json:"state,omitempty"`
	// Well is since when it has been well after it matched.
	Well *Time `json:"well,omitempty"`
	// Matched is the sequence of the last message of it that matched.
	Matched uint64 `json:"matched,omitempty"`
	// Began is since when it has run, by its host's time.
	Began *Time `json:"began,omitempty"`
}
