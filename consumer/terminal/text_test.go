package terminal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 5, []string{""}},
		{"short", 0, []string{"short"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"seen 2026-11-21 11:59:58", 20, []string{"seen", "2026-11-21 11:59:58"}},
		{"run `supernats ps` now", 14, []string{"run", "`supernats ps`", "now"}},
		{"run `supernats doctor -o json`", 14, []string{"run", "`supernats", "doctor -o", "json`"}},
		{"payment-workers:payment_00", 18, []string{"payment-workers:", "payment_00"}},
		{"abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"データベース", 5, []string{"デー", "タベ", "ース"}},
		{"デ", 1, []string{"デ", ""}},
		{"died 23m ago, exit 3", 12, []string{"died", "23m ago,", "exit 3"}},
	} {
		if d := cmp.Diff(c.want, wrap(cellText(c.text), c.width)); d != "" {
			t.Errorf("%q at %d: %s", c.text, c.width, d)
		}
	}
}
