package mail

import (
	"html"
	htmltemplate "html/template"
	"strings"
	"unicode/utf8"
)

// maxPad is up to which width a column of a text is padded: one long name must
// not push the rest of ten thousand lines out of sight.
const maxPad = 24

// table is a list in both bodies: lines of cells, between them lines of words.
type table struct {
	// Title stands above it; it begins with a word of ours.
	Title string
	// Header names the columns, if they need it.
	Header []string
	Lines  []line
	// numeric is how many of the first columns are numbers.
	numeric int
	widths  []int
}

// line is one of a table: cells, or else a head or a note.
type line struct {
	Cells []string
	// Head says what happened to whom; the lines behind it are about that.
	Head string
	// Note is what there is to say beside.
	Note string
}

// newTable returns one with room for as many lines of so many columns.
func newTable(title string, lines int) *table {
	return &table{Title: title, Lines: make([]line, 0, lines)}
}

func (t *table) row(cells []string) {
	for len(t.widths) < len(cells) {
		t.widths = append(t.widths, 0)
	}
	for i, c := range cells {
		if len(c) > t.widths[i] {
			t.widths[i] = min(max(t.widths[i], utf8.RuneCountInString(c)), maxPad)
		}
	}
	t.Lines = append(t.Lines, line{Cells: cells})
}

// words are a line that begins those of one alert, or a note to them.
func (t *table) words(head, note string) {
	if head != "" || note != "" {
		t.Lines = append(t.Lines, line{Head: head, Note: note})
	}
}

// compact drops the columns that are empty in every line.
func (t *table) compact() *table {
	keep := make([]int, 0, len(t.widths))
	for i, w := range t.widths {
		if w > 0 {
			keep = append(keep, i)
		}
	}
	if len(keep) == len(t.widths) {
		return t
	}
	for i := range t.Lines {
		cells := t.Lines[i].Cells
		if cells == nil {
			continue
		}
		for to, from := range keep {
			cells[to] = cells[from]
		}
		t.Lines[i].Cells = cells[:len(keep)]
	}
	for to, from := range keep {
		t.widths[to] = t.widths[from]
	}
	t.widths = t.widths[:len(keep)]
	return t
}

// Text is the table in a text. Its lines are indented, and less than those of a
// log, which begin with four spaces and what the process wrote; words are marked,
// so that a name in them cannot look like a line of cells.
func (t *table) Text() string {
	var b strings.Builder
	size := 8
	for _, w := range t.widths {
		size += w + 2
	}
	b.Grow(len(t.Lines) * size)
	if t.Header != nil {
		t.cells(&b, "  ", t.Header)
	}
	indent := "  "
	for i := range t.Lines {
		switch l := &t.Lines[i]; {
		case l.Head != "":
			b.WriteString(" * ")
			b.WriteString(l.Head)
			b.WriteByte('\n')
			indent = "   "
		case l.Note != "":
			b.WriteString(indent)
			b.WriteString("Note: ")
			b.WriteString(l.Note)
			b.WriteByte('\n')
		default:
			t.cells(&b, indent, l.Cells)
		}
	}
	return b.String()
}

// openTable has the style of all its cells: every one of ten thousand lines
// would repeat it.
const openTable = `<table style="border-spacing:12px 2px;font-family:monospace;font-size:13px;text-align:left">` + "\n"

// HTML is the table in a page, in pieces between the heads. It is written here
// and not by the template, with which the whole mail takes twice the time for ten
// thousand lines.
func (t *table) HTML() htmltemplate.HTML {
	var b strings.Builder
	b.Grow(len(t.Lines) * 128)
	open := false
	row := func(cell string, cells []string) {
		if !open {
			b.WriteString(openTable)
			open = true
		}
		b.WriteString("<tr>")
		for _, c := range cells {
			b.WriteString(cell)
			b.WriteString(html.EscapeString(c))
		}
		b.WriteByte('\n')
	}
	between := func(text string) {
		if open {
			b.WriteString("</table>\n")
			open = false
		}
		b.WriteString(`<div style="margin-left:12px">` + html.EscapeString(text) + "</div>\n")
	}
	if t.Header != nil {
		row("<th>", t.Header)
	}
	for i := range t.Lines {
		switch l := &t.Lines[i]; {
		case l.Head != "":
			between(l.Head)
		case l.Note != "":
			between("Note: " + l.Note)
		default:
			row("<td>", l.Cells)
		}
	}
	if open {
		b.WriteString("</table>\n")
	}
	return htmltemplate.HTML(b.String())
}

func (t *table) cells(b *strings.Builder, indent string, cells []string) {
	last := len(cells) - 1
	for last > 0 && cells[last] == "" {
		last--
	}
	b.WriteString(indent)
	for i, c := range cells[:last+1] {
		pad := max(0, t.widths[i]-utf8.RuneCountInString(c))
		if i < t.numeric {
			spaces(b, pad)
			pad = 0
		}
		b.WriteString(c)
		if i < last {
			spaces(b, pad+2)
		}
	}
	b.WriteByte('\n')
}

func spaces(b *strings.Builder, n int) {
	const blank = "                                        "
	for n > len(blank) {
		b.WriteString(blank)
		n -= len(blank)
	}
	b.WriteString(blank[:n])
}
