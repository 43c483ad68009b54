package main

import (
	"image/color"
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// grid is a table whose rows are known. Cells come from other machines: what
// would steer a terminal is taken out.
type grid struct {
	columns []string
	rows    [][]string
	// colored is the column that has a color, and colors what it is in each row.
	colored string
	colors  []lipgloss.ANSIColor
	// optional are columns that a narrow screen has no room for, in the order in which
	// they are dropped: first those that are missed least. JSON has all.
	optional []string
	// flexible are columns of names and sentences, which may be broken into lines, and
	// the width down to which that is better than dropping a column.
	flexible map[string]int
	// now is the time by which dates are made short, the present if it is zero.
	now time.Time
}

// Widths of flexible columns.
const (
	wideName = 24 // of a host or a process
	wideText = 20 // of a sentence
)

// columnGap is between two columns.
const columnGap = "  "

// Colors of the terminal's own palette.
const (
	red    = lipgloss.ANSIColor(1)
	green  = lipgloss.ANSIColor(2)
	yellow = lipgloss.ANSIColor(3)
	grey   = lipgloss.ANSIColor(7)
)

func (g *grid) add(c lipgloss.ANSIColor, cells ...string) {
	for i := range cells {
		cells[i] = cellText(cells[i])
	}
	g.rows, g.colors = append(g.rows, cells), append(g.colors, c)
}

// print writes the table, in color on a terminal, and not wider than the screen.
func (g *grid) print(w *os.File) error {
	width := screenWidth(w)
	l := g.fit(width)
	if !term.IsTerminal(int(w.Fd())) {
		_, err := w.WriteString(g.text(l, false))
		return err
	}
	if _, err := lipgloss.Fprint(w, g.text(l, true)); err != nil {
		return err
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		for _, line := range l.note(width) {
			_, _ = lipgloss.Fprintln(os.Stderr, lipgloss.NewStyle().Faint(true).Render(line))
		}
	}
	return nil
}

// text is the table as it was laid out.
func (g *grid) text(l *layout, colored bool) string {
	plain, head := lipgloss.NewStyle(), lipgloss.NewStyle()
	if colored {
		head = head.Bold(true)
	}

	var b strings.Builder
	l.write(&b, l.columns, func(string) lipgloss.Style { return head })
	for r, row := range l.rows {
		l.write(&b, row, func(column string) lipgloss.Style {
			if colored && column == g.colored {
				return plain.Foreground(color.Color(g.colors[r]))
			}
			return plain
		})
	}
	return b.String()
}

// write writes one row, which takes as many lines as its highest cell.
func (l *layout) write(b *strings.Builder, row []string, style func(column string) lipgloss.Style) {
	cells, height := make([][]string, len(row)), 1
	for i, cell := range row {
		cells[i] = wrap(cell, l.widths[i])
		height = max(height, len(cells[i]))
	}
	for n := range height {
		gap := 0
		for i, lines := range cells {
			text := ""
			if n < len(lines) {
				text = lines[n]
			}
			if text != "" {
				// No line ends in spaces.
				b.WriteString(strings.Repeat(" ", gap))
				b.WriteString(style(l.columns[i]).Render(text))
				gap = 0
			}
			gap += l.widths[i] - textWidth(text) + len(columnGap)
		}
		b.WriteByte('\n')
	}
}
