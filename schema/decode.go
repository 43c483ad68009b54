package schema

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Raw is an event as supervisord wrote it to a listener.
type Raw struct {
	// Event, Server, Serial, Pool and PoolSerial stand in the header line.
	Event, Server, Pool string
	Serial, PoolSerial  uint64
	// Payload is all that followed the header line.
	Payload []byte
}

// Decode turns what a listener of host read in one boot of its supervisord into
// an event. It never fails: a pair that it does not understand is kept in Extra,
// and a payload that is not of the event's form, or lacks what every event of
// its name tells, as a whole in Data. The result does not share memory with
// r.Payload.
func Decode(r Raw, host, boot string) *Event {
	e := &Event{
		Event: valid(r.Event), Host: host, Server: valid(r.Server), Boot: boot,
		Serial: r.Serial, Pool: valid(r.Pool), PoolSerial: r.PoolSerial,
	}
	switch {
	case r.Event == RemoteCommunication:
		// The type may hold spaces and colons, so it is no list of pairs
		// (supervisor/events.py RemoteCommunicationEvent.payload).
		line, data, found := bytes.Cut(r.Payload, []byte("\n"))
		typ, ok := bytes.CutPrefix(line, []byte("type:"))
		if !ok || !found {
			e.setData(r.Payload)
			return e
		}
		e.Type = valid(string(typ))
		e.setData(data)
		return e
	case Is(r.Event, "PROCESS_LOG"), Is(r.Event, "PROCESS_COMMUNICATION"):
		line, data, found := bytes.Cut(r.Payload, []byte("\n"))
		if !found || !e.setPairs(line) || e.Process == "" {
			e.setData(r.Payload)
			return e
		}
		// Neither PROCESS_COMMUNICATION nor the Go port's PROCESS_LOG tells it.
		if e.Channel == "" {
			e.setPair("channel", strings.ToLower(r.Event[strings.LastIndexByte(r.Event, '_')+1:]))
		}
		e.setData(data)
	case Known(r.Event):
		if !e.setPairs(r.Payload) || !e.complete() {
			e.setData(r.Payload)
		}
	default:
		line, data, found := bytes.Cut(r.Payload, []byte("\n"))
		switch {
		case !e.setPairs(line):
			e.setData(r.Payload)
		case found && len(data) > 0:
			e.setData(data)
		}
	}
	// The Go port of supervisord leaves the group of a program without one
	// empty; Python's takes the program's name, and so do we.
	if e.Group == "" {
		e.Group = e.Process
	}
	return e
}

// complete reports whether an event of a known name without text has the pairs
// that each of its name has (supervisor/events.py). A pid is none of them: the
// Go port leaves it out of an EXITED.
func (e *Event) complete() bool {
	switch {
	case Is(e.Event, "PROCESS_STATE"):
		return e.Process != "" && e.FromState != "" && (e.Event != ProcessStateExited || e.Expected != nil)
	case Is(e.Event, "PROCESS_GROUP"):
		return e.Group != ""
	case Is(e.Event, "TICK"):
		return e.When != nil
	}
	return true
}

// setPairs takes "key:value key:value …" apart. It reports false, and sets
// nothing, if line is not of that form. Only spaces and line feeds stand
// between pairs: any other white space is legal in a name
// (supervisor/datatypes.py process_or_group_name).
func (e *Event) setPairs(line []byte) bool {
	text := string(line)
	for pair, rest := cutPair(text); pair != ""; pair, rest = cutPair(rest) {
		if strings.IndexByte(pair, ':') <= 0 {
			return false
		}
	}
	for pair, rest := cutPair(text); pair != ""; pair, rest = cutPair(rest) {
		key, value, _ := strings.Cut(pair, ":")
		if !e.setPair(key, value) {
			if e.Extra == nil {
				e.Extra = map[string]string{}
			}
			e.Extra[valid(key)] = valid(value)
		}
	}
	return true
}

// cutPair cuts the first pair off; it is empty if there is none.
func cutPair(s string) (pair, rest string) {
	gap := func(c byte) bool { return c == ' ' || c == '\n' }
	start := 0
	for start < len(s) && gap(s[start]) {
		start++
	}
	end := start
	for end < len(s) && !gap(s[end]) {
		end++
	}
	return s[start:end], s[end:]
}

// setPair reports false for a key that is not known or a value that is not of
// its type.
func (e *Event) setPair(key, value string) bool {
	switch key {
	case "processname":
		e.Process = valid(value)
	case "groupname":
		e.Group = valid(value)
	case "from_state":
		// The Go port writes Running where Python's supervisord writes RUNNING.
		state := strings.ToUpper(value)
		if !known["PROCESS_STATE_"+state] {
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

// setData keeps text as text and everything else as bytes: encoding/json would
// turn bad UTF-8 into U+FFFD without a word.
func (e *Event) setData(data []byte) {
	if utf8.Valid(data) {
		s := string(data)
		e.Data, e.DataBase64 = &s, nil
		return
	}
	e.Data, e.DataBase64 = nil, bytes.Clone(data)
}

// valid makes a name valid UTF-8. Python's supervisord cannot send another; the
// Go port can.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
