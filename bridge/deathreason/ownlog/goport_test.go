package ownlog

import (
	"testing"

	"supernats/bridge/deathreason/reasontest"
)

func TestParseGoPort(t *testing.T) {
	for s, want := range map[string]string{
		`time="2026-11-30T02:47:39Z" level=info msg="program stopped with status:exit status 4" program=early`:                 "early code 4",
		`time="2026-11-30T02:47:39+08:00" level=info msg="program stopped with status:signal: killed" program=a`:               "a SIGKILL",
		`time="2026-11-30T02:47:39Z" level=info msg="program stopped with status:signal: aborted (core dumped)" program="a=b"`: "a=b SIGABRT",
		`time="2026-11-30T02:47:39Z" level=error msg="fail to start program with error:fork/exec \"x\"" program=m`:             `m spawnerr fork/exec "x"`,
		`time="2026-11-30T02:47:39Z" level=info msg="success to start program" program=lst`:                                    "",
		`time="2026-11-30T02:47:39Z" level=info msg="program stopped with status:exit status 4"`:                               "",
		`time="2026-11-30T02:47:39Z" level=info msg="program stopped with status:exit status 444" program=x`:                   "",
		`time="now" level=info msg="program stopped with status:exit status 4" program=x`:                                      "",
		`time="2026-11-30T02:47:39Z`: "",
	} {
		l := Parse(s)
		got := ""
		if l.Kind != Other {
			got = l.Name + " " + reasontest.Show(l.Exit())
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", s, got, want)
		}
	}
}
