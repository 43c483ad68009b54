package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// layout is a grid as it goes onto a screen.
type layout struct {
	columns []string
	rows    [][]string
	widths  []int
	// dropped are the columns that there was no room for.
	dropped []string
}

// minFlexible is how narrow a flexible column becomes when all else has been dropped.
const minFlexible = 8

// fit lays the table out for so many columns of a screen, 0 if there is no limit. What
// does not fit is made narrower in this order: dates lose what is known (the year, or
// the day if it is today), columns that say nothing go, the other optional ones go,
// and names and sentences are broken into lines. A number, a time or a state never is.
func (g *grid) fit(width int) *layout {
	l := &layout{columns: slices.Clone(g.columns), rows: g.rows}
	if l.widths = l.measure(); width == 0 || l.total() <= width {
		return l
	}

	l.shortenDates(g.now)
	empty := func(i int) bool {
		return !slices.ContainsFunc(l.rows, func(row []string) bool { return row[i] != "-" && row[i] != "0" && row[i] != "" })
	}
	l.widths = l.comfortable(g.flexible)
	for _, onlyEmpty := range []bool{true, false} {
		for _, name := range g.optional {
			i := slices.Index(l.columns, name)
			if l.total() <= width || i < 0 || onlyEmpty && !empty(i) {
				continue
			}
			l.drop(i)
		}
	}

	l.share(g.flexible, width)
	return l
}

// measure returns the width of each column when nothing is broken.
func (l *layout) measure() []int {
	widths := make([]int, len(l.columns))
	for i, name := range l.columns {
		widths[i] = textWidth(name)
		for _, row := range l.rows {
			widths[i] = max(widths[i], textWidth(row[i]))
		}
	}
	return widths
}

// comfortable returns the widths below which a column should rather be dropped: a
// heading may always be broken between its words.
func (l *layout) comfortable(flexible map[string]int) []int {
	widths := make([]int, len(l.columns))
	for i, name := range l.columns {
		for _, row := range l.rows {
			widths[i] = max(widths[i], textWidth(row[i]))
		}
		if most, ok := flexible[name]; ok {
			widths[i] = min(widths[i], most)
		}
		for word := range strings.FieldsSeq(name) {
			widths[i] = max(widths[i], textWidth(word))
		}
	}
	return widths
}

// share takes from the flexible columns what is missing, from the widest first, or
// gives them what there is to spare. Words are broken only if nothing else helps.
func (l *layout) share(flexible map[string]int, width int) {
	natural := l.measure()
	whole := l.longestWords(flexible)
	l.shrink(flexible, width, func(i int) int { return whole[i] })
	l.shrink(flexible, width, func(int) int { return minFlexible })
	if l.total() > width {
		return // the terminal has to break the lines
	}
	for i := range l.widths {
		l.widths[i] += min(max(0, natural[i]-l.widths[i]), width-l.total())
	}
}

// shrink makes flexible columns narrower, the widest first, but not narrower than least.
func (l *layout) shrink(flexible map[string]int, width int, least func(column int) int) {
	for l.total() > width {
		widest := -1
		for i, name := range l.columns {
			if _, ok := flexible[name]; ok && l.widths[i] > least(i) && (widest < 0 || l.widths[i] > l.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		l.widths[widest]--
	}
}

// longestWords are the widths down to which the words of a column stay whole. Those that
// are wider than the column should be, as a path, count for nothing: they are broken
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

func (l *layout) total() int {
	total := len(columnGap) * (len(l.widths) - 1)
	for _, w := range l.widths {
		total += w
	}
	return total
}

func (l *layout) drop(i int) {
	l.dropped = append(l.dropped, l.columns[i])
	l.columns = slices.Delete(l.columns, i, i+1)
	l.widths = slices.Delete(l.widths, i, i+1)
	for r, row := range l.rows {
		l.rows[r] = slices.Delete(slices.Clone(row), i, i+1)
	}
}

// note says what is not there.
func (l *layout) note(width int) []string {
	if l.dropped == nil {
		return nil
	}
	return wrap(fmt.Sprintf("not shown at %d columns: %s (-o json has all)", width, strings.Join(l.dropped, ", ")), width)
}

// aDate is a time as date writes it. In cells a blank that must stay is a no-break
// space.
var aDate = regexp.MustCompile(`\b\d{4}-(\d\d-\d\d)[ \x{a0}](\d\d:\d\d)(:\d\d)\b`)

// shortenDates leaves out the day of today, and of other days the year and the second.
func (l *layout) shortenDates(now time.Time) {
	if now.IsZero() {
		now = time.Now()
	}
	today := now.Local().Format(time.DateOnly)
	rows := make([][]string, len(l.rows))
	for r, row := range l.rows {
		rows[r] = slices.Clone(row)
		for i, cell := range row {
			rows[r][i] = aDate.ReplaceAllStringFunc(cell, func(date string) string {
				m := aDate.FindStringSubmatch(date)
				if strings.HasPrefix(date, today) {
					return m[2] + m[3]
				}
				return m[1] + noBreak + m[2]
			})
		}
	}
	l.rows = rows
}
