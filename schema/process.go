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
