package programlog

import "testing"

func TestLastLines(t *testing.T) {
	for _, test := range []struct {
		s     string
		n     int
		whole bool
		want  string
	}{
		{"", 10, false, ""},
		{"rest of a line\nnext\n", 100, false, "next\n"},
		{"rest of a line\n", 100, false, "rest of a line\n"},
		{"first\nnext\n", 100, true, "first\nnext\n"},
		{"first\nnext\n", 8, true, "next\n"},
		{"进程退出", 7, true, "退出"},
	} {
		if got := lastLines(test.s, test.n, test.whole); got != test.want {
			t.Errorf("lastLines(%q, %d, %v) = %q, want %q", test.s, test.n, test.whole, got, test.want)
		}
	}
}
