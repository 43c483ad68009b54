package ownlog

import (
	"strings"
	"time"
)

// Feed makes lines of what is read of supervisord's log.
//
// Not every line there is supervisord's. At loglevel=debug it logs what children
// write, as "DEBG 'x' stdout output:" and then the data as they are
// (dispatchers.py POutputDispatcher._log): a child can write lines in supervisord's
// words there, headers too, and nothing marks the end of its data. Where several
// programs write into the file there is not even a header. Such lines are suspect:
// any of them may be forged, and any may be true. See replay for what is believed.
type Feed struct {
	// Ahead is by how much times in the log are ahead of ours.
	Ahead time.Duration
	// Mixed means that a suspect line may begin anywhere, also inside a line.
	Mixed bool
	// output is how many more bytes may be a child's output.
	output int

	// doubled means that each line stands twice: in the foreground supervisord writes
	// its log to its standard output too, which was sent into the same file. It is
	// known from lines that cannot come twice. last is the last line, if it may be the
	// first of two; single is whether it reports a start.
	doubled bool
	last    string
	single  bool
}

// maxOutput is more than supervisord writes of a child at once: 128 KiB are read
// (options.py readfd), and become four times as much if they are no UTF-8.
const maxOutput = 1 << 20

// Take reads whole lines.
func (f *Feed) Take(text string, add func(Line)) {
	for s := range strings.Lines(text) {
		n := len(s)
		s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
		isHeader := isOutput(s)
		suspect := f.Mixed || f.output > 0
		if f.output = max(f.output-n, 0); isHeader {
			f.output = maxOutput
			continue
		}

		l := f.parse(s)
		if l.Kind == Other {
			if !suspect && s != "" && !stamped(s) && !isGoPort(s) {
				f.Mixed = true // not written by supervisord's logger
			}
			continue
		}
		if f.isCopy(s, l.Kind) {
			continue
		}
		l.At, l.Suspect = l.At.Add(-f.Ahead), suspect
		add(l)
	}
}

// parse reads a line, in a file of several writers also one that begins where another
// one did not end.
func (f *Feed) parse(s string) Line {
	l := Parse(s)
	if l.Kind != Other || !f.Mixed {
		return l
	}
	for i := 0; i+len(stampLayout) < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' && stamped(s[i:]) {
			if l := Parse(s[i:]); l.Kind != Other {
				return l
			}
		}
	}
	return Line{}
}

// isCopy reports whether a line is the second copy of the one before.
func (f *Feed) isCopy(s string, k Kind) bool {
	unique := k == Spawned || k == Started
	if s == f.last && (f.doubled || unique) {
		f.doubled = f.doubled || unique
		f.last, f.single = "", false
		return true
	}
	if f.single {
		f.doubled = false // the last start stood there once
	}
	f.last, f.single = strings.Clone(s), unique
	return false
}

const stampLayout = "2026-11-21 19:00:31,833"

// stamped reports whether a line begins with a time as supervisord writes it.
func stamped(s string) bool {
	if len(s) <= len(stampLayout) || s[len(stampLayout)] != ' ' || s[4] != '-' || s[10] != ' ' || s[19] != ',' {
		return false
	}
	_, ok := parseTime(s[:len(stampLayout)])
	return ok
}

// isOutput reports whether a line says that a child's output follows.
func isOutput(s string) bool {
	const level = len(stampLayout) + 1
	return len(s) > level && strings.HasPrefix(s[level:], "DEBG '") && strings.HasSuffix(s, " output:") && stamped(s)
}

// FirstTime returns the time of the first of some lines that has one.
func FirstTime(lines string) (time.Time, bool) {
	for l := range strings.Lines(lines) {
		if len(l) > len(stampLayout) {
			if t, ok := parseTime(l[:len(stampLayout)]); ok {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// ZoneAhead returns by how much the times of lines that were just read are ahead of now:
// times are local ones of supervisord, and if its zone is east of ours they are in the
// future. Zones differ by quarters of an hour; slack is by how much clocks may.
func ZoneAhead(lines string, now time.Time, slack time.Duration) time.Duration {
	const zone = 15 * time.Minute
	at, ok := FirstTime(lines)
	if d := at.Sub(now); ok && d > slack {
		return (d + zone - 1).Truncate(zone)
	}
	return 0
}
