package supervisordconf

import (
	"strconv"
	"strings"
)

// Bool is an option as datatypes.py boolean reads it; known is false where supervisord would
// refuse it.
func (s *Section) Bool(option string, preset bool) (value, known bool) {
	text, err := s.ProcessValue(option, strconv.FormatBool(preset))
	if err != nil {
		return preset, false
	}
	switch strings.ToLower(text) {
	case "yes", "true", "on", "1":
		return true, true
	case "no", "false", "off", "0":
		return false, true
	}
	return preset, false
}

// Int is an option that is a number; known is false where supervisord would refuse it.
func (s *Section) Int(option string, preset int) (n int, known bool) {
	text, err := s.ProcessValue(option, strconv.Itoa(preset))
	if err != nil {
		return preset, false
	}
	if n, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
		return preset, false
	}
	return n, true
}

// LogTarget is what a value of stdout_logfile or stderr_logfile means: where supervisord
// writes what a process prints.
type LogTarget int

// Log targets.
const (
	LogAuto   LogTarget = iota // a file whose name only supervisord knows
	LogFile                    // a file
	LogNone                    // nowhere: NONE, off or /dev/null
	LogSyslog                  // the log of the system
	LogStream                  // a device or a pipe, such as /dev/stdout: somebody else keeps it
)

// TargetOf reads a value that is expanded (datatypes.py logfile_name).
func TargetOf(value string) LogTarget {
	switch strings.ToLower(value) {
	case "", "auto":
		return LogAuto
	case "none", "off":
		return LogNone
	case "syslog":
		return LogSyslog
	}
	switch {
	case value == "/dev/null":
		return LogNone
	case strings.HasPrefix(value, "/dev/"), strings.HasPrefix(value, "/proc/"):
		return LogStream
	}
	return LogFile
}
