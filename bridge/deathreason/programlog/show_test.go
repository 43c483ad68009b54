package programlog

import "testing"

func TestLastLines(t *testing.T) {
	for _, test := range []struct {
		s     string
		n     int
		whole bool
		want  string
	}{
		{s: "", n: 10},
		{s: "rest of a line\nnext\n", n: 100, want: "next\n"},
		{s: "rest of a line\n", n: 100, want: "rest of a line\n"},
		{s: "first\nnext\n", n: 100, whole: true, want: "first\nnext\n"},
		{s: "first\nnext\n", n: 8, whole: true, want: "next\n"},
		{s: "进程退出", n: 7, whole: true, want: "退出"},
	} {
		if got := lastLines(test.s, test.n, test.whole); got != test.want {
			t.Errorf("lastLines(%q, %d, %v) = %q, want %q", test.s, test.n, test.whole, got, test.want)
		}
	}
}
