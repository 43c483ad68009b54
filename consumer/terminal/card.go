package terminal

import (
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"supernats/consumer/wording"
)

// cards lays the table out as a block of lines for each row.
func (t *Table) cards(width int) *layout {
	l := &layout{columns: slices.Clone(t.Columns), rows: t.rows, cards: true}
	l.shortenDates(t.Now)
	label := 0
	for _, name := range l.columns {
		label = max(label, textWidth(name))
	}
	l.widths = []int{label, max(1, width-label-len(columnGap))}
	return l
}

// writeCard writes a row as a line for each cell that holds something, and more lines for a
// long one, which begin under it.
func (l *layout) writeCard(b *strings.Builder, row []string, style func(column string) lipgloss.Style) {
	for i, cell := range row {
		if cell == "" || cell == wording.None {
			continue
		}
		label := Pad(l.columns[i], l.widths[0])
		for _, line := range wrap(cell, l.widths[1]) {
			b.WriteString(label + columnGap + style(l.columns[i]).Render(line) + "\n")
			label = strings.Repeat(" ", l.widths[0])
		}
	}
}
