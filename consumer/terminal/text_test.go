package terminal

import (
	"bytes"
	"encoding/json"
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

// Nothing reaches a terminal that steers it, or that it does not show.
func TestClean(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{what: "letters with marks", text: "étoile e\u0301 集計 🚀", want: "étoile e\u0301 集計 🚀"},
		{what: "escape", text: "a\x1b[31mb", want: "a\uFFFD[31mb"},
		{what: "C1", text: "a\u009bb", want: "a\uFFFDb"},
		{what: "delete", text: "a\x7fb", want: "a\uFFFDb"},
		{what: "bidi", text: "a\u202eb\u2066c", want: "a\uFFFDb\uFFFDc"},
		{what: "zero width", text: "a\u200bb\u2060c\ufeffd", want: "a\uFFFDb\uFFFDc\uFFFDd"},
		{what: "ends of lines", text: "a\u2028b\u2029c\u0085d", want: "a\uFFFDb\uFFFDc\uFFFDd"},
		{what: "letters that show nothing", text: "a\u3164b\u115fc\u034fd", want: "a\uFFFDb\uFFFDc\uFFFDd"},
		{what: "variation selectors", text: "a\U000E0100b", want: "a\uFFFDb"},
		{what: "tags", text: "a\U000E0041b", want: "a\uFFFDb"},
	} {
		if got := Clean(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
		document := []byte(`{"a":"` + c.text + `"}`)
		if got := oneLine(document); json.Valid(document) && bytes.ContainsFunc(got, steersTerminal) {
			t.Errorf("%s in JSON: %q", c.what, got)
		}
	}
}
