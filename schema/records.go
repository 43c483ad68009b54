package schema

import (
	"strconv"
	"time"
)

// Snapshot is the data of supervisor.snapshot.<host>: the whole process table.
type Snapshot struct {
	Host   string `json:"host"`
	Server string `json:"server"`
	Boot   string `json:"boot"`
	// Serial is the last one that the bridge read before the snapshot was taken.
	Serial uint64 `json:"serial"`
	// Reason is start, interval, loss, reconnect or stopping.
	Reason            string            `json:"reason"`
	SupervisorVersion string            `json:"supervisor_version"`
	SupervisorState   string            `json:"supervisor_state"`
	Processes         []SnapshotProcess `json:"processes"`
	// Part counts from 1 to Parts if the table was too big for one message: each
	// part has its share of Processes, and all have the time of the table.
	Part  int `json:"part,omitempty"`
	Parts int `json:"parts,omitempty"`
}

// SnapshotProcess is one row of supervisord's getAllProcessInfo. Times are Unix
// seconds, 0 for never.
type SnapshotProcess struct {
	Group         string `json:"group"`
	Process       string `json:"process"`
	State         string `json:"state"`
	PID           int    `json:"pid"`
	Start         int64  `json:"start"`
	Stop          int64  `json:"stop"`
	ExitStatus    int    `json:"exitstatus"`
	SpawnErr      string `json:"spawnerr"`
	Description   string `json:"description"`
	StdoutLogfile string `json:"stdout_logfile"`
	StderrLogfile string `json:"stderr_logfile"`
}

// Envelope wraps a snapshot that was taken at a time.
func (s *Snapshot) Envelope(at time.Time) *CloudEvent[*Snapshot] {
	data := *s
	if data.Processes == nil {
		data.Processes = []SnapshotProcess{} // never null
	}
	id := s.Host + "/" + s.Boot + "/snapshot/" + strconv.FormatUint(s.Serial, 10) + "/" + micros(at)
	if s.Parts > 0 {
		id += "/" + strconv.Itoa(s.Part)
	}
	return record(id, s.Host, TypeSnapshot, schemaSnapshot, "", at, &data)
}

// micros makes an id unique that says no more than what happened.
func micros(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 10) }

// Bridge is the data of the records started, stopping and reconnect on
// supervisor.bridge.<host>.<kind>.
type Bridge struct {
	Host          string `json:"host"`
	Server        string `json:"server"`
	Boot          string `json:"boot"`
	Pool          string `json:"pool"`
	BridgeVersion string `json:"bridge_version"`
	// PID is the bridge's own.
	PID int `json:"pid"`
	// Settings are those in force, by the name of their flag, and "address",
	// an address of the host. Secrets are not among them.
	Settings map[string]string `json:"settings"`

	// Instance tells the supervisords of one host apart, over their restarts.
	Instance string `json:"instance,omitempty"`
	// SupervisorPID is supervisord's own process id, 0 where it is not known.
	SupervisorPID int `json:"supervisor_pid,omitempty"`
	// SupervisorState, of a record stopping only, is STOPPING if supervisord goes
	// down or reloads, and RUNNING if only the bridge is stopped.
	SupervisorState string `json:"supervisor_state,omitempty"`
	// Ephemeral says that the host is gone for good once its supervisord has been
	// stopped, as a container is.
	Ephemeral bool `json:"ephemeral,omitempty"`
	// Spool is where events wait: disk or memory.
	Spool string `json:"spool,omitempty"`
	// Section is the bridge's own section of supervisord's configuration, nil where
	// that cannot be read.
	Section *Section `json:"section,omitempty"`
	// Reasons says whether the reasons of deaths can be had.
	Reasons *Reasons `json:"reasons,omitempty"`
}

// Section is what supervisord's configuration says of a listener.
type Section struct {
	// Events are the names of events=, as they are written.
	Events     []string `json:"events"`
	BufferSize int      `json:"buffer_size"`
	Priority   int      `json:"priority"`
	// SamePriority names the other listeners that have the same priority.
	SamePriority []string `json:"same_priority,omitempty"`
	// File is the configuration file that was read.
	File string `json:"file,omitempty"`
}

