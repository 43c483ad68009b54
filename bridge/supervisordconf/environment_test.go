package supervisordconf

import (
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// environment= says what supervisord itself reads there, and is wrong where it is wrong
// for supervisord.
func TestEnvironmentAsPython(t *testing.T) {
	const script = `
import json, sys
from supervisor.datatypes import dict_of_key_value_pairs
try:
    print(json.dumps(dict_of_key_value_pairs(sys.argv[1])))
except ValueError:
    print("null")
`
	for _, text := range []string{
		"",
		`A="x;y",B="z"`,
		"A=1,B=2",
		`URL=nats://a:4222,HOST="web 1"`,
		"URL=nats://a:4222,nats://b:4222",
		"URL=nats://user:secret@a:4222",
		`A="not closed`,
		`A='it,is',B=plain`,
		"A=b,",
		"A=b\nB=c",
		`A=x"y z"`,
		"A=x # a comment",
		"=x", "A", "A=", "A==b",
	} {
		out, err := exec.Command("/usr/bin/python3", "-c", script, text).Output()
		if err != nil {
			t.Skipf("no Python with supervisor: %v", err)
		}
		var want map[string]string
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatal(err)
		}

		got, err := parseEnvironment(text)
		if (err != nil) != (want == nil) {
			t.Errorf("%q: %v, supervisord reads %v", text, err, want)
		} else if err == nil {
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%q (-supervisord +ours):\n%s", text, d)
			}
		}
	}
}

// Each option has the place of the line that is in force.
func TestPlaces(t *testing.T) {
	t.Setenv("TEST_LOG", "super")
	dir := t.TempDir()
	writeFiles(t, dir, configFiles)
	c, err := Read(dir + "/etc/main.conf")
	if err != nil {
		t.Fatal(err)
	}
	main, included := dir+"/etc/main.conf", dir+"/etc/parts/b.conf"
	one := c.Section("program:one")

	for _, tc := range []struct {
		option  string
		want    Place
		written bool
	}{
		{option: "startsecs", want: one.Places[0], written: false}, // it is in [DEFAULT]
		{option: "numprocs", want: one.Places[0], written: false},
		{option: "stdout_logfile", want: Place{main, one.Places[0].Line + 5}, written: true},
		{option: "priority", want: Place{included, 4}, written: true},
	} {
		if got, written := one.Place(tc.option); got != tc.want || written != tc.written {
			t.Errorf("%s: %v, %v; want %v, %v", tc.option, got, written, tc.want, tc.written)
		}
	}
	if len(one.Places) != 2 || one.Places[1] != (Place{included, 3}) {
		t.Errorf("[program:one] stands at %v", one.Places)
	}
}
