package inspect

import (
	"strings"
	"testing"
)

func TestGlobHint(t *testing.T) {
	hosts := []string{"web1.example.com", "web2.example.com", "db1", "DB2"}
	for _, c := range []struct {
		flag, glob string
		known      []string
		want       string
	}{
		{"host", "web*", hosts, ""},
		{"host", "db1", hosts, ""},
		{"host", "web.*", hosts, `--host "web.*" matches none of 4 hosts; it looks like a regular expression, did you mean the glob "web*"?`},
		{"host", `^web\d+\.example\.com$`, hosts, `did you mean the glob "web[0-9]*.example.com"?`},
		{"host", `~web1.example.com`, hosts, `did you mean the glob "web1.example.com"?`},
		{"host", `db1|web1.*`, hosts, `did you mean the glob "{db1,web1*}"?`},
		{"host", `(db1|db3)`, hosts, `did you mean the glob "{db1,db3}"?`},
		{"host", `.*example.*`, hosts, `did you mean the glob "*example*"?`},
		{"host", `mail.+`, hosts, `it looks like a regular expression, and globs are meant: *, ?, [a-z] and {a,b}`},
		{"host", "web1", hosts, `; did you mean "web1*"?`},
		{"host", "db2", hosts, `; did you mean "DB2"?`},
		{"host", "DB*x", hosts, `none of 4 hosts`},
		{"host", "mailserver-of-them", hosts, `: DB2, db1, web1.example.com, web2.example.com`},
		{"host", "x", []string{"aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff"}, "--host \"x\" matches none of 6 hosts: aaaa, bbbb, cccc, dddd, eeee, …"},
		{"process", "api:api_00", []string{"api_00"}, `--process "api:api_00" matches none of 1 process; did you mean --group "api" --process "api_00"?`},
		{"group", "apii", []string{"api"}, `did you mean "api"?`},
		{"rule", "fatla", []string{"fatal", "loss"}, `did you mean "fatal"?`},
		{"rule", "x", nil, ""},
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
