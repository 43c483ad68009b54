package replay

import (
	"strings"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/schema"
)

// History is what was read of supervisord's log: the lines that matter, in order, and the
// lives that they report.
//
// It is bounded: the oldest half goes when maxLines are held, which is some 10,000 deaths
// and 3 MB.
type History struct {
	lines []ownlog.Line
	first int // the number of lines[0]; numbers are never used again
	// Complete means that the log was read to its end after the events came: what is not
	// in it is not there.
	Complete bool
	// since is when the part of the log begins that was read without a gap.
	since time.Time
	// spawns is whether supervisord logs them: at loglevel=warn and above it does not, nor
	// spawn errors.
	spawns bool
	// reads is what was read when, oldest first.
	reads []read

	// Suspect means that a line of children may be among the lines: see Replay. GoPort
	// means that they are those of the Go port.
	Suspect, GoPort bool
	// HasLines means that there was ever a line.
	HasLines bool

	// gap is the number of the last Gap, gapRead when it was read; Early means that it was
	// before any program of this supervisord can have died.
	gap     int
	gapRead time.Time
	Early   bool

	lives map[lifeID]*life
	last  map[string]*life // by name, since the last gap or start
	// shared holds the names of which there may be two at a time, in two groups.
	shared map[string]bool
	names  map[string]string // one copy of each name and text
}

const (
	maxLines = 1 << 15
	// maxReads bounds how far back it is known when lines were read.
	maxReads = 256
)

// read is what was known of the log at a time.
type read struct {
	at  time.Time
	end int // the number of the next line
}

// lifeID names a life: the pid alone comes again when the kernel has used up its numbers.
type lifeID struct {
	name string
	pid  int32
}

// life is one run of one process. The numbers of lines are -1 for none.
type life struct {
	id lifeID
	// success is where it was RUNNING, death where it ended.
	success, death int
	// doubtful means that a second death followed: one of them was of a process of the
	// same name in another group.
	doubtful bool
	// matched means that the event of its death was seen.
	matched bool
}

// NewHistory returns one without lines.
func NewHistory() *History {
	return &History{
		lives: map[lifeID]*life{}, last: map[string]*life{},
		shared: map[string]bool{}, names: map[string]string{},
	}
}

// End is the number that the next line will have.
func (h *History) End() int { return h.first + len(h.lines) }

// line returns a line by its number, nil if it is not held.
func (h *History) line(n int) *ownlog.Line {
	if n < h.first || n >= h.End() {
		return nil
	}
	return &h.lines[n-h.first]
}

// Add appends a line; it does not keep the memory that l's strings share.
func (h *History) Add(l ownlog.Line) {
	if len(h.lines) >= maxLines {
		h.dropHalf()
	}
	l.Name, l.Text = h.intern(l.Name), h.intern(l.Text)
	n := h.End()
	h.lines = append(h.lines, l)

	h.HasLines = h.HasLines || l.Kind != ownlog.Gap
	h.Suspect = h.Suspect || l.Suspect
	h.GoPort = h.GoPort || l.GoPort && !l.Suspect

	switch l.Kind {
	case ownlog.Gap:
		clear(h.last)
		h.since, h.spawns = l.At, false
		h.gap, h.gapRead, h.Early = n, time.Now(), false
	case ownlog.Started:
		if !l.Suspect {
			clear(h.last)
		}
	case ownlog.Spawned:
		h.beginLife(lifeID{l.Name, l.PID})
	case ownlog.Success:
		if is := h.last[l.Name]; is != nil && is.death < 0 {
			is.success = n
		}
	case ownlog.Exited, ownlog.Stopped:
		h.endLife(l.Name, n)
	}
}

// beginLife notes that a process was spawned.
func (h *History) beginLife(id lifeID) {
	h.spawns = true
	if before := h.last[id.name]; before != nil && before.death < 0 {
		// A process is not spawned while it lives (process.py spawn).
		h.shared[id.name] = true
	}
	h.lives[id] = &life{id: id, success: -1, death: -1}
	h.last[id.name] = h.lives[id]
}

// endLife notes that the last life of a name has ended at line n.
func (h *History) endLife(name string, n int) {
	switch is := h.last[name]; {
	case is == nil: // it began before the part that was read
	case is.death < 0:
		is.death = n
	default:
		is.doubtful = true
	}
}

