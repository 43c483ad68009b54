package schema

import (
	"bytes"
	"strconv"
)

// ProcessName is how supervisord calls a process.
type ProcessName struct{ Group, Process string }

// ProcessOf reads from the payload of a PROCESS_STATE event whose it is, and its process
// id, 0 if it has none. A program without a group, of the Go port, is a group of its own,
// as it is for supervisord.
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
