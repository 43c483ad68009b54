package wording_test

import (
	"strings"
	"testing"

	"supernats/consumer/wording"
)

func TestClip(t *testing.T) {
	for _, tc := range []struct {
		s    string
		max  int
		want string
	}{
		{s: "", max: 5, want: ""},
		{s: "hello", max: 5, want: "hello"},
		{s: "hello!", max: 5, want: "hello…"},
		{s: "进程退出", max: 3, want: "进程退…"},
		{s: "a\nb", max: 10, want: `a\nb`},
		{s: "abcd\n", max: 5, want: "abcd…"}, // no half of an escape
		{s: "\x1b\u202e", max: 20, want: `\x1b\u202e`},
		{s: "\xff", max: 5, want: "\ufffd"},
	} {
		if got := wording.Clip(tc.s, tc.max); got != tc.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", tc.s, tc.max, got, tc.want)
		}
	}
}

func TestCell(t *testing.T) {
	for _, tc := range []struct{ in, clip, cell string }{
		{in: "", clip: "", cell: ""},
		{in: "plain", clip: "plain", cell: "plain"},
		{in: "0123456789", clip: "0123456789", cell: "0123456789"},
		{in: "0123456789a", clip: "0123456789…", cell: "0123456789…"},
		{in: "a  b   c", clip: "a  b   c", cell: "a b c"},
		{in: "a\u00a0\u2003b", clip: "a\u00a0\u2003b", cell: "a b"},
		{in: "进程进程进程进程进程", clip: "进程进程进程进程进程", cell: "进程进程进程进程进程"},
		{in: "12345678\r\n", clip: `12345678\r…`, cell: `12345678\r…`},
		{in: "12345678\u202e", clip: `12345678…`, cell: `12345678…`},
		{in: strings.Repeat("\xff", 11), clip: "\ufffd", cell: "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd…"},
		{in: "a" + strings.Repeat(" ", 1000) + "b", clip: "a         …", cell: "a …"},
		{in: strings.Repeat("进", 1000), clip: "进进进进进进进进进进…", cell: "进进进进进进进进进进…"},
		{in: strings.Repeat("\xff", 1000), clip: "\ufffd…", cell: "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd…"},
	} {
		if got := wording.Clip(tc.in, 10); got != tc.clip {
			t.Errorf("clip %.20q: got %q, want %q", tc.in, got, tc.clip)
		}
		if got := wording.Cell(tc.in, 10); got != tc.cell {
			t.Errorf("cell %.20q: got %q, want %q", tc.in, got, tc.cell)
		}
	}
}

func TestLog(t *testing.T) {
	const max = 4096
	big := strings.Repeat("0123456789\n", max/10)
	for _, tc := range []struct{ in, want string }{
		{in: "a\r\nb\n\n", want: "a\nb"},
		{in: "10%\r20%\r", want: "10%\n20%"},
		{in: "\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]0;t\x07", want: "red link"},
		{in: "\x1b[", want: "\\x1b["},
		{in: "\x1b[3\nx", want: "\\x1b[3\nx"},
		{in: "nul\x00 bell\x07", want: "nul\\x00 bell\\a"},
		{in: "\xff\xfe", want: "\ufffd"},
		{in: big, want: "…\n" + strings.TrimSuffix(big[len(big)-(max-4)/11*11:], "\n")},
	} {
		if got := wording.Log(tc.in, max); got != tc.want {
			t.Errorf("%.40q: got %.80q (%d), want %.80q (%d)", tc.in, got, len(got), tc.want, len(tc.want))
		}
	}
}
