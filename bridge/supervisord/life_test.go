package supervisord

import (
	"os"
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

// lives are programs whose log of one life must not show another one.
const lives = `
[program:quiet]
command=sh DIR/quiet.sh
startsecs=0
autorestart=true
stopsignal=KILL
stdout_logfile=DIR/quiet.out
stderr_logfile=DIR/quiet.err
[program:bar]
command=sh DIR/bar.sh
startsecs=0
autorestart=false
redirect_stderr=true
stdout_logfile=DIR/bar.out
[program:gone]
command=sh -c "echo life $$; sleep 0.3; exit 1"
startsecs=2
startretries=1
stdout_logfile=DIR/gone.out
[program:one]
command=sh -c "sleep 0.2; echo of one; exit 1"
startsecs=0
autorestart=false
stdout_logfile=DIR/both.out
[program:two]
command=sh -c "sleep 0.2; echo of two; exit 1"
startsecs=0
autorestart=false
stdout_logfile=DIR/both.out
stderr_logfile=DIR/link.err
[program:own]
command=sh -c "sleep 0.2; echo into supervisords log; exit 1"
startsecs=0
autorestart=false
stdout_logfile=DIR/supervisord.log
stdout_logfile_maxbytes=0
[program:console]
command=sh -c "sleep 0.2; echo to the console; exit 1"
startsecs=0
autorestart=false
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
`

var liveFiles = map[string]string{
	// The first life writes why it died, the second one dies without a word, the third
	// one writes again.
	"quiet.sh": `
n=$(cat $0.n 2>/dev/null || echo 0); n=$((n+1)); echo $n >$0.n
sleep 0.3
case $n in
1) echo "Traceback: of the first life" >&2; exit 1;;
2) sleep 0.3; kill -KILL $$;;
3) sleep 1.5; echo "of the third life"; exit 3;;
*) exec sleep 1000;;
esac
`,
	"bar.sh": `
printf '\033[31mERROR\033[0m \033[1mno space left\033[0m\n' >&2
i=0; while [ $i -lt 100 ]; do i=$((i+1)); printf '\r%3d%%|##########################|' $i; done
exit 5
`,
}

func TestLogOfOneLife(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"files", "XML-RPC"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			f := startWith(t, lives, liveFiles)
			raised := map[string]string{}
			r := newReasons(t, f, 200)
			r.cfg.Raise = func(cause, text, _ string) { raised[cause] = text }
			r.cfg.Warn = func(error) {}
			if source == "XML-RPC" {
				overRPC(r)
			}
			table, err := f.client(t).Processes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r.Know(table)

			n := 0
			all := f.collect(t, "deaths", func(events []Received) bool {
				for _, e := range events[n:] {
					switch e.Event.Event {
					case schema.ProcessStateExited, schema.ProcessStateBackoff, schema.ProcessStateStopped:
						r.logs.end(procID{e.Event.Group, e.Event.Process}, e.Event.Serial) // as Run does
					}
					r.Explain(t.Context(), []Received{e})
				}
				n = len(events)
				return of(events, "quiet") >= 3 && count(events, schema.ProcessStateFatal) >= 1 && of(events, "console") == 1 && of(events, "two") == 1
			})
			logs := map[string][]*schema.Log{}
			for _, e := range all {
				if isDeath(e.Event) && e.Event.Event != schema.ProcessStateBackoff {
					logs[e.Event.Process] = append(logs[e.Event.Process], e.Event.Log)
				}
			}

			quiet := logs["quiet"]
			if quiet[0] == nil || quiet[0].Stderr != "Traceback: of the first life\n" || quiet[0].Stdout != "" {
				t.Errorf("first life: %+v", quiet[0])
			}
			if quiet[1] != nil {
				t.Errorf("the second life wrote nothing: %+v", quiet[1])
			}
			if quiet[2] == nil || quiet[2].Stdout != "of the third life\n" || quiet[2].Stderr != "" {
				t.Errorf("third life: %+v", quiet[2])
			}
			if l := logs["bar"][0]; l == nil || !strings.HasPrefix(l.Stdout, "ERROR no space left\n100%|") || strings.Contains(l.Stdout, "\uFFFD") {
				t.Errorf("bar: %+v", l)
			}
			if l := logs["gone"][0]; l == nil || strings.Count(l.Stdout, "life") != 1 {
				t.Errorf("a program that gave up shows the last life only: %+v", l)
			}
			for _, name := range []string{"one", "two", "own", "console"} {
				if l := logs[name][0]; l != nil {
					t.Errorf("%s has the log of a file that others write to: %+v", name, l)
				}
			}
			if !strings.Contains(raised[troubleTail], "console, one, ") {
				t.Errorf("raised %v", raised)
			}
		})
	}
}

