package notifytest

import (
	"strings"
	"testing"
)

// Invalid checks the error of settings that are wrong: it has a line for each mistake, in
// the order of want, which holds how each begins, and none shows the secret.
func Invalid(t testing.TB, err error, secret string, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}

	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("lines are %q, want %q", lines, want)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) || strings.Contains(line, secret) {
			t.Errorf("line is %q, want %q and no secret", line, want[i])
		}
	}
}
