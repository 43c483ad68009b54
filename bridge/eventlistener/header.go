package eventlistener

import (
	"bytes"
	"fmt"
	"strconv"
)

// Header is the line that supervisord writes before each payload.
type Header struct {
	// Server is supervisord's identifier. It is not checked by supervisord and
	// may hold spaces and colons.
	Server string
	// Pool is the name of the listener's section, Event the event's name.
	Pool, Event string
	// Serial counts all events of a supervisord, PoolSerial those that went
	// into this pool's buffer.
	Serial, PoolSerial uint64
	// Len is the length of the payload, see Length.
	Len int
}

// HeaderError is a header line that does not follow the protocol.
type HeaderError struct {
	// Line is what was read, shortened.
	Line string
	// Problem is what is wrong with it.
	Problem string
}

func (e *HeaderError) Error() string {
	return fmt.Sprintf("malformed event header %q: %s; a header is "+
		`"ver:3.0 server:NAME serial:N pool:NAME poolserial:N eventname:NAME len:N" and a newline`, e.Line, e.Problem)
}

func malformed(line []byte, format string, args ...any) error {
	const most = 300
	if len(line) > most {
		line = append(bytes.Clone(line[:most]), "…"...)
	}
	return &HeaderError{string(line), fmt.Sprintf(format, args...)}
}

// ParseHeader reads a header line, with or without its newline
// (supervisor/process.py, EventListenerPool._eventEnvelope). Keys that are not
// known are ignored. The error is a *HeaderError.
func ParseHeader(line []byte) (Header, error) {
	f, err := parse(line)
	if err != nil {
		return Header{}, err
	}
	return Header{
		Server: string(f.server), Pool: string(f.pool), Event: string(f.event),
		Serial: f.serial, PoolSerial: f.poolSerial, Len: f.len,
	}, nil
}

// fields is a header whose names are still part of the line.
type fields struct {
	server, pool, event []byte
	serial, poolSerial  uint64
	len                 int
}

// headerStart is what every header begins with.
const headerStart = "ver:"

func parse(line []byte) (fields, error) {
	var f fields
	line = bytes.TrimSuffix(line, []byte("\n"))
	server, rest, ok := cutServer(line)
	if !ok {
		return f, malformed(line, "no server: followed by serial:")
	}
	f.server = server

	var seen [5]bool
	for len(rest) > 0 {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte(" "))
		key, value, _ := bytes.Cut(field, []byte(":"))

		var err error
		switch string(key) {
		case "serial":
			seen[0] = true
			f.serial, err = strconv.ParseUint(string(value), 10, 64)
		case "pool":
			seen[1] = len(value) > 0
			f.pool = value
		case "poolserial":
			seen[2] = true
			f.poolSerial, err = strconv.ParseUint(string(value), 10, 64)
		case "eventname":
			seen[3] = len(value) > 0
			f.event = value
		case "len":
			seen[4] = true
			f.len, err = strconv.Atoi(string(value))
			if err == nil && (f.len < 0 || f.len > MaxPayload) {
				return f, malformed(line, "len is %d, allowed are 0 to %d", f.len, MaxPayload)
			}
		}

		if err != nil {
			return f, malformed(line, "%s is %q, not a number", key, value)
		}
	}

	for i, key := range [...]string{"serial", "pool", "poolserial", "eventname", "len"} {
		if !seen[i] {
			return f, malformed(line, "no %s", key)
		}
	}
	return f, nil
}

// cutServer splits "ver:3.0 server:NAME serial:…" around the name, which may
// hold anything, the text " serial:" too: what follows it is supervisord's own
// and holds no spaces.
func cutServer(line []byte) (server, rest []byte, ok bool) {
	if !bytes.HasPrefix(line, []byte(headerStart)) {
		return nil, nil, false
	}
	_, line, ok = bytes.Cut(line, []byte(" server:"))
	end := bytes.LastIndex(line, []byte(" serial:"))
	if !ok || end < 0 {
		return nil, nil, false
	}
	return line[:end], line[end+1:], true
}
