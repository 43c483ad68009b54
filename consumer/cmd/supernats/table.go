package main

import (
	"fmt"
	"image/color"
	"io"
	"os"
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
	cell := lipgloss.NewStyle().Padding(0, 1)
	t := table.New().Headers(g.columns...).Rows(g.rows...).Border(lipgloss.NormalBorder()).
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
	if lipgloss.Width(t.String()) > width {
		t.Width(width)
	}
	_, err = lipgloss.Fprintln(w, t)
	return err
}

func (g *grid) plain(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{g.columns}, g.rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}
