package section

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
)

// argsEnv makes the test binary something else, see init.
const argsEnv = "BRIDGE_TEST_ARGS"

// The test binary is the command of a listener too, and whatever runs under a
// supervisord: see TestConfCommand.
func init() {
	if file := os.Getenv(argsEnv); file != "" {
		os.Exit(writeArgs(file))
	}
}

// writeArgs writes its arguments to a file and waits for its end.
func writeArgs(file string) int {
	b, err := json.Marshal(os.Args[1:])
	if err == nil {
		err = errors.Join(os.WriteFile(file+".new", b, 0o644), os.Rename(file+".new", file))
	}
	if err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestWriteConfErrors(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\r", "\n"} {
		var b strings.Builder
		if err := Write(&b, []string{"supernats-bridge", bad}, nil, Options{OneSection: true}); err == nil ||
			b.Len() > 0 {
			t.Errorf("%q: %v\n%s", bad, err, &b)
		}
	}
	broken := errors.New("disk is full")
	if err := Write(failingWriter{broken}, []string{"x"}, []string{"x"}, Options{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestConfWord(t *testing.T) {
	for word, want := range map[string]string{
		"/usr/bin/supernats-bridge":       `/usr/bin/supernats-bridge`,
		"--nats-url=nats://a:4222,b:4222": `--nats-url=nats://a:4222,b:4222`,
		"":                                `""`,
		"a b":                             `"a b"`,
		`it's "so"`:                       `"it's \"so\""`,
		`C:\x`:                            `"C:\\x"`,
		"100%":                            `100%%`,
		"50 %":                            `"50 %%"`,
		"a ;b":                            `"a "";b"`,
		"#1":                              `"""#1"`,
		"é":                               `é`,
	} {
		if got := quoteWord(word); got != want {
			t.Errorf("quoteWord(%q) = %s, want %s", word, got, want)
		}
	}
}

// What supervisord makes of the section are the words that went in.
func TestConfCommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := []string{
		"--host", "web 1", "", " ", "--x=é ü", `"`, `'`, `\`, `\"`, `it's "so"`, "100%", "%%", "% d", "%(program_name)s", "%(ENV_HOME)s",
		";", " ;", "a;b", "a ; b", "#", "a #b", "$HOME", "`id`", "tab\there", "a\u00a0;b", "~", "*", "{}", "(", "=", "last ",
	}
	var section strings.Builder
	o := Options{OneSection: true, StderrLogfile: "%(here)s/stderr.log"}
	if err := Write(&section, append([]string{self}, words...), nil, o); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "args.json")
	t.Setenv(argsEnv, file) // for supervisord, which hands it on
	supervisordtest.Start(t, section.String())
	var got []string
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(b, &got) == nil
	}, "the command's words")
	if diff := cmp.Diff(words, got); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

// The log goes to a directory that exists.
func TestStderrLogfile(t *testing.T) {
	dir := t.TempDir()
	mkdir := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := func(name, logfile string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("[supervisord]\nlogfile="+logfile+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	logs, own, none := mkdir("log/supervisor"), mkdir("own"), filepath.Join(dir, "none")
	good := conf("good.conf", own+"/supervisord.log")
	temporary := filepath.Join(os.TempDir(), "supernats-bridge-1000.log")
	for _, tc := range []struct {
		name           string
		configurations []string
		logs           string
		uid            int
		want           string
	}{
		{
			name: "beside supervisord's own", configurations: []string{none, good}, logs: logs, uid: 1000,
			want: own + "/supernats-bridge.log",
		},
		{
			name: "its own goes to standard output", configurations: []string{conf("stdout.conf", "/dev/stdout")},
			logs: logs, uid: 1000, want: logs + "/supernats-bridge.log",
		},
		{
			name: "its own is not there", configurations: []string{conf("missing.conf", none+"/x.log")}, logs: logs,
			uid: 1000, want: logs + "/supernats-bridge.log",
		},
		{
			name: "no configuration", configurations: []string{none}, logs: logs, uid: 1000,
			want: logs + "/supernats-bridge.log",
		},
		{
			name: "no directory of logs, root", configurations: nil, logs: dir + "/log/none", uid: 0,
			want: dir + "/log/supernats-bridge.log",
		},
		{name: "no directory of logs", configurations: nil, logs: dir + "/log/none", uid: 1000, want: temporary},
		{name: "nothing", configurations: nil, logs: none + "/none", uid: 1000, want: temporary},
	} {
		if got := defaultLogfile(tc.configurations, tc.logs, tc.uid); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestConfStderr(t *testing.T) {
	for _, tc := range []struct {
		name  string
		o     Options
		want  []string // what stderr_logfile and its size are in the sections
		wrong bool
	}{
		{
			name: "given", o: Options{StderrLogfile: "%(here)s/a b.log"},
			want: []string{"%(here)s/a b.log", "10MB", "%(here)s/a b-logs.log", "10MB"},
		},
		{
			name: "a word of supervisord's", o: Options{StderrLogfile: "NONE"},
			want: []string{"NONE", "10MB", "NONE", "10MB"},
		},
		{name: "a container", o: Options{Container: true}, want: []string{"/dev/stderr", "0", "/dev/stderr", "0"}},
		{
			name: "a container with a file", o: Options{Container: true, StderrLogfile: "/proc/1/fd/2"},
			want: []string{"/proc/1/fd/2", "0", "/proc/1/fd/2", "0"},
		},
		{name: "a line break", o: Options{StderrLogfile: "a\nb"}, wrong: true},
		{name: "a comment", o: Options{StderrLogfile: "a ;b"}, wrong: true},
		{name: "all comment", o: Options{StderrLogfile: "#b"}, wrong: true},
		{name: "spaces", o: Options{StderrLogfile: " b"}, wrong: true},
	} {
		var b strings.Builder
		err := Write(&b, []string{"x"}, []string{"x"}, tc.o)
		if err != nil || tc.wrong {
			if !tc.wrong || err == nil || b.Len() > 0 {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		var got []string
		for line := range strings.SplitSeq(b.String(), "\n") {
			for _, name := range []string{"stderr_logfile=", "stderr_logfile_maxbytes="} {
				if v, ok := strings.CutPrefix(line, name); ok {
					got = append(got, v)
				}
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// Together the sections have every event of supervisor, none of them twice but the
// tick of the watch.
func TestConfEvents(t *testing.T) {
	for _, name := range schema.Names() {
		in := 0
		for want := range strings.SplitSeq(mainEvents+","+logsEvents, ",") {
			if schema.Is(name, want) {
				in++
			}
		}
		if want := map[bool]int{true: 2, false: 1}[name == schema.Tick3600]; in != want {
			t.Errorf("%s is in %d sections, want %d", name, in, want)
		}
	}
}
