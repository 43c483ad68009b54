package supervisord

import (
	"strings"
	"time"

	"supernats/schema"
)

// history is what was read of supervisord's log: the lines that matter, in
// order, and the lives that they tell of.
//
// It is limited: the oldest half goes when maxLines are held, which is some
// 10,000 deaths and 3 MB.
type history struct {
	lines []line
	first int // the number of lines[0]; numbers count on for ever
	// since is when the part of the log begins that was read without a gap.
	since time.Time
	// spawns is whether supervisord logs them: at loglevel=warn and above it
	// does not, nor spawn errors.
	spawns bool

	// suspect means that a line of children may be among the lines: see replay. goPort
	// means that they are those of the Go port.
	suspect, goPort bool
	// heard means that there was any line at all.
	heard bool
	// gap is the number of the last lineGap, gapRead when it was read; early means that
	// it was before any program of this supervisord can have died.
	gap     int
	gapRead time.Time
	early   bool

	lives map[lifeID]*life
	last  map[string]*life // by name, since the last gap or start
	// shared holds the names of which there may be two at a time, in two groups.
	shared map[string]bool
	names  map[string]string // one copy of each name and text
}

const maxLines = 1 << 15

// lifeID names a life: the pid alone comes again when the kernel has used up its
// numbers.
type lifeID struct {
	name string
	pid  int32
}

// life is one run of one process. The numbers of lines are -1 for none.
type life struct {
	id lifeID
	// success is where it was RUNNING, death where it ended.
	success, death int
	// doubtful means that a second death followed: one of them was of a process
	// of the same name in another group.
	doubtful bool
	// told means that the event of its death was seen.
	told bool
}

func newHistory() *history {
	return &history{
		lives: map[lifeID]*life{}, last: map[string]*life{},
		shared: map[string]bool{}, names: map[string]string{},
	}
}

// end is the number that the next line will have.
func (h *history) end() int { return h.first + len(h.lines) }

// line returns a line by its number, nil if it is not held.
func (h *history) line(n int) *line {
	if n < h.first || n >= h.end() {
		return nil
	}
	return &h.lines[n-h.first]
}

// add appends a line; it does not keep the memory that l's strings share.
func (h *history) add(l line) {
	if len(h.lines) >= maxLines {
		h.forget()
	}
	l.name, l.text = h.intern(l.name), h.intern(l.text)
	n := h.end()
	h.lines = append(h.lines, l)
	h.heard = h.heard || l.kind != lineGap
	h.suspect = h.suspect || l.suspect
	h.goPort = h.goPort || l.goPort && !l.suspect
	switch l.kind {
	case lineGap:
		clear(h.last)
		h.since, h.spawns = l.at, false
		h.gap, h.gapRead, h.early = n, time.Now(), false
	case lineStarted:
		if !l.suspect {
			clear(h.last)
		}
	case lineSpawned:
		h.spawns = true
		if before := h.last[l.name]; before != nil && before.death < 0 {
			// A process is not spawned while it lives (process.py spawn).
			h.shared[l.name] = true
		}
		id := lifeID{l.name, l.pid}
		h.lives[id] = &life{id: id, success: -1, death: -1}
		h.last[l.name] = h.lives[id]
	case lineSuccess:
		if is := h.last[l.name]; is != nil && is.death < 0 {
			is.success = n
		}
	case lineExited, lineStopped:
		switch is := h.last[l.name]; {
		case is == nil: // it began before the part that was read
		case is.death < 0:
			is.death = n
		default:
			is.doubtful = true
		}
	}
}

func (h *history) intern(s string) string {
	if s == "" {
		return ""
	}
	if known, ok := h.names[s]; ok {
		return known
	}
	if len(h.names) >= maxLines {
		clear(h.names)
	}
	s = strings.Clone(s)
	h.names[s] = s
	return s
}

// forget drops the older half of the lines, and the lives that ended there.
func (h *history) forget() {
	drop := len(h.lines) / 2
	h.early = false
	h.since = h.lines[drop].at
	h.lines = append(make([]line, 0, maxLines), h.lines[drop:]...)
	h.first += drop
	for id, is := range h.lives {
		if is.death >= 0 && is.death < h.first {
			delete(h.lives, id)
			if h.last[id.name] == is {
				delete(h.last, id.name)
			}
		}
	}
}

// life returns the only run of the process that can have had the pid, nil if
// there is none or another group has a process of that name.
func (h *history) life(name string, pid int) *life {
	is := h.lives[lifeID{name, int32(pid)}]
	if pid <= 0 || is == nil || is.doubtful || h.shared[name] {
		return nil
	}
	return is
}

// started returns the number of the last line that tells of a start or a reload
// before a time, -1 for none.
func (h *history) started(before time.Time) int {
	for n := h.end() - 1; n >= h.first; n-- {
		if l := h.line(n); l.kind == lineStarted && !l.suspect && !l.at.After(before) {
			return n
		}
	}
	return -1
}

// agreed returns the reason that every unexpected death of a name since a time
// had, nil if they differ or may not all be known: which of them is meant does
// then not matter. If the death may as well be a spawn error, whose line has no
// name, there must not be one.
func (h *history) agreed(name string, since time.Time, maybeSpawnErr bool) *schema.Exit {
	if since.IsZero() || h.since.After(since) || maybeSpawnErr && !h.spawns {
		return nil
	}
	var found *line
	for n := h.end() - 1; n >= h.first; n-- {
		l := h.line(n)
		if l.kind == lineGap || l.at.Before(since) {
			break
		}
		if l.kind == lineSpawnErr && maybeSpawnErr {
			return nil
		}
		if l.kind != lineExited || l.expected || l.name != name {
			continue
		}
		if found != nil && (l.code != found.code || l.text != found.text || l.core != found.core) {
			return nil
		}
		found = l
	}
	if found == nil {
		return nil
	}
	return found.exit()
}

// historyFrom returns what follows line n of a history, lives that began before
// left out: they may be of an earlier supervisord, with the same pids, as they
// come again in each life of a container. Numbers stay.
func historyFrom(h *history, n int) *history {
	from := newHistory()
	from.first, from.shared = n, h.shared
	from.gap, from.gapRead, from.early, from.suspect = h.gap, h.gapRead, h.early, h.suspect
	from.since = h.line(n).at
	for ; n < h.end(); n++ {
		from.add(*h.line(n))
	}
	return from
}
