package programlog

import (
	"strings"
	"unicode/utf8"

	"supernats/bridge/deathreason/ownlog"
)

// RawSize is how many bytes of a log are read to show limit bytes: what a terminal shows of
// it is much less if it holds a progress bar.
func RawSize(limit int) int64 {
	const least, most = 64 << 10, 1 << 20
	return min(max(16*int64(limit), least), most)
}

// Show returns the end of what a terminal shows of the output of a process, at most limit
// bytes. whole means that raw begins where a line does. It returns "" if the output is
// supervisord's own log after all.
func Show(raw, process string, limit int, whole bool) string {
	if isOwnLog(raw, process) {
		return ""
	}
	return shown(raw, limit, whole)
}

func shown(raw string, limit int, whole bool) string {
	return lastLines(render(lastLines(raw, len(raw), whole)), limit, true)
}

// isOwnLog reports whether a text holds lines of a log of supervisord about a process.
func isOwnLog(raw, process string) bool {
	for s := range strings.Lines(raw) {
		l := ownlog.Parse(strings.TrimRight(s, "\r\n"))
		if l.Kind != ownlog.Other && l.Name == process {
			return true
		}
	}
	return false
}

// lastLines cuts s to its last n bytes, from the beginning of a line if there is one.
// whole means that s begins with one.
func lastLines(s string, n int, whole bool) string {
	if len(s) > n {
		s, whole = s[len(s)-n:], false
	}
	if whole {
		return s
	}
	if i := strings.IndexByte(s, '\n'); i >= 0 && i+1 < len(s) {
		return s[i+1:]
	}
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s
}