// Values of Bridge.Spool.
const (
	SpoolDisk   = "disk"
	SpoolMemory = "memory"
)

// Reasons says where a bridge finds out why processes died.
type Reasons struct {
	// Source is file (supervisord's own log), rpc (the same over XML-RPC) or none.
	Source string `json:"source"`
	// Problem is why reasons cannot be had, or not always; Fix is what to set.
	Problem string `json:"problem,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// Values of Reasons.Source.
const (
	ReasonsFile = "file"
	ReasonsRPC  = "rpc"
	ReasonsNone = "none"
)

// Envelope wraps a record of the bridge; kind is BridgeStarted, BridgeStopping or
// BridgeReconnect.
func (b *Bridge) Envelope(kind string, at time.Time) *CloudEvent[*Bridge] {
	data := *b
	if data.Settings == nil {
		data.Settings = map[string]string{} // never null
	}
	id := b.Host + "/" + b.Boot + "/" + kind + "/" + strconv.Itoa(b.PID) + "/" + micros(at)
	return record(id, b.Host, TypeBridgePrefix+kind, schemaBridge, "", at, &data)
}

// Loss is the data of supervisor.bridge.<host>.loss: events that will never be
// in the stream.
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
	// Processes are what the process tables before and after show of the events
	// that nobody read; with the cause not-listening only.
	Processes []LossProcess `json:"processes,omitempty"`
}

// Causes of a loss.
const (
	// LossBuffer: supervisord's buffer for the listener overflowed.
	LossBuffer = "supervisord-buffer"
	// LossFull: the spool reached its limit.
	LossFull = "spool-full"
	// LossCorrupt: the spool cannot be read, or a part of it is gone.
	LossCorrupt = "spool-corrupt"
	// LossNotListening: supervisord had no section of the bridge for a while.
	LossNotListening = "not-listening"
)

// LossProcess is how often a process started and ended unseen, at least.
type LossProcess struct {
	Group   string `json:"group"`
	Process string `json:"process"`
	Starts  int    `json:"starts"`
	Exits   int    `json:"exits"`
}

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

// Resent is the data of supervisor.bridge.<host>.resent: the stream took an event
// for a duplicate that it was not, so it was sent under another message id.
type Resent struct {
	Host   string `json:"host"`
	Server string `json:"server"`
	Boot   string `json:"boot"`
	Pool   string `json:"pool"`
	// Event is the CloudEvent's id, which is the message id that was taken.
	Event string `json:"event"`
	// MessageID is the one under which it was stored.
	MessageID string `json:"message_id"`
}

// Envelope wraps a record of an event that was sent again at a time.
func (r *Resent) Envelope(at time.Time) *CloudEvent[*Resent] {
	id := r.Host + "/" + r.Boot + "/" + BridgeResent + "/" + micros(at)
	return record(id, r.Host, TypeBridgePrefix+BridgeResent, schemaBridge, "", at, r)
}

// Forgotten is the data of supervisor.bridge.<host>.forgotten: the host is gone for good,
// and what is known of it is dropped. One that speaks again after that is a new one.
type Forgotten struct {
	Host string `json:"host"`
	// Reason is one of the Forgotten… constants, By who wants it so.
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	// LastSeen is when the stream had got the last message of the host, unless somebody
	// has asked to forget it whatever it does: if another one has come since, it stays.
	LastSeen *Time `json:"last_seen,omitempty"`
}

// Why a host is forgotten.
const (
	// ForgottenByHand: somebody has asked for it.
	ForgottenByHand = "operator"
	// ForgottenByAge: it has been silent for as long as forget_after says.
	ForgottenByAge = "forget_after"
	// ForgottenEphemeral: it was to be gone when its supervisord had been stopped.
	ForgottenEphemeral = "ephemeral"
)

// Envelope wraps the wish to forget a host at a time.
func (f *Forgotten) Envelope(at time.Time) *CloudEvent[*Forgotten] {
	id := f.Host + "/" + BridgeForgotten + "/" + f.Reason + "/"
	if f.LastSeen != nil {
		id += micros(f.LastSeen.Time) // several that find the same say it once
	} else {
		id += micros(at)
	}
	return record(id, f.Host, TypeBridgePrefix+BridgeForgotten, schemaBridge, "", at, f)
}

// Envelope wraps a loss that was noticed at a time.
func (l *Loss) Envelope(at time.Time) *CloudEvent[*Loss] {
	id := l.Host + "/" + l.Boot + "/" + BridgeLoss + "/" + l.Pool + "/" + l.Cause + "/" + micros(at)
	return record(id, l.Host, TypeBridgePrefix+BridgeLoss, schemaBridge, "", at, l)
}

// Alert is the data of supervisor.alert.<host>.<group>.<process>.<rule>: one
// notification.
type Alert struct {
	// Alert is the id of the incident that the notification is about.
	Alert    string `json:"alert"`
	Rule     string `json:"rule"`
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
func (a *Alert) Envelope(id, typ string, at time.Time) *CloudEvent[*Alert] {
	data := *a
	if data.Events == nil {
		data.Events = []AlertEvent{} // never null
	}
	return record(id, a.Host, typ, schemaAlert, processSubject(a.Group, a.Process), at, &data)
}

// Subject is the NATS subject of the alert.
func (a *Alert) Subject() string { return AlertSubject(a.Host, a.Group, a.Process, a.Rule) }

// State is the record of a process in the bucket supervisor_state, see
// consumer/state.
type State struct {
	Host    string `json:"host"`
	Group   string `json:"group"`
	Process string `json:"process"`
	// State is supervisor's name, RUNNING, since Since.
	State string `json:"state"`
	Since Time   `json:"since"`
	// PID is 0 where there is none or where nobody told it.
	PID int `json:"pid"`
	// Expected tells of the last exit whether it was, Exit its reason.
	Expected *bool `json:"expected,omitempty"`
	Exit     *Exit `json:"exit,omitempty"`
	// Counters over all that was ever recorded of the process.
	Starts          uint64 `json:"starts"`
	Exits           uint64 `json:"exits"`
	UnexpectedExits uint64 `json:"unexpected_exits"`
	Fatals          uint64 `json:"fatals"`
	// LastExit is when the process last left RUNNING or STARTING by itself.
	LastExit *Time `json:"last_exit,omitempty"`
	// Gone is since when the host's supervisord does not have the process any more.
	Gone *Time `json:"gone,omitempty"`
	// Boot and Serial are those of the last event applied; Serial is 0 if there
	// was none in this boot. Seq is the sequence of the last message applied, counted on
	// from the stream before where the stream was made again, and Updated when the
	// stream got the one that told the state.
	Boot    string `json:"boot"`
	Serial  uint64 `json:"serial"`
	Seq     uint64 `json:"seq"`
	Updated Time   `json:"updated"`
	// Snapshot is set while the state is one that a snapshot told and no event
	// since.
	Snapshot *SnapshotMark `json:"snapshot,omitempty"`
}

// SnapshotMark says which snapshot told a state.
type SnapshotMark struct {
	// Serial is the snapshot's, Time when it was taken.
	Serial uint64 `json:"serial"`
	Time   Time   `json:"time"`
	// Gap says that since then events were lost.
	Gap bool `json:"gap,omitempty"`
}

// Host is the record of a host in the bucket supervisor_hosts.
type Host struct {
	Host          string `json:"host"`
	Server        string `json:"server"`
	Boot          string `json:"boot"`
	BridgeVersion string `json:"bridge_version"`
	// Address is one of the host's own, as its bridge told.
	Address string `json:"address,omitempty"`
	// SupervisorVersion is that of the last snapshot. SupervisorState is too, or
	// RUNNING or STOPPING if a SUPERVISOR_STATE_CHANGE told so since; Serial is
	// that event's.
	SupervisorVersion string `json:"supervisor_version,omitempty"`
	SupervisorState   string `json:"supervisor_state,omitempty"`
	Serial            uint64 `json:"serial,omitempty"`
	// Stopping is since when its supervisord has been shutting down or restarting,
	// by the stream's time; of several supervisords, all of them.
	Stopping *Time `json:"stopping,omitempty"`
	// LastSeen is when the stream got the last message of the host.
	LastSeen Time `json:"last_seen"`
	// Lives are the supervisords of the host, oldest first, with those that have
	// ended lately. What stands above of one supervisord (server, boot, version,
	// state) is that of the oldest one that lives.
	Lives []HostLife `json:"lives,omitempty"`
	// Bridges are the bridges of these supervisords, one for each pool.
	Bridges []HostBridge `json:"bridges,omitempty"`
	// Troubles are what its bridges cannot do, and what is wrong with the host as it
	// is seen from here; MoreTroubles is how many there was no room for.
	Troubles     []HostTrouble `json:"troubles,omitempty"`
	MoreTroubles int           `json:"more_troubles,omitempty"`
	// Resent is how many of its events the stream took for duplicates that they were
	// not, LastResent when the last one was reported.
	Resent     uint64 `json:"resent,omitempty"`
	LastResent *Time  `json:"last_resent,omitempty"`
	// Lost is how many events were told as lost, LastLoss when the last time.
	Lost     uint64 `json:"lost"`
	LastLoss *Time  `json:"last_loss,omitempty"`
	// Running, Down, Stopped and Exited are how many of its processes run, do not
	// although they should, were stopped by somebody or never started, and ran to
	// their end; see consumer/state.
	Running int    `json:"running"`
	Down    int    `json:"down"`
	Stopped int    `json:"stopped"`
	Exited  int    `json:"exited,omitempty"`
	Seq     uint64 `json:"seq"`
}

// HostLife is one life of a supervisord of a host.
type HostLife struct {
	Boot   string `json:"boot"`
	Server string `json:"server,omitempty"`
	// Instances are those of its bridges, which have one each, and Pools those that
	// have sent something.
	Instances []string `json:"instances,omitempty"`
	Pools     []string `json:"pools,omitempty"`
	PID       int      `json:"pid,omitempty"`
	// SupervisorVersion, SupervisorState, Serial and Stopping are as in Host.
	SupervisorVersion string `json:"supervisor_version,omitempty"`
	SupervisorState   string `json:"supervisor_state,omitempty"`
	Serial            uint64 `json:"serial,omitempty"`
	Stopping          *Time  `json:"stopping,omitempty"`
	// Ephemeral is as a bridge of it said.
	Ephemeral bool `json:"ephemeral,omitempty"`
	// StoppedAt is when its bridge said so, by the host's clock.
	StoppedAt *Time `json:"stopped_at,omitempty"`
	// Begun is when the first of its messages happened that is known, Happened when
	// the last one did: a spool that is drained late tells of long ago.
	Begun    Time `json:"begun"`
	Happened Time `json:"happened"`
	// FirstSeen and LastSeen are when the stream got its first and its last message.
	FirstSeen Time `json:"first_seen"`
	LastSeen  Time `json:"last_seen"`
	// Steady is since when its messages have come without a long gap: before that
	// nothing might have come from others either, because NATS was away or because the
	// stream keeps ticks for an hour only.
	Steady Time `json:"steady"`
	// Succeeded says that another life looks like the one after it, Ended since when
	// it is known to be over.
	Succeeded bool  `json:"succeeded,omitempty"`
	Ended     *Time `json:"ended,omitempty"`
	// Clock is left out until its messages say what the host's clock is.
	Clock *HostClock `json:"clock,omitempty"`
}

// Heard returns when one of the lives of a host was heard the last time or, if that is
// later, since when it would have been beside another one that is.
func (h *Host) Heard(l *HostLife) time.Time {
	at := l.LastSeen.Time
	for i := range h.Lives {
		if o := &h.Lives[i]; o.Boot != l.Boot && o.Ended == nil && o.LastSeen.After(l.LastSeen.Time) && o.Steady.After(at) {
			at = o.Steady.Time
		}
	}
	return at
}

// SaidGoodbye reports whether a host is not expected to come back: its supervisord has
// announced its shutdown (of several, all have), and each was to be gone after that.
func (h *Host) SaidGoodbye() bool {
	if h.Stopping == nil {
		return false
	}
	left := 0
	for i := range h.Lives {
		switch l := &h.Lives[i]; {
		case l.Ended != nil || l.Succeeded:
		case !l.Ephemeral || l.Stopping == nil:
			return false
		default:
			left++
		}
	}
	return left > 0
}

// HostClock is how far the clock of a host is behind that of the stream: negative
// if it is ahead. All are milliseconds.
type HostClock struct {
	// Offset is the one that holds, Before the one that held before it jumped.
	Offset int64  `json:"offset_ms"`
	Before *int64 `json:"before_ms,omitempty"`
	// Least is the smallest of the Samples since From, of which the next Offset is
	// made: what a message takes on its way makes it larger.
	Least   int64 `json:"least_ms"`
	Samples int   `json:"samples"`
	From    Time  `json:"from"`
	// Settled says that Offset is one of several messages.
	Settled bool `json:"settled,omitempty"`
}

// HostBridge is a bridge of a host, as its record started says.
type HostBridge struct {
	Pool     string   `json:"pool"`
	Server   string   `json:"server,omitempty"`
	Boot     string   `json:"boot"`
	Instance string   `json:"instance,omitempty"`
	Version  string   `json:"version,omitempty"`
	PID      int      `json:"pid,omitempty"`
	Spool    string   `json:"spool,omitempty"`
	Section  *Section `json:"section,omitempty"`
	Reasons  *Reasons `json:"reasons,omitempty"`
	LastSeen Time     `json:"last_seen"`
	// Stopped is since when it has been stopped, by itself or with its supervisord.
	Stopped *Time `json:"stopped,omitempty"`
	// Lost is how many events it lost, LastLoss the last time, LossCause why.
	Lost      uint64 `json:"lost,omitempty"`
	LastLoss  *Time  `json:"last_loss,omitempty"`
	LossCause string `json:"loss_cause,omitempty"`
}

// HostTrouble is something that is wrong with a host or one of its bridges.
type HostTrouble struct {
	Cause string `json:"cause"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
	Since Time   `json:"since"`
	// Server, Boot and Pool are those of the bridge that reports it. Pool is empty of
	// what nobody reports and the consumer itself has found.
	Server string `json:"server,omitempty"`
	Boot   string `json:"boot,omitempty"`
	Pool   string `json:"pool,omitempty"`
	// Happened is when it was reported the last time, Last when the stream got that.
	Happened Time `json:"happened"`
	Last     Time `json:"last"`
}

