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
	// down or reloads, RUNNING if only the bridge is stopped, and SupervisorGone.
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
	// Watch says what the kernel reports of supervisord's processes.
	Watch *Watch `json:"watch,omitempty"`
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

// Watch says what a bridge learns of supervisord's processes from the kernel itself.
type Watch struct {
	// Exits are the sources of the reasons of deaths: WatchPidfd, WatchConnector.
	Exits []string `json:"exits,omitempty"`
	// Wake is how supervisord is woken when a process has died, WakeByConnection or
	// WakeByLine; empty if it is not.
	Wake string `json:"wake,omitempty"`
	// Limit is how many processes can be watched at once.
	Limit int `json:"limit,omitempty"`
	// Problem is why nothing is watched, or not all.
	Problem string `json:"problem,omitempty"`
}

// Values of Watch.
const (
	WatchPidfd       = "pidfd"
	WatchConnector   = "connector"
	WakeByConnection = "connection"
	WakeByLine       = "stderr"
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