// TestTailOfRotatedLog: a life reaches from one file to the next, and ends in one that
// was rotated away.
func TestTailOfRotatedLog(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		f, err := os.OpenFile(dir+"/"+name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	read := func(begin, end mark, n int64) string {
		t.Helper()
		text, _, err := (&tailOf{path: dir + "/log", begin: begin, end: end}).read(n)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	write("log", "first\n")
	first := markOf(dir + "/log")
	write("log", "second, begun\n")
	if err := os.Rename(dir+"/log", dir+"/log.1"); err != nil {
		t.Fatal(err)
	}
	write("log", "second, ended\n")
	second := markOf(dir + "/log")
	write("log", "third\n")

	for _, test := range []struct {
		name       string
		begin, end mark
		n          int64
		want       string
	}{
		{"over both files", first, second, 100, "second, begun\nsecond, ended\n"},
		{"as much as fits", first, second, 20, "begun\nsecond, ended\n"},
		{"what follows it", second, mark{}, 100, "third\n"},
		{"what came before it", mark{}, first, 100, "first\n"},
		{"unknown", mark{}, mark{}, 100, "second, ended\nthird\n"},
		{"an end in a file that is gone", first, mark{file: inode{1, 1}, size: 3}, 100, ""},
		{"a beginning in a file that is gone", mark{file: inode{1, 1}, size: 3}, second, 100, "second, ended\n"},
		{"a log that was cut", mark{file: second.file, size: 1000}, mark{}, 100, "second, ended\nthird\n"},
	} {
		if got := read(test.begin, test.end, test.n); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// The same for programs of which only the configuration is known.
func TestLogFromBeforeStart(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"c.conf": "[supervisord]\n[group:g]\nprograms=web\n[program:web]\nprocess_name=%(program_name)s_%(process_num)02d\nnumprocs=2\n" +
			"stdout_logfile=%(here)s/%(group_name)s_%(process_num)d.log\nstderr_logfile=NONE\n[program:auto]\ncommand=x\n",
		"g_0.log": "of another boot\n", "g_1.log": "of this boot\n",
	})
	old := time.Now().Add(-100 * 24 * time.Hour)
	if err := os.Chtimes(dir+"/g_0.log", old, old); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfiguration(dir + "/c.conf")
	if err != nil {
		t.Fatal(err)
	}
	var l logs
	l.init()
	l.own(location{config: c}, os.Getpid(), true) // for supervisord
	for process, want := range map[string]string{"web_00": "", "web_01": "of this boot\n"} {
		tails := l.tails(&schema.Event{Event: schema.ProcessStateExited, Group: "g", Process: process, Serial: 1})
		if text, _, err := tails[0].read(100); text != want || err != nil || !tails[1].none {
			t.Errorf("%s: %q, %v, %+v", process, text, err, tails)
		}
	}
	if tails := l.tails(&schema.Event{Event: schema.ProcessStateExited, Group: "auto", Process: "auto"}); tails[0].known || tails[1].known {
		t.Errorf("AUTO: %+v", tails)
	}
}

// What a log holds from before supervisord was started, or before the process was, is
// of no life of now.
func TestLogFromBefore(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/web.log"
	if err := os.WriteFile(path, []byte("of another boot\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	r := NewReasons(ReasonsConfig{Tail: 100})
	r.Know([]schema.SnapshotProcess{{Group: "web", Process: "web", State: "RUNNING", PID: 7, Start: time.Now().Unix() - 60, StdoutLogfile: path}})
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("of now\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	tails := r.logs.tails(&schema.Event{Event: schema.ProcessStateExited, Group: "web", Process: "web", Serial: 1})
	if text, whole, err := tails[0].read(100); text != "of now\n" || !whole || err != nil {
		t.Errorf("%q, %v, %v", text, whole, err)
	}
}
