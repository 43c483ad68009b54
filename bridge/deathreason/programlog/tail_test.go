package programlog

import (
	"os"
	"testing"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/supervisordconf"
	"supernats/schema"
)

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
		text, _, err := (&Tail{path: dir + "/log", begin: begin, end: end}).Read(n)
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

	write("other", "a file that is no part of the log\n")
	gone := markOf(dir + "/other").file

	for _, test := range []struct {
		name       string
		begin, end mark
		n          int64
		want       string
	}{
		{
			name:  "over both files",
			begin: first,
			end:   second,
			n:     100,
			want:  "second, begun\nsecond, ended\n",
		},
		{name: "as much as fits", begin: first, end: second, n: 20, want: "begun\nsecond, ended\n"},
		{name: "what follows it", begin: second, end: mark{}, n: 100, want: "third\n"},
		{name: "what came before it", begin: mark{}, end: first, n: 100, want: "first\n"},
		{name: "unknown", begin: mark{}, end: mark{}, n: 100, want: "second, ended\nthird\n"},
		{name: "an end in a file that is gone", begin: first, end: mark{file: gone, size: 3}, n: 100},
		{
			name:  "a beginning in a file that is gone",
			begin: mark{file: gone, size: 3},
			end:   second,
			n:     100,
			want:  "second, ended\n",
		},
		{
			name:  "a log that was cut",
			begin: mark{file: second.file, size: 1000},
			end:   mark{},
			n:     100,
			want:  "second, ended\nthird\n",
		},
	} {
		if got := read(test.begin, test.end, test.n); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// The same for programs of which only the configuration is known.
func TestLogFromBeforeStart(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"c.conf": "[supervisord]\n[group:g]\nprograms=web\n[program:web]\nprocess_name=%(program_name)s_%(process_num)02d\nnumprocs=2\n" +
			"stdout_logfile=%(here)s/%(group_name)s_%(process_num)d.log\nstderr_logfile=NONE\n[program:auto]\ncommand=x\n",
		"g_0.log": "of another boot\n", "g_1.log": "of this boot\n",
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-100 * 24 * time.Hour)
	if err := os.Chtimes(dir+"/g_0.log", old, old); err != nil {
		t.Fatal(err)
	}
	c, err := supervisordconf.Read(dir + "/c.conf")
	if err != nil {
		t.Fatal(err)
	}
	var programs []Program
	for _, p := range c.Programs() {
		programs = append(programs, Program(p))
	}
	l := New()
	l.Configure(programs, ownlog.Inode{}, os.Getpid(), true) // for supervisord
	for process, want := range map[string]string{"web_00": "", "web_01": "of this boot\n"} {
		tails := l.Tails(&schema.Event{Event: schema.ProcessStateExited, Group: "g", Process: process, Serial: 1})
		if text, _, err := tails[0].Read(100); text != want || err != nil || !tails[1].None {
			t.Errorf("%s: %q, %v, %+v", process, text, err, tails)
		}
	}
	if tails := l.Tails(&schema.Event{Event: schema.ProcessStateExited, Group: "auto", Process: "auto"}); tails[0].Known || tails[1].Known {
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
	l := New()
	l.Know([]schema.SnapshotProcess{
		{Group: "web", Process: "web", State: "RUNNING", PID: 7, Start: time.Now().Unix() - 60, StdoutLogfile: path},
	})
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("of now\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	tails := l.Tails(&schema.Event{Event: schema.ProcessStateExited, Group: "web", Process: "web", Serial: 1})
	if text, whole, err := tails[0].Read(100); text != "of now\n" || !whole || err != nil {
		t.Errorf("%q, %v, %v", text, whole, err)
	}
}
