package inspect

import (
	"strings"
	"testing"

	"supernats/schema"
)

func TestGlobHint(t *testing.T) {
	hosts := []string{"web1.example.com", "web2.example.com", "db1", "DB2"}
	for _, c := range []struct {
		flag, glob string
		known      []string
		want       string
	}{
		{flag: "host", glob: "web*", known: hosts},
		{flag: "host", glob: "db1", known: hosts},
		{
			flag:  "host",
			glob:  "web.*",
			known: hosts,
			want:  `--host "web.*" matches none of 4 hosts; it looks like a regular expression, did you mean the glob "web*"?`,
		},
		{
			flag:  "host",
			glob:  `^web\d+\.example\.com$`,
			known: hosts,
			want:  `did you mean the glob "web[0-9]*.example.com"?`,
		},
		{flag: "host", glob: `~web1.example.com`, known: hosts, want: `did you mean the glob "web1.example.com"?`},
		{flag: "host", glob: `db1|web1.*`, known: hosts, want: `did you mean the glob "{db1,web1*}"?`},
		{flag: "host", glob: `(db1|db3)`, known: hosts, want: `did you mean the glob "{db1,db3}"?`},
		{flag: "host", glob: `.*example.*`, known: hosts, want: `did you mean the glob "*example*"?`},
		{
			flag:  "host",
			glob:  `mail.+`,
			known: hosts,
			want:  `it looks like a regular expression, and globs are meant: *, ?, [a-z] and {a,b}`,
		},
		{flag: "host", glob: "web1", known: hosts, want: `; did you mean "web1*"?`},
		{flag: "host", glob: "db2", known: hosts, want: `; did you mean "DB2"?`},
		{flag: "host", glob: "DB*x", known: hosts, want: `none of 4 hosts`},
		{
			flag:  "host",
			glob:  "mailserver-of-them",
			known: hosts,
			want:  `: DB2, db1, web1.example.com, web2.example.com`,
		},
		{
			flag:  "host",
			glob:  "x",
			known: []string{"aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff"},
			want:  "--host \"x\" matches none of 6 hosts: aaaa, bbbb, cccc, dddd, eeee, …",
		},
		{
			flag:  "process",
			glob:  "api:api_00",
			known: []string{"api_00"},
			want:  `--process "api:api_00" matches none of 1 process; did you mean --group "api" --process "api_00"?`,
		},
		{flag: "group", glob: "apii", known: []string{"api"}, want: `did you mean "api"?`},
		{flag: "rule", glob: "fatla", known: []string{"fatal", "loss"}, want: `did you mean "fatal"?`},
		{flag: "rule", glob: "x"},
	} {
		known := map[string]bool{}
		for _, k := range c.known {
			known[k] = true
		}
		if got := GlobHint("--"+c.flag, c.flag, c.glob, known); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s, want %s", c.flag, c.glob, got, c.want)
		}
	}
}

// A name that some event has, and a glob that may be for one that is not known here.
func TestEventNames(t *testing.T) {
	for _, event := range []string{
		"PROCESS_STATE", "EVENT", "TICK_*", "PROCESS_STATE_FROZE[N]", "{TICK_5,TICK_60}", "REMOTE_COMMUNICATION",
		"supernats.bridge.loss",
	} {
		if err := CheckEvents(schema.SplitGlobs([]string{event})); err != nil {
			t.Error(err)
		}
	}
}
