package codec

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"supernats/schema"
)

// Raw is an event as supervisord wrote it to a listener.
type Raw struct {
	// Event, Server, Serial, Pool and PoolSerial stand in the header line.
	Event, Server, Pool string
	Serial, PoolSerial  uint64
	// Payload is what follows the header line.
	Payload []byte
}

// Decode turns what a listener of a host has read, in one boot of its supervisord, into an
// event. It never fails: Extra keeps a pair that it does not understand. Data keeps all of
// a payload that is not of the event's form, or lacks what every event of its name has.
// The result does not share memory with r.Payload.
func Decode(r Raw, host, boot string) *schema.Event {
	e := &schema.Event{
		Event:      valid(r.Event),
		Host:       host,
		Server:     valid(r.Server),
		Boot:       boot,
		Serial:     r.Serial,
		Pool:       valid(r.Pool),
		PoolSerial: r.PoolSerial,
	}

	var understood bool
	switch {
	case r.Event == schema.RemoteCommunication:
		understood = decodeRemote(e, r.Payload)
	case schema.Is(r.Event, "PROCESS_LOG"), schema.Is(r.Event, "PROCESS_COMMUNICATION"):
		understood = decodeOutput(e, r.Payload)
	case schema.Known(r.Event):
		understood = setPairs(e, r.Payload) && isComplete(e)
	default:
		understood = decodeUnknown(e, r.Payload)
	}
	if !understood {
		setData(e, r.Payload)
	}

	// The Go port leaves the group of a program without one empty; Python's supervisord
	// takes the name of the program.
	if e.Group == "" {
		e.Group = e.Process
	}
	return e
}

// decodeRemote reads the payload of a REMOTE_COMMUNICATION. Its type may hold spaces and
// colons, so its first line is no list of pairs (supervisor/events.py
// RemoteCommunicationEvent.payload).
func decodeRemote(e *schema.Event, payload []byte) (understood bool) {
	line, data, found := bytes.Cut(payload, []byte("\n"))
	typ, ok := bytes.CutPrefix(line, []byte("type:"))
	if !ok || !found {
		return false
	}

	e.Type = valid(string(typ))
	setData(e, data)
	return true
}

// decodeOutput reads the payload of an event with the output of a process.
func decodeOutput(e *schema.Event, payload []byte) (understood bool) {
	line, data, found := bytes.Cut(payload, []byte("\n"))
	if !found || !setPairs(e, line) || e.Process == "" {
		return false
	}

	// PROCESS_COMMUNICATION does not name its channel, and neither does the PROCESS_LOG
	// of the Go port.
	if e.Channel == "" {
		setPair(e, "channel", strings.ToLower(e.Event[strings.LastIndexByte(e.Event, '_')+1:]))
	}
	setData(e, data)
	return true
}

// decodeUnknown reads the payload of an event that is not known here: pairs in the first
// line, and perhaps a text after it.
func decodeUnknown(e *schema.Event, payload []byte) (understood bool) {
	line, data, _ := bytes.Cut(payload, []byte("\n"))
	if !setPairs(e, line) {
		return false
	}

	if len(data) > 0 {
		setData(e, data)
	}
	return true
}

// isComplete reports whether an event of a known name without text has the pairs that every
// event of its name has (supervisor/events.py). A pid is not among them: the Go port leaves
// it out of an EXITED.
func isComplete(e *schema.Event) bool {
	switch {
	case schema.Is(e.Event, "PROCESS_STATE"):
		return e.Process != "" && e.FromState != "" && (e.Event != schema.ProcessStateExited || e.Expected != nil)
	case schema.Is(e.Event, "PROCESS_GROUP"):
		return e.Group != ""
	case schema.Is(e.Event, "TICK"):
		return e.When != nil
	}
	return true
}

// setPairs takes "key:value key:value …" apart. It reports false, and sets nothing, if the
// line is not of that form. Only spaces and line feeds separate pairs: a name may hold any
// other white space (supervisor/datatypes.py process_or_group_name).
func setPairs(e *schema.Event, line []byte) bool {
	text := string(line)
	for pair, rest := cutPair(text); pair != ""; pair, rest = cutPair(rest) {
		if strings.IndexByte(pair, ':') <= 0 {
			return false
		}
	}

	for pair, rest := cutPair(text); pair != ""; pair, rest = cutPair(rest) {
		key, value, _ := strings.Cut(pair, ":")
		if !setPair(e, key, value) {
			if e.Extra == nil {
				e.Extra = map[string]string{}
			}
			e.Extra[valid(key)] = valid(value)
		}
	}
	return true
}

// cutPair returns the first pair, empty if there is none, and what follows it.
func cutPair(s string) (pair, rest string) {
	isGap := func(c byte) bool { return c == ' ' || c == '\n' }
	start := 0
	for start < len(s) && isGap(s[start]) {
		start++
	}
	end := start
	for end < len(s) && !isGap(s[end]) {
		end++
	}
	return s[start:end], s[end:]
}

// setPair reports false for an unknown key and for a value that is not of its type.
func setPair(e *schema.Event, key, value string) bool {
	switch key {
	case "processname":
		e.Process = valid(value)
	case "groupname":
		e.Group = valid(value)
	case "from_state":
		// The Go port writes Running where Python's supervisord writes RUNNING.
		state := strings.ToUpper(value)
		if !schema.Known("PROCESS_STATE_" + state) {
			return false
		}
		e.FromState = state

	case "channel":
		if value != "stdout" && value != "stderr" {
			return false
		}
		e.Channel = value
	case "expected":
		b := value == "1"
		if !b && value != "0" {
			return false
		}
		e.Expected = &b

	case "pid":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return false
		}
		e.PID = n
	case "tries":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return false
		}
		e.Tries = &n

	case "when":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return false
		}
		e.When = &n
	default:
		return false
	}
	return true
}

// setData keeps text as text and everything else as bytes: encoding/json would replace
// invalid UTF-8 by U+FFFD silently.
func setData(e *schema.Event, data []byte) {
	if utf8.Valid(data) {
		s := string(data)
		e.Data, e.DataBase64 = &s, nil
		return
	}
	e.Data, e.DataBase64 = nil, bytes.Clone(data)
}

// valid makes a name valid UTF-8. Python's supervisord sends nothing else; the Go port may.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
