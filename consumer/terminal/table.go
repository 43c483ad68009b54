package terminal

import (
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// Color is one of the terminal's own palette.
type Color = lipgloss.ANSIColor

// Colors of rows.
const (
	Red    Color = 1
	Green  Color = 2
	Yellow Color = 3
	Grey   Color = 7
)

// Table is a table whose rows are all known before it is printed.
type Table struct {
	Columns []string
	// Colored is the column that has a color, which Add sets row by row.
	Colored string
	// Optional are columns that a narrow screen has no room for, in the order in which
	// they are dropped: the least useful ones first. JSON has all.
	Optional []string
	// Flexible are columns of names and sentences, which may be broken into lines, and
	// the width down to which that is better than dropping a column.
	Flexible map[string]int
	// Now is the time by which dates are shortened, the present if it is zero.
	Now time.Time

	rows   [][]string
	colors []Color
}

// Widths of flexible columns.
const (
	WideName = 24 // of a host or a process
	WideText = 20 // of a sentence
)

// columnGap is between two columns.
const columnGap = "  "

// Add appends a row with a color for the cell of the colored column. Control characters in
// cells are replaced.
func (t *Table) Add(c Color, cells ...string) {
	for i := range cells {
		cells[i] = cellText(cells[i])
	}
	t.rows = append(t.rows, cells)
	t.colors = append(t.colors, c)
}

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Print writes the table, in color on a terminal, and not wider than the screen. What a
// terminal has no room for is named on stderr.
func (t *Table) Print(w *os.File) error {
	width := Width(w)
	l := t.fit(width)

	write := func(text string) error { _, err := w.WriteString(text); return err }
	if HasColors(w) {
		write = func(text string) error { _, err := lipgloss.Fprint(w, text); return err }
	}
	if err := write(t.text(l, HasColors(w))); err != nil {
		return err
	}

	if Is(w) && Is(os.Stderr) {
		for _, line := range l.droppedNote(width) {
			if HasColors(os.Stderr) {
				line = lipgloss.NewStyle().Faint(true).Render(line)
			}
			_, _ = lipgloss.Fprintln(os.Stderr, line)
		}
	}
	return nil
}

// Screen is a table in colored lines of a screen.
type Screen struct {
	Head []string
	// Rows are the lines of each row.
	Rows [][]string
	// Note names the columns that there was no room for.
	Note []string
}

// Screen lays the table out for a screen that is so wide.
func (t *Table) Screen(width int) *Screen {
	l := t.fit(width)
	lines := func(row []string, style func(column string) lipgloss.Style) []string {
		var b strings.Builder
		l.writeRow(&b, row, style)
		return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	}

	s := &Screen{Note: l.droppedNote(width)}
	if !l.cards {
		s.Head = lines(l.columns, func(string) lipgloss.Style { return lipgloss.NewStyle().Bold(true) })
	}
	for r, row := range l.rows {
		s.Rows = append(s.Rows, lines(row, t.styleOf(r)))
		if l.cards {
			s.Rows[r] = append(s.Rows[r], "")
		}
	}
	return s
}

// styleOf returns the styles of the cells of a row.
func (t *Table) styleOf(row int) func(column string) lipgloss.Style {
	return func(column string) lipgloss.Style {
		if column == t.Colored {
			return lipgloss.NewStyle().Foreground(t.colors[row])
		}
		return lipgloss.NewStyle()
	}
}

// text returns the table as it was laid out.
func (t *Table) text(l *layout, colored bool) string {
	head := lipgloss.NewStyle().Bold(colored)
	plain := func(string) lipgloss.Style { return lipgloss.NewStyle() }

	var b strings.Builder
	if !l.cards {
		l.writeRow(&b, l.columns, func(string) lipgloss.Style { return head })
	}
	for r, row := range l.rows {
		if l.cards && r > 0 {
			b.WriteByte('\n')
		}
		style := plain
		if colored {
			style = t.styleOf(r)
		}
		l.writeRow(&b, row, style)
	}
	return b.String()
}

// writeRow writes one row, which takes as many lines as its highest cell. No line ends in
// spaces.
func (l *layout) writeRow(b *strings.Builder, row []string, style func(column string) lipgloss.Style) {
	if l.cards {
		l.writeCard(b, row, style)
		return
	}

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
				b.WriteString(strings.Repeat(" ", gap))
				b.WriteString(style(l.columns[i]).Render(text))
				gap = 0
			}
			gap += l.widths[i] - textWidth(text) + len(columnGap)
		}
		b.WriteByte('\n')
	}
}
