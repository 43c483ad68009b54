package fleetcmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/state"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
)

var (
	liveStyle  = lipgloss.NewStyle().Bold(true).Foreground(terminal.Green)
	staleStyle = lipgloss.NewStyle().Bold(true).Foreground(terminal.Red)
	faintStyle = lipgloss.NewStyle().Faint(true)
)

// draw returns the screen as text: a line or two that say how far to trust it, the
// processes that there is room for, and what is not shown.
func (s *watchScreen) draw() string {
	if s.width == 0 || s.height == 0 {
		return ""
	}
	list := s.list()
	top := append(s.heading(list), "")

	// The table is laid out for what is seen, not for a whole fleet.
	room := max(1, s.height-len(top)-1-maxFooter)
	fits := len(list) <= room
	if !fits {
		slices.SortStableFunc(list, func(a, b *fleet.Process) int { return cmp.Compare(b.Level(), a.Level()) })
	}
	s.offset = max(0, min(s.offset, len(list)-1))
	var seen []inspect.Process
	for _, p := range list[s.offset:min(len(list), s.offset+room)] {
		seen = append(seen, p.Process)
	}

	lines := top
	if len(list) > 0 {
		table := tables.Processes(seen, s.now()).Screen(s.width)
		lines = append(lines, table.Head...)
		lines = append(lines, s.fill(table.Rows, s.height-len(lines)-maxFooter)...)
		lines = append(lines, s.footer(len(list), table.Note)...)
	} else {
		lines = append(lines, wrapped(s.nothing(), s.width)...)
	}
	return strings.Join(lines[:min(len(lines), s.height)], "\n")
}

// fill returns the lines of the rows that fit, and notes how many do. The first one is
// there in any case, as far as there is room.
func (s *watchScreen) fill(rows [][]string, room int) (lines []string) {
	s.shown = 0
	for _, row := range rows {
		if s.shown == 0 {
			row = row[:max(0, min(len(row), room))]
		}
		if len(lines)+len(row) > room {
			break
		}
		lines = append(lines, row...)
		s.shown++
	}
	return lines
}

// list returns the processes that are asked for, by host, group and name.
func (s *watchScreen) list() (list []*fleet.Process) {
	for _, h := range s.snapshot.Hosts {
		for _, p := range h.Processes {
			if s.ps.matches(s.filter, &p.Process) {
				list = append(list, p)
			}
		}
	}
	return list
}

// now is the server's time.
func (s *watchScreen) now() time.Time {
	if s.received.IsZero() {
		return s.snapshot.Now
	}
	return s.snapshot.Now.Add(time.Since(s.received))
}

// heading says whether the screen shows what is, and how many processes are in which state.
func (s *watchScreen) heading(list []*fleet.Process) []string {
	status := s.snapshot.Status
	if !s.isConnected() {
		if status.Live { // the connection was lost since
			status.Live, status.Since = false, s.snapshot.Now
		}
		status.Why = "the connection to NATS is lost, connecting again"
	}

	switch {
	case !status.Loaded:
		return wrapped("reading: "+status.Why, s.width)
	case status.Live:
		line := "live " + s.now().Local().Format(time.TimeOnly) + "  " + s.counts(list)
		return styled(wrapped(line, s.width), "live", liveStyle)
	}
	line := "stale since " + status.Since.Local().Format(time.TimeOnly) + ": " + status.Why
	return append(styled(wrapped(line, s.width), "stale", staleStyle), wrapped(s.counts(list), s.width)...)
}

// styled gives the first word of a text a style.
func styled(lines []string, word string, style lipgloss.Style) []string {
	if rest, ok := strings.CutPrefix(lines[0], word); ok {
		lines[0] = style.Render(word) + rest
	}
	return lines
}

// counts says how many processes are how: "437 processes: 12 down, 425 running".
func (s *watchScreen) counts(list []*fleet.Process) string {
	by := map[string]int{}
	for _, p := range list {
		by[p.Status()]++
	}
	var parts []string
	for _, status := range []string{
		state.Down, state.Unknown, state.Running, state.Stopped, state.Exited, state.Gone,
	} {
		if by[status] > 0 {
			parts = append(parts, fmt.Sprint(by[status], " ", status))
		}
	}
	return wording.Join(": ", wording.Count(len(list), "process", "processes"), strings.Join(parts, ", "))
}

// nothing says why no process is shown.
func (s *watchScreen) nothing() string {
	if !s.snapshot.Status.Loaded {
		return ""
	}
	return "no process is known that matches; states appear with the first event of a process"
}

// maxFooter is how many lines are kept for what is not on the screen.
const maxFooter = 2

// footer says what is not on the screen.
func (s *watchScreen) footer(total int, note []string) []string {
	text := "q quits"
	if s.shown < total {
		text = fmt.Sprintf("%d to %d of %d, worst first; arrows scroll, q quits", s.offset+1, s.offset+s.shown, total)
	}
	lines := wrapped(wording.Join("; ", text, strings.Join(note, " ")), s.width)
	lines = lines[:min(len(lines), maxFooter)]
	for i := range lines {
		lines[i] = faintStyle.Render(lines[i])
	}
	return lines
}

func wrapped(text string, width int) []string {
	return strings.Split(strings.TrimSuffix(terminal.Hanging(text, 0, width), "\n"), "\n")
}
