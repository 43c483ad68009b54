package bridge_test

import (
	"os/exec"
	"testing"
)

// conf is what `supernats-bridge conf` prints for the flags.
func conf(tb testing.TB, bin string, flags ...string) string {
	tb.Helper()
	out, err := exec.Command(bin, append([]string{"conf"}, flags...)...).Output()
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}
