// Package ownlog finds and reads supervisord's own log: where it is, by supervisord's
// configuration and the files that it has open; what is new in it, over rotations; and what
// its lines report.
//
// Nothing here waits for a writer. A read goes through at most 64 MiB, some 100 ms; a log that
// has grown by more is read again from 8 MiB before its end, and the lines between are a
// gap (Gap). Memory: one chunk of 256 KiB.
package ownlog

import (
	"strconv"
	"strings"
	"time"

	"supernats/schema"
)

// Kind is what a line of supervisord's log reports.
type Kind uint8

// The kinds of lines.
const (
	Other    Kind = iota
	Started       // supervisord started, or was reloaded: no child is alive
	Spawned       // process.py _spawn_as_parent
	SpawnErr      // process.py record_spawnerr: it does not say whose; the Go port does
	Success       // process.py transition: RUNNING
	Exited        // process.py finish: EXITED or BACKOFF
	Stopped       // process.py finish: STOPPED
	GaveUp        // process.py transition: FATAL
	Gap           // no line: some of the log was not read
)

// Line is a line of supervisord's log that matters. It names a process without its
// group.
type Line struct {
	Kind     Kind
	Expected bool // of Exited: one of the program's exitcodes
	Core     bool
	Suspect  bool  // a child may have written it, see Feed
	GoPort   bool  // of the Go port of supervisord
	Code     int16 // -1 if it was a signal
	PID      int32 // of Spawned
	At       time.Time
	Name     string
	// Text is the signal of Exited and Stopped, the message of SpawnErr.
	Text string
}

// Exit returns the reason of a death that the line reports, nil if it reports none.
func (l *Line) Exit() *schema.Exit {
	switch {
	case l.Kind == SpawnErr && l.Text != "":
		return &schema.Exit{SpawnErr: l.Text}
	case l.Kind != Exited && l.Kind != Stopped:
		return nil
	case l.Code >= 0:
		code := int(l.Code)
		return &schema.Exit{Code: &code}
	case l.Text != "":
		return &schema.Exit{Signal: l.Text, Core: l.Core}
	}
	return nil // "unknown termination cause" (options.py decode_wait_status)
}

// Parse reads one line without its newline; Other is one that does not
// matter. The result shares memory with s.
//
// A line is "2026-11-21 19:00:31,833 INFO message" (loggers.py asctime, in
// supervisord's local time; options.py make_logger). A name holds no space
// (datatypes.py process_or_group_name), but anything else.
func Parse(s string) Line {
	if isGoPort(s) {
		return parseGoPort(s)
	}
	const stamp = len("2026-11-21 19:00:31,833 ")
	if len(s) <= stamp || s[stamp-1] != ' ' {
		return Line{}
	}
	_, message, _ := strings.Cut(s[stamp:], " ") // the level
	l := parseMessage(message)
	if l.Kind == Other {
		return l
	}
	var ok bool
	if l.At, ok = parseTime(s[:stamp-1]); !ok {
		return Line{}
	}
	return l
}

// parseMessage reads what follows the level.
func parseMessage(s string) Line {
	word, rest, _ := strings.Cut(s, " ")
	switch word {
	case "exited:", "stopped:":
		return parseDeath(word, rest)
	case "spawned:":
		return parseSpawned(rest)
	case "spawnerr:":
		return Line{Kind: SpawnErr, Text: rest}
	case "success:":
		return parseEntered(Success, rest, "entered RUNNING state")
	case "gave":
		return parseEntered(GaveUp, strings.TrimPrefix(rest, "up: "), "entered FATAL state")

	case "supervisord":
		if strings.HasPrefix(rest, "started with pid ") {
			return Line{Kind: Started}
		}
	case "RPC":
		// Written at each start and reload, also where the pid file cannot be
		// (http.py make_http_servers).
		if strings.HasPrefix(rest, "interface '") && strings.HasSuffix(rest, "' initialized") {
			return Line{Kind: Started}
		}
	}
	return Line{}
}

// parseSpawned reads "'NAME' with pid 11167".
func parseSpawned(s string) Line {
	name, rest, _ := strings.Cut(s, " ")
	if len(name) < 3 || name[0] != '\'' || name[len(name)-1] != '\'' {
		return Line{}
	}

	digits, ok := strings.CutPrefix(rest, "with pid ")
	pid, err := strconv.ParseInt(digits, 10, 32)
	if !ok || err != nil || pid <= 0 {
		return Line{}
	}
	return Line{Kind: Spawned, Name: name[1 : len(name)-1], PID: int32(pid)}
}

// parseEntered reads "NAME entered RUNNING state, …".
func parseEntered(k Kind, s, what string) Line {
	name, rest, _ := strings.Cut(s, " ")
	if name == "" || !strings.HasPrefix(rest, what) {
		return Line{}
	}
	return Line{Kind: k, Name: name}
}

// parseDeath reads "NAME (exit status 3; not expected)" and "NAME (terminated by
// SIGKILL (core dumped); not expected)", without the part from the semicolon if
// the process was stopped (process.py finish, options.py decode_wait_status).
func parseDeath(word, s string) Line {
	l := Line{Kind: Stopped, Code: -1}
	name, cause, ok := strings.Cut(s, " ")
	if !ok || name == "" || len(cause) < 2 || cause[0] != '(' || cause[len(cause)-1] != ')' {
		return Line{}
	}
	l.Name, cause = name, cause[1:len(cause)-1]

	if word == "exited:" {
		l.Kind = Exited
		if cause, ok = strings.CutSuffix(cause, "; not expected"); !ok {
			if cause, l.Expected = strings.CutSuffix(cause, "; expected"); !l.Expected {
				return Line{}
			}
		}
	}

	if status, ok := strings.CutPrefix(cause, "exit status "); ok {
		code, err := strconv.ParseUint(status, 10, 8)
		if err != nil {
			return Line{}
		}
		l.Code = int16(code)
		return l
	}
	if signal, ok := strings.CutPrefix(cause, "terminated by "); ok {
		signal, l.Core = strings.CutSuffix(signal, " (core dumped)")
		if !isSignal(signal) {
			return Line{}
		}
		l.Text = signal
	}
	return l
}

// isSignal reports whether s is a name that options.py signame gives.
func isSignal(s string) bool {
	name, ok := strings.CutPrefix(s, "SIG")
	if !ok {
		number, ok := strings.CutPrefix(s, "signal ")
		_, err := strconv.ParseUint(number, 10, 8)
		return ok && err == nil && number[0] != '+'
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '-' {
			return false
		}
	}
	return name != ""
}

// parseTime reads "2026-11-21 19:00:31,833". time.Parse would take longer than
// all the rest.
func parseTime(s string) (time.Time, bool) {
	const layout = "0000-00-00 00:00:00,000"
	var fields [7]int
	f := 0

	for i := 0; i < len(layout); i++ {
		if layout[i] != '0' {
			if s[i] != layout[i] {
				return time.Time{}, false
			}
			f++
			continue
		}
		if s[i] < '0' || s[i] > '9' {
			return time.Time{}, false
		}
		fields[f] = fields[f]*10 + int(s[i]-'0')
	}
	return time.Date(fields[0], time.Month(fields[1]), fields[2],
		fields[3], fields[4], fields[5], fields[6]*1e6, time.Local), true
}
