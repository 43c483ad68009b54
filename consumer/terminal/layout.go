package terminal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// layout is a table as it goes onto a screen.
type layout struct {
	columns []string
	rows    [][]string
	widths  []int
	// dropped are the columns that there was no room for.
	dropped []string
	// cards says that each row is a block of lines, one for each column.
	cards bool
}

// minFlexible is how narrow a flexible column becomes when all else has been dropped.
const minFlexible = 8

// fit lays the table out for so many columns of a screen, 0 if there is no limit. A table
// that does not fit becomes narrower in this order:
//
//   - dates lose what is known: the year, or the day if it is today;
//   - optional columns that hold nothing are dropped;
//   - the other optional columns are dropped;
//   - names and sentences are broken into lines;
//   - each row becomes a card with a line for each cell, which has all columns.
//
// A number, a time or a state is never broken.
func (t *Table) fit(width int) *layout {
	l := &layout{columns: slices.Clone(t.Columns), rows: t.rows}
	l.widths = l.naturalWidths()
	if width == 0 || l.totalWidth() <= width {
		return l
	}

	l.shortenDates(t.Now)
	l.widths = l.comfortableWidths(t.Flexible)
	for _, onlyEmpty := range []bool{true, false} {
		for _, name := range t.Optional {
			i := slices.Index(l.columns, name)
			if l.totalWidth() <= width || i < 0 || onlyEmpty && !l.isEmpty(i) {
				continue
			}
			l.dropColumn(i)
		}
	}

	l.shareWidth(t.Flexible, width)
	if l.totalWidth() > width {
		return t.cards(width)
	}
	return l
}

// isEmpty reports whether a column holds nothing in any row.
func (l *layout) isEmpty(i int) bool {
	return !slices.ContainsFunc(l.rows, func(row []string) bool {
		return row[i] != "-" && row[i] != "0" && row[i] != ""
	})
}

// naturalWidths returns the width of each column when no cell is broken.
func (l *layout) naturalWidths() []int {
	widths := make([]int, len(l.columns))
	for i, name := range l.columns {
		widths[i] = textWidth(name)
		for _, row := range l.rows {
			widths[i] = max(widths[i], textWidth(row[i]))
		}
	}
	return widths
}

// comfortableWidths returns the widths below which it is better to drop a column. A
// heading may always be broken between its words.
func (l *layout) comfortableWidths(flexible map[string]int) []int {
	widths := make([]int, len(l.columns))
	for i, name := range l.columns {
		for _, row := range l.rows {
			widths[i] = max(widths[i], textWidth(row[i]))
		}
		if most, ok := flexible[name]; ok {
			widths[i] = min(widths[i], most)
		}

		widths[i] = max(widths[i], longestWord(name))
	}
	return widths
}

// shareWidth takes what is missing from the flexible columns, the widest first, or gives
// them what there is to spare. Words are broken only if nothing else helps.
func (l *layout) shareWidth(flexible map[string]int, width int) {
	natural := l.naturalWidths()
	whole := l.longestWords(flexible)
	l.shrinkColumns(flexible, width, func(i int) int { return whole[i] })
	l.shrinkColumns(flexible, width, func(i int) int { return max(minFlexible, longestWord(l.columns[i])) })
	if l.totalWidth() > width {
		return
	}

	for i := range l.widths {
		l.widths[i] += min(max(0, natural[i]-l.widths[i]), width-l.totalWidth())
	}
}

// shrinkColumns makes flexible columns narrower, the widest first, but not narrower than
// least.
func (l *layout) shrinkColumns(flexible map[string]int, width int, least func(column int) int) {
	for l.totalWidth() > width {
		widest := -1
		for i, name := range l.columns {
			_, ok := flexible[name]
			if ok && l.widths[i] > least(i) && (widest < 0 || l.widths[i] > l.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		l.widths[widest]--
	}
}

// longestWords returns the widths down to which the words of a column stay whole. Words
// that are wider than the column should be, such as a path, do not count: they are broken
// anyway.
func (l *layout) longestWords(flexible map[string]int) []int {
	widths := make([]int, len(l.columns))
	for i, name := range l.columns {
		widths[i] = minFlexible
		for _, row := range l.rows {
			for word := range strings.SplitSeq(row[i], " ") {
				if n := textWidth(word); n <= flexible[name] {
					widths[i] = max(widths[i], n)
				}
			}
		}
	}
	return widths
}

func longestWord(s string) (width int) {
	for word := range strings.FieldsSeq(s) {
		width = max(width, textWidth(word))
	}
	return width
}

func (l *layout) totalWidth() int {
	total := len(columnGap) * (len(l.widths) - 1)
	for _, w := range l.widths {
		total += w
	}
	return total
}

func (l *layout) dropColumn(i int) {
	l.dropped = append(l.dropped, l.columns[i])
	l.columns = slices.Delete(l.columns, i, i+1)
	l.widths = slices.Delete(l.widths, i, i+1)

	for r, row := range l.rows {
		l.rows[r] = slices.Delete(slices.Clone(row), i, i+1)
	}
}

// droppedNote names the columns that are not shown, in lines of a screen.
func (l *layout) droppedNote(width int) []string {
	if l.dropped == nil {
		return nil
	}
	return wrap(fmt.Sprintf("not shown at %d columns: %s (-o json has all)", width, strings.Join(l.dropped, ", ")),
		width)
}

// datePattern matches a time as wording.Date writes it. In cells the space that must stay is a
// no-break space.
var datePattern = regexp.MustCompile(`\b\d{4}-(\d\d-\d\d)[ \x{a0}](\d\d:\d\d)(:\d\d)\b`)

// shortenDates removes the day from times of today, and the year and the seconds from
// others.
func (l *layout) shortenDates(now time.Time) {
	if now.IsZero() {
		now = time.Now()
	}
	today := now.Local().Format(time.DateOnly)

	shorten := func(date string) string {
		m := datePattern.FindStringSubmatch(date)
		if strings.HasPrefix(date, today) {
			return m[2] + m[3]
		}
		return m[1] + noBreak + m[2]
	}

	rows := make([][]string, len(l.rows))
	for r, row := range l.rows {
		rows[r] = slices.Clone(row)
		for i, cell := range row {
			rows[r][i] = datePattern.ReplaceAllStringFunc(cell, shorten)
		}
	}
	l.rows = rows
}
