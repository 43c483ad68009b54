package schema

import (
	"strconv"
	"time"
)

// Snapshot is the data of a message on supervisor.snapshot.<host>: the process table of
// one supervisord.
type Snapshot struct {
	Host   string `json:"host"`
	Server string `json:"server"`
	Boot   string `json:"boot"`
	// Serial is that of the last event that the bridge read before the snapshot was taken.
	Serial uint64 `json:"serial"`
	// Reason is start, interval, loss, reconnect or stopping.
	Reason            string            `json:"reason"`
	SupervisorVersion string            `json:"supervisor_version"`
	SupervisorState   string            `json:"supervisor_state"`
	Processes         []SnapshotProcess `json:"processes"`
	// Part counts from 1 to Parts if the table was too big for one message. Each part has
	// its share of Processes; all have the time of the table.
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
