package schema

import "time"

// ProcessRecord is the record of a process in the bucket supervisor_state, see
// consumer/state.
type ProcessRecord struct {
	Host    string `json:"host"`
	Group   string `json:"group"`
	Process string `json:"process"`
	// State is supervisor's name, RUNNING, since Since.
	State string `json:"state"`
	Since Time   `json:"since"`
	// PID is 0 where there is none or where nobody told it.
	PID int `json:"pid"`
	// Expected tells of the last exit whether it was, Exit its reason, Ran how long that
	// life lasted, in seconds, and Last what the last look at it saw.
	Expected *bool    `json:"expected,omitempty"`
	Exit     *Exit    `json:"exit,omitempty"`
	Ran      *float64 `json:"ran,omitempty"`
	Last     *Look    `json:"last,omitempty"`
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

// HostRecord is the record of a host in the bucket supervisor_hosts.
type HostRecord struct {
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

// Life returns the life of a boot, nil if there is none.
func (h *HostRecord) Life(boot string) *HostLife {
	for i := range h.Lives {
		if h.Lives[i].Boot == boot {
			return &h.Lives[i]
		}
	}
	return nil
}

// Heard returns when one of the lives of a host was heard the last time or, if that is
// later, since when it would have been beside another one that is.
func (h *HostRecord) Heard(l *HostLife) time.Time {
	at := l.LastSeen.Time
	for i := range h.Lives {
		if o := &h.Lives[i]; o.Boot != l.Boot && o.Ended == nil && o.LastSeen.After(l.LastSeen.Time) && o.Steady.After(at) {
			at = o.Steady.Time
		}
	}
	return at
}

// SilentAfter is how long nothing may come from a host, or from one of several
// supervisords of it, until what was known of its processes is known no more: its bridge
// publishes a snapshot every minute.
const SilentAfter = 3 * time.Minute

// HasLost reports whether nothing is known any more of what one of the lives of a host
// runs: its supervisord was killed, or it has been silent for longer than after while
// another one was heard.
func (h *HostRecord) HasLost(l *HostLife, after time.Duration) bool {
	return l.SupervisorState == SupervisorGone || h.LastSeen.Sub(h.Heard(l)) > after
}

// SaidGoodbye reports whether a host is not expected to come back: its supervisord has
// announced its shutdown (of several, all have), and each was to be gone after that.
func (h *HostRecord) SaidGoodbye() bool {
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
