package programlog

import (
	"fmt"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	for _, test := range []struct{ name, raw, want string }{
		{"plain", "a\nb\tc 进程\n", "a\nb\tc 进程\n"},
		{"colours", "\x1b[31mERROR\x1b[0m \x1b[1;38;5;9mno such table\x1b[0m\n", "ERROR no such table\n"},
		{"colours with colons", "\x1b[38:2::255:0:0mred\x1b[m", "red"},
		{"what XML-RPC leaves of colours", "\uFFFD[31mERROR\uFFFD[0m", "ERROR"},
		{"no colour after a bad byte", "\xe4[no", "\uFFFD[no"},
		{"a progress bar", "loading\n\r  0%|     |\r 50%|##   |\r100%|#####| done\nbye\n", "loading\n100%|#####| done\nbye\n"},
		{"a shorter text over a longer one", "abcdef\rxy", "xycdef"},
		{"erased to the end of the line", "abcdef\r\x1b[Kxy", "xy"},
		{"erased as a whole", "abcdef\x1b[2K\rxy", "xy"},
		{"lines of Windows", "a\r\nb\r\n", "a\nb\n"},
		{"backspaces", "12%\b\b\b13%", "13%"},
		{"bold of man pages", "N\bNA\bAM\bME\bE", "NAME"},
		{"a title", "\x1b]0;user@host: ~\aprompt\n\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "prompt\nlink"},
		{"a title without an end", "a\x1b]0;title\nb", "a\nb"},
		{"device control", "\x1bPq#0;2;0\x1b\\x", "x"},
		{"a character set", "\x1b(B\x1b)0x", "x"},
		{"other escapes", "\x1b7\x1b=\x1bMx\x1b8", "x"},
		{"an escape that is cut", "x\x1b", "x"},
		{"a sequence that is cut", "x\x1b[38;5", "x38;5"},
		{"bars of several lines", "one  0%\ntwo  0%\n\x1b[2Aone 50%\n\x1b[1Btwo", "one 50%\ntwo  0%\ntwo"},
		{"a column", "ab\x1b[5Gc", "ab  c"},
		{"a column far away", "\x1b[99999999999Gx", strings.Repeat(" ", maxColumn-1) + "x"},
		{"a cleared screen", "before\n\x1b[2J\x1b[Hafter", "before\nafter"},
		{"cleared below", "a\nb\nc\x1b[2A\r\x1b[J", ""},
		{"NUL and bad bytes", "a\x00b\xffc\u0085d", "a\uFFFDb\uFFFDcd"},
		{"a bell", "ding\a", "ding"},
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
