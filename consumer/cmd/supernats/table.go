package main

import (
	"fmt"
	"image/color"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
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
	// optional are columns that a screen may have no room for, first those that are
	// missed least. JSON has all.
	optional []string
}

// Colors of the terminal's own palette.
const (
	red    = lipgloss.ANSIColor(1)
	green  = lipgloss.ANSIColor(2)
	yellow = lipgloss.ANSIColor(3)
	grey   = lipgloss.ANSIColor(7)
)

func (g *grid) add(c lipgloss.ANSIColor, cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	g.rows, g.colors = append(g.rows, cells), append(g.colors, c)
}

// print writes the table, in color and not wider than the screen on a terminal.
func (g *grid) print(w *os.File) error {
	if !term.IsTerminal(int(w.Fd())) {
		return g.plain(w)
	}
	width, _, err := term.GetSize(int(w.Fd()))
	if err != nil {
		width = 120
	}
	g.fit(width)
	t := g.table()
	if lipgloss.Width(t.String()) > width {
		t.Width(width)
	}
	_, err = lipgloss.Fprintln(w, t)
	return err
}

// fit drops columns that there is no room for.
func (g *grid) fit(width int) {
	for _, name := range g.optional {
		if lipgloss.Width(g.table().String()) <= width {
			return
		}
		i := slices.Index(g.columns, name)
		if i < 0 {
			continue
		}
		g.columns = slices.Delete(slices.Clone(g.columns), i, i+1)
		for r := range g.rows {
			g.rows[r] = slices.Delete(g.rows[r], i, i+1)
		}
	}
}

func (g *grid) table() *table.Table {
	cell := lipgloss.NewStyle().Padding(0, 1)
	return table.New().Headers(g.columns...).Rows(g.rows...).Border(lipgloss.NormalBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).
		StyleFunc(func(row, col int) lipgloss.Style {
			switch {
			case row == table.HeaderRow:
				return cell.Bold(true)
			case g.columns[col] == g.colored:
				return cell.Foreground(color.Color(g.colors[row]))
			}
			return cell
		})
}

func (g *grid) plain(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{g.columns}, g.rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}
