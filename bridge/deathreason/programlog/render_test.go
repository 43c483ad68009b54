package programlog

import (
	"fmt"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	for _, test := range []struct{ name, raw, want string }{
		{name: "plain", raw: "a\nb\tc 进程\n", want: "a\nb\tc 进程\n"},
		{
			name: "colours", raw: "\x1b[31mERROR\x1b[0m \x1b[1;38;5;9mno such table\x1b[0m\n",
			want: "ERROR no such table\n",
		},
		{name: "colours with colons", raw: "\x1b[38:2::255:0:0mred\x1b[m", want: "red"},
		{name: "what XML-RPC leaves of colours", raw: "\uFFFD[31mERROR\uFFFD[0m", want: "ERROR"},
		{name: "no colour after a bad byte", raw: "\xe4[no", want: "\uFFFD[no"},
		{
			name: "a progress bar", raw: "loading\n\r  0%|     |\r 50%|##   |\r100%|#####| done\nbye\n",
			want: "loading\n100%|#####| done\nbye\n",
		},
		{name: "a shorter text over a longer one", raw: "abcdef\rxy", want: "xycdef"},
		{name: "erased to the end of the line", raw: "abcdef\r\x1b[Kxy", want: "xy"},
		{name: "erased as a whole", raw: "abcdef\x1b[2K\rxy", want: "xy"},
		{name: "lines of Windows", raw: "a\r\nb\r\n", want: "a\nb\n"},
		{name: "backspaces", raw: "12%\b\b\b13%", want: "13%"},
		{name: "bold of man pages", raw: "N\bNA\bAM\bME\bE", want: "NAME"},
		{
			name: "a title", raw: "\x1b]0;user@host: ~\aprompt\n\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
			want: "prompt\nlink",
		},
		{name: "a title without an end", raw: "a\x1b]0;title\nb", want: "a\nb"},
		{name: "device control", raw: "\x1bPq#0;2;0\x1b\\x", want: "x"},
		{name: "a character set", raw: "\x1b(B\x1b)0x", want: "x"},
		{name: "other escapes", raw: "\x1b7\x1b=\x1bMx\x1b8", want: "x"},
		{name: "an escape that is cut", raw: "x\x1b", want: "x"},
		{name: "a sequence that is cut", raw: "x\x1b[38;5", want: "x38;5"},
		{
			name: "bars of several lines", raw: "one  0%\ntwo  0%\n\x1b[2Aone 50%\n\x1b[1Btwo",
			want: "one 50%\ntwo  0%\ntwo",
		},
		{name: "a column", raw: "ab\x1b[5Gc", want: "ab  c"},
		{name: "a column far away", raw: "\x1b[99999999999Gx", want: strings.Repeat(" ", maxColumn-1) + "x"},
		{name: "a cleared screen", raw: "before\n\x1b[2J\x1b[Hafter", want: "before\nafter"},
		{name: "cleared below", raw: "a\nb\nc\x1b[2A\r\x1b[J", want: ""},
		{name: "NUL and bad bytes", raw: "a\x00b\xffc\u0085d", want: "a\uFFFDb\uFFFDcd"},
		{name: "a bell", raw: "ding\a", want: "ding"},
	} {
		if got := render(test.raw); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// What is shown is cut after it was rendered: a progress bar does not push the message
// out.
func TestShown(t *testing.T) {
	raw := "Traceback: no space left\n"
	for i := range 500 {
		raw += fmt.Sprintf("\r%3d%%|%s|", i/5, strings.Repeat("#", 40))
	}
	if got, want := shown(raw, 100, true), "Traceback: no space left\n 99%|"+strings.Repeat("#", 40)+"|"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := shown("half a line\nwhole\n", 100, false); got != "whole\n" {
		t.Errorf("got %q", got)
	}
}

func FuzzRender(f *testing.F) {
	f.Add("\x1b[31mx\x1b[2A\r\x1b[K\b\x1b]0;t\a")
	f.Fuzz(func(t *testing.T, raw string) {
		if got := render(raw); len(got) > (len(raw)+1)*maxColumn || strings.ContainsAny(got, "\x1b\r\b\x00") {
			t.Errorf("%q becomes %q", raw, got)
		}
	})
}
