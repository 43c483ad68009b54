package supervisord

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const stamp = "2026-11-21 19:00:31,833 "

func TestParseLine(t *testing.T) {
	other := line{}
	death := func(k kind, name string, code int16, signal string) line {
		return line{kind: k, name: name, code: code, text: signal}
	}
	core := death(lineExited, "api_00", -1, "SIGSEGV")
	core.core = true
	expected := death(lineExited, "api_00", 0, "")
	expected.expected = true
	for _, test := range []struct {
		line string
		want line
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

		{"WARN exited: api_00 (exit status 3; not expected)", death(lineExited, "api_00", 3, "")},
		{"INFO exited: api_00 (exit status 0; expected)", expected},
		{"WARN exited: api_00 (terminated by SIGKILL; not expected)", death(lineExited, "api_00", -1, "SIGKILL")},
		{"WARN exited: api_00 (terminated by SIGSEGV (core dumped); not expected)", core},
		{"WARN exited: api_00 (terminated by signal 35; not expected)", death(lineExited, "api_00", -1, "signal 35")},
		{"WARN exited: api_00 (terminated by SIGRTMIN; not expected)", death(lineExited, "api_00", -1, "SIGRTMIN")},
		// A death of which nothing is known is still the next one.
		{"WARN exited: api_00 (unknown termination cause 0x137f; not expected)", death(lineExited, "api_00", -1, "")},
		{"WARN stopped: api_00 (terminated by SIGTERM)", death(lineStopped, "api_00", -1, "SIGTERM")},
		{"INFO stopped: api_00 (exit status 0)", death(lineStopped, "api_00", 0, "")},
		{"WARN exited: my.app-weird*>é (exit status 1; not expected)", death(lineExited, "my.app-weird*>é", 1, "")},
		{"WARN exited: a(exit (exit status 1; not expected)", death(lineExited, "a(exit", 1, "")},
		{"WARN exited: (exit (exit status 1; not expected)", death(lineExited, "(exit", 1, "")},
		{"WARN exited: ;)\tx (exit status 1; not expected)", death(lineExited, ";)\tx", 1, "")},
		{"INFO spawned: 'api_00' with pid 11167", line{kind: lineSpawned, name: "api_00", pid: 11167}},
		{"INFO spawned: ''' with pid 1", line{kind: lineSpawned, name: "'", pid: 1}},
		{"INFO spawnerr: can't find command '/bin/nothing'", line{kind: lineSpawnErr, text: "can't find command '/bin/nothing'"}},
		{"INFO spawnerr: ", line{kind: lineSpawnErr}},
		{"INFO success: api_00 entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)", line{kind: lineSuccess, name: "api_00"}},
		{"INFO gave up: api_00 entered FATAL state, too many start retries too quickly", line{kind: lineGaveUp, name: "api_00"}},
		{"INFO supervisord started with pid 1", line{kind: lineStarted}},
		{"INFO RPC interface 'supervisor' initialized", line{kind: lineStarted}},
	} {
		got := parseLine(stamp + test.line)
		if want := time.Date(2026, 11, 21, 19, 0, 31, 833e6, time.Local); test.want.kind != lineOther && !got.at.Equal(want) {
			t.Errorf("%s: at %v, want %v", test.line, got.at, want)
		}
		got.at = time.Time{}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(line{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.line, diff)
		}
	}
	for _, bad := range []string{"2026-11-21 19:00:31.833 ", "2026-11-21T19:00:31,833 ", "xxxx-11-21 19:00:31,833 ", "2026-11-21 19:00:31,833_", ""} {
		if got := parseLine(bad + "WARN exited: a (exit status 1; not expected)"); got.kind != lineOther {
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
		l := parseLine(s)
		if strings.Contains(l.name, " ") || l.kind != lineOther && l.at.IsZero() {
			t.Errorf("%q: %+v", s, l)
		}
		exit := l.exit()
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
		if parseLine(lines[i%3]).kind == lineOther {
			b.Fatal(lines[i%3])
		}
	}
}
