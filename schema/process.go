package schema

import (
	"bytes"
	"strconv"
)

// ProcessName is what supervisord calls a process.
type ProcessName struct{ Group, Process string }

// ProcessOf returns the process that the payload of a PROCESS_STATE event is about, and
// its process id, 0 if there is none. A program without a group is a group of its own: the
// Go port leaves the group empty, supervisord itself fills it in.
func ProcessOf(payload []byte) (name ProcessName, pid int) {
	line, _, _ := bytes.Cut(payload, []byte("\n"))
	for word := range bytes.SplitSeq(line, []byte(" ")) {
		key, value, _ := bytes.Cut(word, []byte(":"))
		switch string(key) {
		case "groupname":
			name.Group = string(value)
		case "processname":
			name.Process = string(value)
		case "pid":
			pid, _ = strconv.Atoi(string(value))
		}
	}

	if name.Group == "" {
		name.Group = name.Process
	}
	return name, pid
}

// ProcessRecord is the record of a process in the bucket supervisor_state under
// <host>.<group>.<process>, see consumer/state.
type ProcessRecord struct {
	Host    string `json:"host"`
	Group   string `json:"group"`
	Process string `json:"process"`
	// State is one of the State… constants, Since when the process entered it.
	State string `json:"state"`
	Since Time   `json:"since"`
	// PID is 0 if there is none or it is not known.
	PID int `json:"pid"`
	// Started is when it was started last; nil unless it is STARTING, RUNNING or STOPPING,
	// and where it is not known.
	Started *Time `json:"started,omitempty"`
	// ExitStatus is supervisord's own of a process that is STOPPED or EXITED, -1 for any
	// signal, as of the first table since; nil where it is not known.
	ExitStatus *int `json:"exit_status,omitempty"`
	// Expected, Exit, Ran and Last are those of the last exit, see Event.
	Expected *bool    `json:"expected,omitempty"`
	Exit     *Exit    `json:"exit,omitempty"`
	Ran      *float64 `json:"ran,omitempty"`
	Last     *Look    `json:"last,omitempty"`

	// Counters over everything that was ever recorded of the process.
	Starts          uint64 `json:"starts"`
	Exits           uint64 `json:"exits"`
	UnexpectedExits uint64 `json:"unexpected_exits"`
	Fatals          uint64 `json:"fatals"`
	// LastExit is when the process last left RUNNING or STARTING by itself.
	LastExit *Time `json:"last_exit,omitempty"`
	// Recorded is since when there is a record of it: the zero time where an earlier version
	// made that. Crashes are those of the last day, nil before the first one.
	Recorded Time     `json:"recorded,omitzero"`
	Crashes  *Crashes `json:"crashes,omitempty"`
	// Gone is since when the host's supervisord does not have the process any more.
	Gone *Time `json:"gone,omitempty"`

	// Boot and Serial are those of the last event applied; Serial is 0 if there was none in
	// this boot.
	//
	// Seq is the sequence of the last message applied. If the stream was deleted and created
	// again, it continues from the sequences of the old one.
	//
	// Updated is when the stream got the message that reported the state.
	Boot    string `json:"boot"`
	Serial  uint64 `json:"serial"`
	Seq     uint64 `json:"seq"`
	Updated Time   `json:"updated"`
	// Snapshot is set while the state comes from a snapshot, and no event has come since.
	Snapshot *SnapshotMark `json:"snapshot,omitempty"`
}

// SnapshotMark says which snapshot reported a state.
type SnapshotMark struct {
	// Serial is the snapshot's, Time when it was taken.
	Serial uint64 `json:"serial"`
	Time   Time   `json:"time"`
	// Gap says that events have been lost since.
	Gap bool `json:"gap,omitempty"`
}