// Causes of troubles that the consumer finds.
const (
	// TroubleConflict: two supervisords of one host have the same process.
	TroubleConflict = "process-conflict"
	// TroubleClock: the host's clock is wrong.
	TroubleClock = "clock"
	// TroubleProcesses: the host has more processes than there is room for.
	TroubleProcesses = "too-many-processes"
	// TroubleUnreadable: messages on the subjects of the host cannot be read.
	TroubleUnreadable = "unreadable"
)

// Phases of an alert.
const (
	// PhasePending: something matched, but not often or long enough yet.
	PhasePending = "pending"
	PhaseFiring  = "firing"
	// PhaseResolved: closed, and kept for a while.
	PhaseResolved = "resolved"
)

// OpenAlert is the record of an alert in the bucket supervisor_alerts under
// <rule>.<host>.<group>.<process>: what people want to see of it, and what
// consumer/rules needs to go on with it after a restart.
type OpenAlert struct {
	// Alert is its id, as in its notifications.
	Alert    string `json:"alert"`
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
	Alert         string            `json:"alert"`
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

// AlertMember is a process of an OpenAlert. What it shares with the alert (its
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

// Mute is a silence in the bucket supervisor_mutes: alerts that match it are not
// told while it lasts.
type Mute struct {
	ID string `json:"id"`
	// Hosts, Groups, Processes and Rules are globs; an empty list matches all.
	Hosts     []string `json:"hosts,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Processes []string `json:"processes,omitempty"`
	Rules     []string `json:"rules,omitempty"`
	Comment   string   `json:"comment"`
	Author    string   `json:"author"`
	Created   Time     `json:"created"`
	Expires   Time     `json:"expires"`
}
