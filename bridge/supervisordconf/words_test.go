package supervisordconf

import (
	"os/exec"
	"strings"
	"testing"
)

// A command is divided into words as Python does it.
func TestSplitCommand(t *testing.T) {
	for _, command := range []string{
		"a b  c", `a "b c" 'd e'`, `a b\ c`, `a "b\"c" "d\e"`, `a ''`, "a\n  b", `a"b"c`, `"open`, `a\`, `'it''s'`,
	} {
		out, err := exec.Command("/usr/bin/python3", "-c",
			"import shlex,sys\ntry: print('\\0'.join(shlex.split(sys.argv[1])))\nexcept ValueError: print('!')", command).Output()
		if err != nil {
			t.Skipf("no Python: %v", err)
		}

		words, err := splitCommand(command)
		got := strings.Join(words, "\x00")
		if err != nil {
			got = "!"
		}
		if want := strings.TrimSuffix(string(out), "\n"); got != want {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}
