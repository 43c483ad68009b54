package main

import (
	"testing"

	"supernats/schema/program"
)

// A section that could not start is not printed. Files may be those of another machine.
func TestConfChecksValues(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{args: []string{"--spool-max", "1KiB"}, want: program.ExitUsage},
		{args: []string{"--log-tail", "1MiB"}, want: program.ExitUsage},
		{args: []string{"--skip", "TOCK"}, want: program.ExitUsage},
		{args: []string{"--nats-nkey", "/nowhere/nats.nk", "--listen", ":9876", "--web-config", "/nowhere/web.yaml"}, want: program.ExitDone},
	} {
		if got := run(append([]string{"conf"}, c.args...)); got != c.want {
			t.Errorf("conf %v: exit code %d, want %d", c.args, got, c.want)
		}
	}
}
