package terminal

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/wording"
	"supernats/schema"
)

func TestWideNamesAreAligned(t *testing.T) {
	g := Table{Columns: []string{"NAME", "STATE"}}
	for _, name := range []string{"plain", "データベース", "e\u0301toile", "🚀", "👩‍🚀", "⚠️ late", "한국", "a\u0300\u0301b"} {
		g.Add(Grey, name, "RUNNING")
	}
	screen := g.text(g.fit(0), false)
	lines := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
	if len(lines) != 1+g.Len() {
		t.Errorf("%d lines of\n%s", len(lines), screen)
	}
	begin := strings.Index(lines[0], "STATE")
	for _, line := range lines[1:] {
		if name, _, found := strings.Cut(line, "RUNNING"); !found || textWidth(name) != begin {
			t.Errorf("the state of %q begins in column %d, want %d", name, textWidth(name), begin)
		}
	}
}

func TestDatesAreShort(t *testing.T) {
	now := time.Now()
	g := Table{Columns: []string{"TIME", "WHAT"}, Flexible: map[string]int{"WHAT": WideText}, Now: now}
	today, before := schema.Time{Time: now}, schema.Time{Time: now.AddDate(0, 0, -3)}
	g.Add(Grey, wording.Date(&today), strings.Repeat("word ", 9))
	g.Add(Grey, wording.Date(&before), "x")
	l := g.fit(40)
	got := []string{l.rows[0][0], strings.ReplaceAll(l.rows[1][0], noBreak, " ")}
	if d := cmp.Diff([]string{today.Local().Format("15:04:05"), before.Local().Format("01-02 15:04")}, got); d != "" {
		t.Error(d)
	}
}

// Words are not broken as long as a column has room for them.
func TestTableBreaksNoWord(t *testing.T) {
	g := Table{Columns: []string{"NAME", "ERROR", "REASON", "MORE"}, Flexible: map[string]int{"ERROR": WideText, "REASON": WideText, "MORE": WideText}}
	g.Add(Grey, "something", strings.Repeat("neighbourhoods ", 3)+"disconnections", "a sentence of short words, and of some more of them", "and another sentence of short words")
	l := g.fit(54)
	table := g.text(l, false)
	for line := range strings.Lines(table) {
		if n := textWidth(strings.TrimSuffix(line, "\n")); n > 54 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(table, "neighbourhoods") || !strings.Contains(table, "disconnections") {
		t.Errorf("a word is broken though there is room:\n%s", table)
	}
}
