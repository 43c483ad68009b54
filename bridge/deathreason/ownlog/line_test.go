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
		{want: other},
		{line: "WARN exited:", want: other},
		{line: "WARN exited: a", want: other},
		{line: "WARN exited:  (exit status 1; not expected)", want: other},
		{line: "WARN exited: a ()", want: other},
		{line: "WARN exited: a (", want: other},
		{line: "WARN exited: a )", want: other},
		{line: "WARN exited: a (exit status 1)", want: other}, // neither expected nor not
		{line: "WARN exited: a (exit status ; not expected)", want: other},
		{line: "WARN exited: a (exit status -1; not expected)", want: other},
		{line: "WARN exited: a (exit status 256; not expected)", want: other},
		{line: "WARN exited: a (terminated by ; not expected)", want: other},
		{line: "WARN exited: a (terminated by SIG; not expected)", want: other},
		{line: "WARN exited: a (terminated by sigkill; not expected)", want: other},
		{line: "WARN exited: a (terminated by signal x; not expected)", want: other},
		{line: "INFO spawned: a with pid 1", want: other},
		{line: "INFO spawned: '' with pid 1", want: other},
		{line: "INFO spawned: 'a' with pid ", want: other},
		{line: "INFO spawned: 'a' with pid 0", want: other},
		{line: "INFO spawned: 'a' with pid 99999999999", want: other},
		{line: "INFO success: a", want: other},
		{line: "INFO gave up: ", want: other},
		{line: "INFO waiting for a to stop", want: other},
		{line: "INFO reaped unknown pid 17 (exit status 3)", want: other},
		{line: "DEBG 'a' stdout output:", want: other},
		{line: "CRIT Server 'unix_http_server' running without any HTTP authentication checking", want: other},

		{line: "WARN exited: api_00 (exit status 3; not expected)", want: death(Exited, "api_00", 3, "")},
		{line: "INFO exited: api_00 (exit status 0; expected)", want: expected},
		{
			line: "WARN exited: api_00 (terminated by SIGKILL; not expected)",
			want: death(Exited, "api_00", -1, "SIGKILL"),
		},
		{line: "WARN exited: api_00 (terminated by SIGSEGV (core dumped); not expected)", want: core},
		{
			line: "WARN exited: api_00 (terminated by signal 35; not expected)",
			want: death(Exited, "api_00", -1, "signal 35"),
		},
		{
			line: "WARN exited: api_00 (terminated by SIGRTMIN; not expected)",
			want: death(Exited, "api_00", -1, "SIGRTMIN"),
		},
		// A death of which nothing is known is still the next one.
		{
			line: "WARN exited: api_00 (unknown termination cause 0x137f; not expected)",
			want: death(Exited, "api_00", -1, ""),
		},
		{line: "WARN stopped: api_00 (terminated by SIGTERM)", want: death(Stopped, "api_00", -1, "SIGTERM")},
		{line: "INFO stopped: api_00 (exit status 0)", want: death(Stopped, "api_00", 0, "")},
		{
			line: "WARN exited: my.app-weird*>é (exit status 1; not expected)",
			want: death(Exited, "my.app-weird*>é", 1, ""),
		},
		{line: "WARN exited: a(exit (exit status 1; not expected)", want: death(Exited, "a(exit", 1, "")},
		{line: "WARN exited: (exit (exit status 1; not expected)", want: death(Exited, "(exit", 1, "")},
		{line: "WARN exited: ;)\tx (exit status 1; not expected)", want: death(Exited, ";)\tx", 1, "")},
		{line: "INFO spawned: 'api_00' with pid 11167", want: Line{Kind: Spawned, Name: "api_00", PID: 11167}},
		{line: "INFO spawned: ''' with pid 1", want: Line{Kind: Spawned, Name: "'", PID: 1}},
		{
			line: "INFO spawnerr: can't find command '/bin/nothing'",
			want: Line{Kind: SpawnErr, Text: "can't find command '/bin/nothing'"},
		},
		{line: "INFO spawnerr: ", want: Line{Kind: SpawnErr}},
		{
			line: "INFO success: api_00 entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)",
			want: Line{Kind: Success, Name: "api_00"},
		},
		{
			line: "INFO gave up: api_00 entered FATAL state, too many start retries too quickly",
			want: Line{Kind: GaveUp, Name: "api_00"},
		},
		{line: "INFO supervisord started with pid 1", want: Line{Kind: Started}},
		{line: "INFO RPC interface 'supervisor' initialized", want: Line{Kind: Started}},
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
	for _, bad := range []string{
		"2026-11-21 19:00:31.833 ", "2026-11-21T19:00:31,833 ", "xxxx-11-21 19:00:31,833 ", "2026-11-21 19:00:31,833_",
		"",
	} {
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
