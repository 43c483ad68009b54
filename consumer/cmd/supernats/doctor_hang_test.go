package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"supernats/schema/program"
	"supernats/schema/stream/streamtest"
)

// A file that does not answer is a finding, and the other checks are made.
func TestDoctorOfAFileThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	s := streamtest.Start(t)
	i := &installation{T: t, url: s.URL, js: s.JetStream()}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{name: "the configuration", args: []string{"-c", pipe}, want: "fail config: read " + pipe + ": it does not answer within SPAN"},
		{name: "the credentials", args: []string{"--nats-creds", pipe}, want: "fail nats: connect to NATS: the server, or a file with its credentials"},
	} {
		begun := time.Now()
		got := i.doctor(program.ExitFailed, c.args...)
		if !strings.HasPrefix(got[0], c.want) || time.Since(begun) > time.Minute {
			t.Errorf("%s, in %v: %q", c.name, time.Since(begun), got)
		}
		if c.name == "the configuration" && !strings.HasPrefix(got[1], "ok nats: ") {
			t.Errorf("%q", got)
		}
	}
}