func (h *History) intern(s string) string {
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

// dropHalf drops the older half of the lines, and the lives that ended there.
func (h *History) dropHalf() {
	drop := len(h.lines) / 2
	h.Early = false
	h.since = h.lines[drop].At
	h.lines = append(make([]ownlog.Line, 0, maxLines), h.lines[drop:]...)
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

// CutBefore drops what is before line n, and the lives that began there: they may be of an
// earlier supervisord, with the same pids, as they come again in each life of a container.
// Numbers stay.
func (h *History) CutBefore(n int) {
	from := NewHistory()
	from.first, from.shared = n, h.shared
	from.Complete, from.reads = h.Complete, h.reads
	from.gap, from.gapRead, from.Early, from.Suspect = h.gap, h.gapRead, h.Early, h.Suspect
	from.since = h.line(n).At
	for ; n < h.End(); n++ {
		from.Add(*h.line(n))
	}
	*h = *from
}

// ShareNames notes which names several groups of a process table have.
func (h *History) ShareNames(table []schema.SnapshotProcess) {
	groups := make(map[string]string, len(table))
	for i := range table {
		p := &table[i]
		if group, ok := groups[p.Process]; ok && group != p.Group {
			h.shared[p.Process] = true
		}
		groups[p.Process] = p.Group
	}
}

// life returns the only run of the process that can have had the pid, nil if there is none
// or another group has a process of that name.
func (h *History) life(name string, pid int) *life {
	is := h.lives[lifeID{name, int32(pid)}]
	if pid <= 0 || is == nil || is.doubtful || h.shared[name] {
		return nil
	}
	return is
}

// Started returns the number of the last line that reports a start or a reload before a
// time, -1 for none.
func (h *History) Started(before time.Time) int {
	for n := h.End() - 1; n >= h.first; n-- {
		if l := h.line(n); l.Kind == ownlog.Started && !l.Suspect && !l.At.After(before) {
			return n
		}
	}
	return -1
}

// agreed returns the reason that every unexpected death of a name since a time had, nil if
// they differ or may not all be known: which of them is meant does then not matter. If the
// death may as well be a spawn error, whose line has no name, there must not be one.
func (h *History) agreed(name string, since time.Time, maybeSpawnErr bool) *schema.Exit {
	if since.IsZero() || h.since.After(since) || maybeSpawnErr && !h.spawns {
		return nil
	}

	var found *ownlog.Line
	for n := h.End() - 1; n >= h.first; n-- {
		l := h.line(n)
		if l.Kind == ownlog.Gap || l.At.Before(since) {
			break
		}
		if l.Kind == ownlog.SpawnErr && maybeSpawnErr {
			return nil
		}
		if l.Kind != ownlog.Exited || l.Expected || l.Name != name {
			continue
		}
		if found != nil && !sameReason(l, found) {
			return nil
		}
		found = l
	}

	if found == nil {
		return nil
	}
	return found.Exit()
}

// sameReason reports whether two lines of a kind give the same reason.
func sameReason(a, b *ownlog.Line) bool {
	return a.Code == b.Code && a.Text == b.Text && a.Core == b.Core
}

// NoteRead remembers up to where the log was read by now.
func (h *History) NoteRead(now time.Time) {
	if len(h.reads) >= maxReads {
		h.reads = append(h.reads[:0], h.reads[maxReads/2:]...)
	}
	h.reads = append(h.reads, read{now, h.End()})
}

// readBefore returns the number of the line after those that had been read before a time.
func (h *History) readBefore(at time.Time) int {
	end := 0
	for _, read := range h.reads {
		if read.at.Before(at) {
			end = max(end, read.end)
		}
	}
	return end
}

// isWhole reports whether the log was read without a gap from a line on, or from the start
// of supervisord, or from before an event was made at a time.
func (h *History) isWhole(floor int, made time.Time) bool {
	switch {
	case h.GoPort, h.Early:
		return true
	case floor > h.gap && floor >= h.first:
		return true
	case h.gapRead.Before(made) && h.first <= h.gap:
		return true
	}

	for n := max(h.gap, h.first); n < h.End(); n++ {
		if l := h.line(n); l.Kind == ownlog.Started && !l.Suspect {
			return true
		}
	}
	return false
}
