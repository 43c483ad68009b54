package schema

import "time"

// HostRecord is the record of a host in the bucket supervisor_hosts under <host>.
//
// A host may have several supervisords. The fields up to Serial are those of the oldest
// one that lives.
type HostRecord struct {
	Host          string `json:"host"`
	Server        string `json:"server"`
	Boot          string `json:"boot"`
	BridgeVersion string `json:"bridge_version"`
	// Address is one of the host's own, as its bridge reports it.
	Address string `json:"address,omitempty"`
	// SupervisorVersion is that of the last snapshot. SupervisorState is that of the last
	// snapshot, or that of a SUPERVISOR_STATE_CHANGE after it; Serial is that event's.
	SupervisorVersion string `json:"supervisor_version,omitempty"`
	SupervisorState   string `json:"supervisor_state,omitempty"`
	Serial            uint64 `json:"serial,omitempty"`

	// Stopping is since when its supervisord has been shutting down or restarting, by the
	// stream's time. It is nil if one of several is not.
	Stopping *Time `json:"stopping,omitempty"`
	// LastSeen is when the stream got the last message of the host.
	LastSeen Time `json:"last_seen"`
	// Lives are the supervisords of the host, oldest first, and those that have ended
	// recently.
	Lives []HostLife `json:"lives,omitempty"`
	// Bridges are the bridges of these supervisords, one for each pool.
	Bridges []HostBridge `json:"bridges,omitempty"`
	// Troubles are what its bridges report, and what the consumer finds wrong with the host.
	// MoreTroubles is how many the record has no room for.
	Troubles     []HostTrouble `json:"troubles,omitempty"`
	MoreTroubles int           `json:"more_troubles,omitempty"`
	// Resent is how many of its events the stream mistook for duplicates, LastResent when
	// the last one was reported.
	Resent     uint64 `json:"resent,omitempty"`
	LastResent *Time  `json:"last_resent,omitempty"`
	// Lost is how many events were reported as lost, LostBy how many of them by each of the
	// causes in LossCauses or LossOther, LastLoss when this happened last. Records of earlier
	// versions have a sum only.
	Lost     uint64            `json:"lost"`
	LostBy   map[string]uint64 `json:"lost_by,omitempty"`
	LastLoss *Time             `json:"last_loss,omitempty"`
	// Numbers of processes, see consumer/state: those that run, that should run and do not,
	// that somebody stopped or never started, and that ran to their end.
	Running int `json:"running"`
	Down    int `json:"down"`
	Stopped int `json:"stopped"`
	Exited  int `json:"exited,omitempty"`
	// Seq is the sequence of the last message applied, as in ProcessRecord.
	Seq uint64 `json:"seq"`
}

