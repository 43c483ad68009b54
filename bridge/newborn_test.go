package bridge_test

import (
	"cmp"
	"os"
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

// A program that was added, or moved its log, after the last process table shows in each
// log what that life wrote, from its first death on.
func TestLogsOfAddedPrograms(t *testing.T) {
	t.Parallel()
	program := func(name, log, settings string) string {
		return "\n[program:" + name + "]\ncommand=sh -c \"sleep 0.3; echo $$ of " + name + "; " + settings +
			"\nstdout_logfile=" + log + "\n"
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/again.out", []byte("of an earlier one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(dir+"/again.out", yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	const (
		crashes  = "exit 3\"\nstartsecs=0\nautorestart=true"
		tooEarly = "exit 3\"\nstartretries=1"
	)
	moved := program("moved", dir+"/before.out", "exec sleep 1000\"")
	s, js := startWeb1(t, moved)
	waitStored(t, js, schema.SnapshotSubject("web1"), 1)

	conf, err := os.ReadFile(s.Dir + "/supervisord.conf")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Replace(string(conf), moved, program("moved", dir+"/after.out", crashes), 1) +
		program("file", dir+"/file.out", crashes) + program("auto", "AUTO", crashes) +
		program("again", dir+"/again.out", crashes) + program("early", dir+"/early.out", tooEarly)
	if err := os.WriteFile(s.Dir+"/supervisord.conf", []byte(sections), 0o600); err != nil {
		t.Fatal(err)
	}
	s.MustCtl(t, "update")

	for _, tt := range []struct {
		name, state string
		deaths      int
	}{
		{name: "moved", state: "exited", deaths: 3},
		{name: "file", state: "exited", deaths: 3},
		{name: "auto", state: "exited", deaths: 3},
		{name: "again", state: "exited", deaths: 3},
		{name: "early", state: "fatal", deaths: 1},
	} {
		subject := "supervisor.event.web1." + tt.name + "." + tt.name + ".process_state." + tt.state
		for i, m := range waitStored(t, js, subject, tt.deaths) {
			l := event(t, m).Log
			if l == nil || strings.Count(l.Stdout, "\n") != 1 || !strings.Contains(l.Stdout, " of "+tt.name+"\n") {
				t.Errorf("log %d of %s is %q, want one line", i+1, tt.name, cmp.Or(l, &schema.Log{}).Stdout)
			}
		}
	}
}
