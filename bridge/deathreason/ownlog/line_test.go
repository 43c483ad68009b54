package ownlog

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const stamp = "2026-11-21 19:00:31,833 "

func TestParseLine(t *testing.T) {
	other := Line{}
	death := func(k Kind, name string, code int16, signal string) Line {
		return Line{Kind: k, Name: name, Code: code, Text: signal}
	}
	core := death(Exited, "api_00", -1, "SIGSEGV")
	core.Core = true
	expected := death(Exited, "api_00", 0, "")
	expected.Expected = true
	for _, test := range []struct {
		line string
		want Line
	}{
		{"", other},
		{"WARN exited:", other},
		{"WARN exited: a", other},
		{"WARN exited:  (exit status 1; not expected)", other},
		{"WARN exited: a ()", other},
		{"WARN exited: a (", other},
		{"WARN exited: a )", other},
		{"WARN exited: a (exit status 1)", other}, // neither expected nor not
		{"WARN exited: a (exit status ; not expected)", other},
		{"WARN exited: a (exit status -1; not expected)", other},
		{"WARN exited: a (exit status 256; not expected)", other},
		{"WARN exited: a (terminated by ; not expected)", other},
		{"WARN exited: a (terminated by SIG; not expected)", other},
		{"WARN exited: a (terminated by sigkill; not expected)", other},
		{"WARN exited: a (terminated by signal x; not expected)", other},
		{"INFO spawned: a with pid 1", other},
		{"INFO spawned: '' with pid 1", other},
		{"INFO spawned: 'a' with pid ", other},
		{"INFO spawned: 'a' with pid 0", other},
		{"INFO spawned: 'a' with pid 99999999999", other},
		{"INFO success: a", other},
		{"INFO gave up: ", other},
		{"INFO waiting for a to stop", other},
		{"INFO reaped unknown pid 17 (exit status 3)", other},
		{"DEBG 'a' stdout output:", other},
		{"CRIT Server 'unix_http_server' running without any HTTP authentication checking", other},

		{"WARN exited: api_00 (exit status 3; not expected)", death(Exited, "api_00", 3, "")},
		{"INFO exited: api_00 (exit status 0; expected)", expected},
		{"WARN exited: api_00 (terminated by SIGKILL; not expected)", death(Exited, "api_00", -1, "SIGKILL")},
		{"WARN exited: api_00 (terminated by SIGSEGV (core dumped); not expected)", core},
		{"WARN exited: api_00 (terminated by signal 35; not expected)", death(Exited, "api_00", -1, "signal 35")},
		{"WARN exited: api_00 (terminated by SIGRTMIN; not expected)", death(Exited, "api_00", -1, "SIGRTMIN")},
		// A death of which nothing is known is still the next one.
		{"WARN exited: api_00 (unknown termination cause 0x137f; not expected)", death(Exited, "api_00", -1, "")},
		{"WARN stopped: api_00 (terminated by SIGTERM)", death(Stopped, "api_00", -1, "SIGTERM")},
		{"INFO stopped: api_00 (exit status 0)", death(Stopped, "api_00", 0, "")},
		{"WARN exited: my.app-weird*>é (exit status 1; not expected)", death(Exited, "my.app-weird*>é", 1, "")},
		{"WARN exited: a(exit (exit status 1; not expected)", death(Exited, "a(exit", 1, "")},
		{"WARN exited: (exit (exit status 1; not expected)", death(Exited, "(exit", 1, "")},
		{"WARN exited: ;)\tx (exit status 1; not expected)", death(Exited, ";)\tx", 1, "")},
		{"INFO spawned: 'api_00' with pid 11167", Line{Kind: Spawned, Name: "api_00", PID: 11167}},
		{"INFO spawned: ''' with pid 1", Line{Kind: Spawned, Name: "'", PID: 1}},
		{"INFO spawnerr: can't find command '/bin/nothing'", Line{Kind: SpawnErr, Text: "can't find command '/bin/nothing'"}},
		{"INFO spawnerr: ", Line{Kind: SpawnErr}},
		{"INFO success: api_00 entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)", Line{Kind: Success, Name: "api_00"}},
		{"INFO gave up: api_00 entered FATAL state, too many start retries too quickly", Line{Kind: GaveUp, Name: "api_00"}},
		{"INFO supervisord started with pid 1", Line{Kind: Started}},
		{"INFO RPC interface 'supervisor' initialized", Line{Kind: Started}},
	} {
		got := Parse(stamp + test.line)
		if want := time.Date(2026, 11, 21, 19, 0, 31, 833e6, time.Local); test.want.Kind != Other && !got.At.Equal(want) {
			t.Errorf("%s: at %v, want %v", test.line, got.At, want)
		}
		got.At = time.Time{}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.line, diff)
		}
	}
	for _, bad := range []string{"2026-11-21 19:00:31.833 ", "2026-11-21T19:00:31,833 ", "xxxx-11-21 19:00:31,833 ", "2026-11-21 19:00:31,833_", ""} {
		if got := Parse(bad + "WARN exited: a (exit status 1; not expected)"); got.Kind != Other {
			t.Errorf("with the time %q it is a line", bad)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{
		"WARN exited: api_00 (exit status 3; not expected)", "WARN exited: a (terminated by SIGSEGV (core dumped); not expected)",
		"INFO spawned: 'a' with pid 7", "INFO spawnerr: can't find command 'x'", "INFO stopped: a (terminated by signal 35)",
		"INFO success: a entered RUNNING state", "INFO gave up: a entered FATAL state", "INFO supervisord started with pid 1",
	} {
		f.Add(stamp + s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l := Parse(s)
		if strings.Contains(l.Name, " ") || l.Kind != Other && l.At.IsZero() {
			t.Errorf("%q: %+v", s, l)
		}
		exit := l.Exit()
		if exit == nil {
			return
		}
		// What event.schema.json asks of a reason.
		n := 0
		if exit.Code != nil {
			if n++; *exit.Code < 0 || *exit.Code > 255 {
				t.Errorf("%q: code %d", s, *exit.Code)
			}
		}
		if exit.Signal != "" {
			if n++; !isSignal(exit.Signal) || !utf8.ValidString(exit.Signal) {
				t.Errorf("%q: signal %q", s, exit.Signal)
			}
		}
		if exit.SpawnErr != "" {
			n++
		}
		if n != 1 || exit.Core && exit.Signal == "" {
			t.Errorf("%q: %+v", s, exit)
		}
	})
}

func BenchmarkParseLine(b *testing.B) {
	b.ReportAllocs()
	lines := []string{
		stamp + "WARN exited: api_00 (exit status 3; not expected)",
		stamp + "INFO spawned: 'api_00' with pid 11167",
		stamp + "INFO success: api_00 entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)",
	}
	for i := 0; b.Loop(); i++ {
		if Parse(lines[i%3]).Kind == Other {
			b.Fatal(lines[i%3])
		}
	}
}
