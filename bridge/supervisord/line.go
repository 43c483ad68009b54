package supervisord

import (
	"strconv"
	"strings"
	"time"

	"supernats/schema"
)

// kind is what a line of supervisord's log tells.
type kind uint8

const (
	lineOther    kind = iota
	lineStarted       // supervisord started, or was reloaded: no child is alive
	lineSpawned       // process.py _spawn_as_parent
	lineSpawnErr      // process.py record_spawnerr: it does not say whose; the Go port does
	lineSuccess       // process.py transition: RUNNING
	lineExited        // process.py finish: EXITED or BACKOFF
	lineStopped       // process.py finish: STOPPED
	lineGaveUp        // process.py transition: FATAL
	lineGap           // no line: some of the log was not read
)

// line is one that matters of supervisord's log. It names a process without its
// group.
type line struct {
	kind     kind
	expected bool // of lineExited: one of the program's exitcodes
	core     bool
	suspect  bool  // a child may have written it, see feed
	goPort   bool  // of the Go port of supervisord
	code     int16 // -1 if it was a signal
	pid      int32 // of lineSpawned
	at       time.Time
	name     string
	// text is the signal of lineExited and lineStopped, the message of
	// lineSpawnErr.
	text string
}

// exit returns the reason of a death that the line tells, nil if it tells none.
func (l *line) exit() *schema.Exit {
	switch {
	case l.kind == lineSpawnErr && l.text != "":
		return &schema.Exit{SpawnErr: l.text}
	case l.kind != lineExited && l.kind != lineStopped:
		return nil
	case l.code >= 0:
		code := int(l.code)
		return &schema.Exit{Code: &code}
	case l.text != "":
		return &schema.Exit{Signal: l.text, Core: l.core}
	}
	return nil // "unknown termination cause" (options.py decode_wait_status)
}

// parseLine reads one line without its newline; lineOther is one that does not
// matter. The result shares memory with s.
//
// A line is "2026-11-21 19:00:31,833 INFO message" (loggers.py asctime, in
// supervisord's local time; options.py make_logger). A name holds no space
// (datatypes.py process_or_group_name), but anything else.
func parseLine(s string) line {
	if isGoPort(s) {
		return parseGoPort(s)
	}
	const stamp = len("2026-11-21 19:00:31,833 ")
	if len(s) <= stamp || s[stamp-1] != ' ' {
		return line{}
	}
	_, message, _ := strings.Cut(s[stamp:], " ") // the level
	l := parseMessage(message)
	if l.kind == lineOther {
		return l
	}
	var ok bool
	if l.at, ok = parseTime(s[:stamp-1]); !ok {
		return line{}
	}
	return l
}

func parseMessage(s string) line {
	word, rest, _ := strings.Cut(s, " ")
	switch word {
	case "exited:", "stopped:":
		return parseDeath(word, rest)
	case "spawned:":
		name, rest, ok := strings.Cut(rest, " ")
		pid, isPID := strings.CutPrefix(rest, "with pid ")
		n, err := strconv.ParseInt(pid, 10, 32)
		if !ok || !isPID || err != nil || n <= 0 || len(name) < 3 || name[0] != '\'' || name[len(name)-1] != '\'' {
			break
		}
		return line{kind: lineSpawned, name: name[1 : len(name)-1], pid: int32(n)}
	case "spawnerr:":
		return line{kind: lineSpawnErr, text: rest}
	case "success:":
		if name, rest, _ := strings.Cut(rest, " "); name != "" && strings.HasPrefix(rest, "entered RUNNING state") {
			return line{kind: lineSuccess, name: name}
		}
	case "gave":
		if name, rest, _ := strings.Cut(strings.TrimPrefix(rest, "up: "), " "); name != "" && strings.HasPrefix(rest, "entered FATAL state") {
			return line{kind: lineGaveUp, name: name}
		}
	case "supervisord":
		if strings.HasPrefix(rest, "started with pid ") {
			return line{kind: lineStarted}
		}
	case "RPC":
		// Written at each start and reload, also where the pid file cannot be
		// (http.py make_http_servers).
		if strings.HasPrefix(rest, "interface '") && strings.HasSuffix(rest, "' initialized") {
			return line{kind: lineStarted}
		}
	}
	return line{}
}

// parseDeath reads "NAME (exit status 3; not expected)" and "NAME (terminated by
// SIGKILL (core dumped); not expected)", without the part from the semicolon if
// the process was stopped (process.py finish, options.py decode_wait_status).
func parseDeath(word, s string) line {
	l := line{kind: lineStopped, code: -1}
	name, cause, ok := strings.Cut(s, " ")
	if !ok || name == "" || len(cause) < 2 || cause[0] != '(' || cause[len(cause)-1] != ')' {
		return line{}
	}
	l.name, cause = name, cause[1:len(cause)-1]
	if word == "exited:" {
		l.kind = lineExited
		if cause, ok = strings.CutSuffix(cause, "; not expected"); !ok {
			if cause, l.expected = strings.CutSuffix(cause, "; expected"); !l.expected {
				return line{}
			}
		}
	}
	if status, ok := strings.CutPrefix(cause, "exit status "); ok {
		code, err := strconv.ParseUint(status, 10, 8)
		if err != nil {
			return line{}
		}
		l.code = int16(code)
		return l
	}
	if signal, ok := strings.CutPrefix(cause, "terminated by "); ok {
		signal, l.core = strings.CutSuffix(signal, " (core dumped)")
		if !isSignal(signal) {
			return line{}
		}
		l.text = signal
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
	return time.Date(fields[0], time.Month(fields[1]), fields[2], fields[3], fields[4], fields[5], fields[6]*1e6, time.Local), true
}
