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
		{width: 5, want: []string{""}},
		{text: "short", want: []string{"short"}},
		{text: "one two three", width: 7, want: []string{"one two", "three"}},
		{text: "seen 2026-11-21 11:59:58", width: 20, want: []string{"seen", "2026-11-21 11:59:58"}},
		{text: "run `supernats ps` now", width: 14, want: []string{"run", "`supernats ps`", "now"}},
		{
			text:  "run `supernats doctor -o json`",
			width: 14,
			want:  []string{"run", "`supernats", "doctor -o", "json`"},
		},
		{text: "payment-workers:payment_00", width: 18, want: []string{"payment-workers:", "payment_00"}},
		{text: "abcdefghij", width: 4, want: []string{"abcd", "efgh", "ij"}},
		{text: "データベース", width: 5, want: []string{"デー", "タベ", "ース"}},
		{text: "デ", width: 1, want: []string{"デ", ""}},
		{text: "died 23m ago, exit 3", width: 12, want: []string{"died", "23m ago,", "exit 3"}},
	} {
		if d := cmp.Diff(c.want, wrap(cellText(c.text), c.width)); d != "" {
			t.Errorf("%q at %d: %s", c.text, c.width, d)
		}
	}
}