// HostLife is one life of a supervisord of a host.
type HostLife struct {
	Boot   string `json:"boot"`
	Server string `json:"server,omitempty"`
	// Instances are those of its bridges, one for each, and Pools the pools that have sent
	// something.
	Instances []string `json:"instances,omitempty"`
	Pools     []string `json:"pools,omitempty"`
	PID       int      `json:"pid,omitempty"`
	// SupervisorVersion, SupervisorState, Serial and Stopping are as in HostRecord.
	SupervisorVersion string `json:"supervisor_version,omitempty"`
	SupervisorState   string `json:"supervisor_state,omitempty"`
	Serial            uint64 `json:"serial,omitempty"`
	Stopping          *Time  `json:"stopping,omitempty"`
	// Ephemeral is as in the record of its bridge.
	Ephemeral bool `json:"ephemeral,omitempty"`
	// StoppedAt is when its bridge reported the stop, by the host's clock.
	StoppedAt *Time `json:"stopped_at,omitempty"`

	// Begun is when the first known of its messages was made, Happened when the last one
	// was, by the host's clock: a spool that is drained late holds messages of long ago.
	Begun    Time `json:"begun"`
	Happened Time `json:"happened"`
	// FirstSeen and LastSeen are when the stream got its first and its last message.
	FirstSeen Time `json:"first_seen"`
	LastSeen  Time `json:"last_seen"`
	// Steady is since when its messages have come without a long gap. In the gap before it
	// perhaps nothing came from any host: NATS was away, or the ticks of that time are no
	// longer in the stream, which keeps them for an hour.
	Steady Time `json:"steady"`
	// Succeeded says that another life looks like its successor, Ended since when it is
	// known to be over.
	Succeeded bool  `json:"succeeded,omitempty"`
	Ended     *Time `json:"ended,omitempty"`
	// Clock is nil until its messages show how the host's clock differs.
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

// Heard returns the time from which on the silence of one of the lives counts: when it was
// last seen or, if that is later, since when another life that is still seen has been
// steady. Before that nothing may have come from either.
func (h *HostRecord) Heard(l *HostLife) time.Time {
	at := l.LastSeen.Time
	for i := range h.Lives {
		other := &h.Lives[i]
		if other.Boot == l.Boot || other.Ended != nil || !other.LastSeen.After(l.LastSeen.Time) {
			continue
		}
		if other.Steady.After(at) {
			at = other.Steady.Time
		}
	}
	return at
}

// SilentAfter is how long nothing may come from a host, or from one of its supervisords,
// before its processes are unknown: a bridge publishes a snapshot every minute, and ticks.
const SilentAfter = 3 * time.Minute

// HasLost reports whether the processes of one of the lives are unknown: its supervisord
// was killed, or has been silent for longer than after while another life was seen.
func (h *HostRecord) HasLost(l *HostLife, after time.Duration) bool {
	return l.SupervisorState == SupervisorGone || h.LastSeen.Sub(h.Heard(l)) > after
}

// SaidGoodbye reports whether a host is not expected to come back: its supervisords, all of
// them ephemeral, have announced that they shut down.
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

// HostClock is by how many milliseconds the clock of a host is slow, compared with that of
// the stream: negative if it is fast.
type HostClock struct {
	// Offset is the current value, Before the one before the clock jumped.
	Offset int64  `json:"offset_ms"`
	Before *int64 `json:"before_ms,omitempty"`
	// Least is the smallest of the Samples since From, from which the next Offset is made:
	// the time that a message travels makes a sample larger.
	Least   int64 `json:"least_ms"`
	Samples int   `json:"samples"`
	From    Time  `json:"from"`
	// Settled says that Offset comes from several messages.
	Settled bool `json:"settled,omitempty"`
}

// HostBridge is a bridge of a host, by its record started.
type HostBridge struct {
	Pool     string `json:"pool"`
	Server   string `json:"server,omitempty"`
	Boot     string `json:"boot"`
	Instance string `json:"instance,omitempty"`
	Version  string `json:"version,omitempty"`
	PID      int    `json:"pid,omitempty"`
	Spool    string `json:"spool,omitempty"`
	// Listen is the address of its /metrics, as its flag --listen has it; empty: none.
	Listen string `json:"listen,omitempty"`
	// Scheme is how it is asked for there, http or https; empty: not known.
	Scheme   string   `json:"scheme,omitempty"`
	Section  *Section `json:"section,omitempty"`
	Reasons  *Reasons `json:"reasons,omitempty"`
	LastSeen Time     `json:"last_seen"`
	// Stopped is since when it has been stopped, alone or with its supervisord.
	Stopped *Time `json:"stopped,omitempty"`
	// Lost is how many events it has lost, LastLoss when and LossCause why it did last.
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
	// Server, Boot and Pool are those of the bridge that reports it. Pool is empty if the
	// consumer itself has found it.
	Server string `json:"server,omitempty"`
	Boot   string `json:"boot,omitempty"`
	Pool   string `json:"pool,omitempty"`
	// Happened is when it was last reported, Last when the stream got that report.
	Happened Time `json:"happened"`
	Last     Time `json:"last"`
}

// Causes of troubles that the consumer finds.
const (
	// TroubleConflict: two supervisords of one host have the same process.
	TroubleConflict = "process-conflict"
	// TroubleClock: the host's clock is wrong.
	TroubleClock = "clock"
	// TroubleProcesses: the host has more processes than the consumer has room for.
	TroubleProcesses = "too-many-processes"
	// TroubleUnreadable: messages on the subjects of the host cannot be read.
	TroubleUnreadable = "unreadable"
)
