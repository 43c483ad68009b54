package schema

// Event is the data of a message on supervisor.event.>: what supervisord sent, in plain
// names and JSON types, and what the bridge found out about it.
//
// Which of the optional fields are set depends on the event, see event.schema.json.
// Strings hold valid UTF-8.
type Event struct {
	// Event is supervisor's own name, PROCESS_STATE_EXITED. Host is the name
	// under which the bridge publishes, Server supervisord's identifier.
	Event  string `json:"event"`
	Host   string `json:"host"`
	Server string `json:"server"`
	// Boot identifies one life of one supervisord process: 16 hex digits.
	Boot string `json:"boot"`
	// Serial counts the events of a boot. PoolSerial counts those of one listener's buffer
	// since the last start or reload: supervisord dropped the events of a gap.
	Serial     uint64 `json:"serial"`
	Pool       string `json:"pool"`
	PoolSerial uint64 `json:"poolserial"`

	Group   string `json:"group,omitempty"`
	Process string `json:"process,omitempty"`
	// FromState is upper case: RUNNING.
	FromState string `json:"from_state,omitempty"`
	// Expected says whether the exit code was one of the program's exitcodes.
	Expected *bool `json:"expected,omitempty"`
	PID      int   `json:"pid,omitempty"`
	Tries    *int  `json:"tries,omitempty"`
	// Channel is stdout or stderr.
	Channel string `json:"channel,omitempty"`
	// Type is that of a REMOTE_COMMUNICATION: any text.
	Type string `json:"type,omitempty"`
	// When is a TICK's time in Unix seconds, rounded down to its period.
	When *int64 `json:"when,omitempty"`
	// Data is the text of PROCESS_LOG, PROCESS_COMMUNICATION and REMOTE_COMMUNICATION, and
	// the whole payload of an event that could not be understood. DataBase64 stands in its
	// place if it is not valid UTF-8.
	Data       *string `json:"data,omitempty"`
	DataBase64 []byte  `json:"data_base64,omitempty"`

	// Exit is why the process died and Log what it wrote last, if known.
	Exit *Exit `json:"exit,omitempty"`
	Log  *Log  `json:"log,omitempty"`
	// Ran is how long this life of the process lasted, in seconds, to the millisecond;
	// Last is what /proc said shortly before its end. Both are set if known, in an event
	// that ends the life.
	Ran  *float64 `json:"ran,omitempty"`
	Last *Look    `json:"last,omitempty"`

	// Part counts from 1 to Parts if the event was too big for one message, see Split.
	Part  int `json:"part,omitempty"`
	Parts int `json:"parts,omitempty"`
	// Extra holds the key:value pairs that are not known here.
	Extra map[string]string `json:"extra,omitempty"`
}

// Look is what /proc said about a process at a time.
type Look struct {
	Time Time `json:"time"`
	// RSS is its memory in bytes, PeakRSS the most it has had.
	RSS     uint64 `json:"rss_bytes,omitempty"`
	PeakRSS uint64 `json:"rss_peak_bytes,omitempty"`
	// CPU is the processor time that it had used, Age how long it had run, in seconds.
	CPU     float64 `json:"cpu_seconds,omitempty"`
	Threads int     `json:"threads,omitempty"`
	// Descriptors is how many files it had open; 0 if /proc does not show that.
	Descriptors int     `json:"fds,omitempty"`
	Age         float64 `json:"age_seconds,omitempty"`
}

// Log holds the end of a process's logs, from the beginning of a line on.
type Log struct {
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
}

// Subject is the NATS subject of the event.
func (e *Event) Subject() string {
	return Subject{Host: e.Host, Group: e.Group, Process: e.Process, Event: e.Event, Type: e.Type}.String()
}

// IsCrash reports whether a process has ended by itself and should not have: it exited
// unexpectedly, or before its startsecs, of which supervisord says BACKOFF alone.
func (e *Event) IsCrash() bool { return e.Event == ProcessStateBackoff || e.UnexpectedExit() }

// UnexpectedExit reports whether the event is the one that supernats exists for: a process
// exited with a code that its exitcodes do not list, or was killed by a signal.
func (e *Event) UnexpectedExit() bool {
	return e.Event == ProcessStateExited && e.Expected != nil && !*e.Expected
}
