package schema

import (
	"strconv"
	"time"
)

// Bridge is the data of the records started, stopping and reconnect on
// supervisor.bridge.<host>.<kind>: what a bridge is, and what it can do.
type Bridge struct {
	Host          string `json:"host"`
	Server        string `json:"server"`
	Boot          string `json:"boot"`
	Pool          string `json:"pool"`
	BridgeVersion string `json:"bridge_version"`
	// PID is the bridge's own.
	PID int `json:"pid"`
	// Settings are the values in force, by the name of their flag, and "address", an
	// address of the host. They hold no secrets.
	Settings map[string]string `json:"settings"`

	// Instance distinguishes the supervisords of one host; it survives their restarts.
	Instance string `json:"instance,omitempty"`
	// SupervisorPID is supervisord's own process id, 0 if it is not known.
	SupervisorPID int `json:"supervisor_pid,omitempty"`
	// SupervisorState stands in a record stopping only: SupervisorStopping if supervisord
	// goes down or reloads, SupervisorRunning if only the bridge is stopped, or
	// SupervisorGone.
	SupervisorState string `json:"supervisor_state,omitempty"`
	// Ephemeral says that the host will never come back after its supervisord has been
	// stopped: it is a container.
	Ephemeral bool `json:"ephemeral,omitempty"`
	// Spool is where events wait: disk or memory.
	Spool string `json:"spool,omitempty"`
	// Section is the bridge's own section of supervisord's configuration, nil if that
	// cannot be read.
	Section *Section `json:"section,omitempty"`
	// Reasons says whether the bridge can find out why processes died.
	Reasons *Reasons `json:"reasons,omitempty"`
	// Watch says what the kernel reports about supervisord's processes.
	Watch *Watch `json:"watch,omitempty"`
}

// Section is what supervisord's configuration says about a listener.
type Section struct {
	// Events are the names of events=, as they are written there.
	Events     []string `json:"events"`
	BufferSize int      `json:"buffer_size"`
	Priority   int      `json:"priority"`
	// SamePriority names the other listeners with the same priority.
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
	// Problem is why reasons are not, or not always, found; Fix is what to set.
	Problem string `json:"problem,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// Values of Reasons.Source.
const (
	ReasonsFile = "file"
	ReasonsRPC  = "rpc"
	ReasonsNone = "none"
)

// Watch says what a bridge learns about supervisord's processes from the kernel itself.
type Watch struct {
	// Exits are the sources of exit reasons: WatchPidfd, WatchConnector.
	Exits []string `json:"exits,omitempty"`
	// Wake is how supervisord is woken when a process has died, WakeByConnection or
	// WakeByLine; empty if it is not woken.
	Wake string `json:"wake,omitempty"`
	// Limit is how many processes can be watched at once.
	Limit int `json:"limit,omitempty"`
	// Problem is why nothing, or not everything, is watched.
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
