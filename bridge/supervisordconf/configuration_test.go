package supervisordconf

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
)

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var configFiles = map[string]string{
	"etc/main.conf": `; a comment
# another
[DEFAULT]
startsecs=3
[supervisord]
logfile = %(here)s/log/%(ENV_TEST_LOG)s.log ; where it is
LogLevel:	DEBUG
environment=A="x;y",B="z ;w"
identifier=a%%b
[include]
files = parts/*.conf %(here)s/more.ini
[program:one]
command=sh -c "echo one;
    two # three
  four"

stdout_logfile=%(here)s/one
redirect_stderr = true
`,
	"etc/parts/a.conf":       "[eventlistener:supernats]\nevents=EVENT,TICK_5,\n  PROCESS_STATE\nbuffer_size=10\ncommand=%(here)s/bridge\n",
	"etc/parts/b.conf":       "[supervisord]\nlogfile_backups=%(here)s\n[program:one]\npriority=5\n",
	"etc/parts/.hidden.conf": "[program:hidden]\ncommand=x\n",
	"etc/more.ini":           "[program:two]\r\ncommand=/bin/two\r\n",
}

func TestReadConfiguration(t *testing.T) {
	t.Setenv("TEST_LOG", "super")
	dir := t.TempDir()
	writeFiles(t, dir, configFiles)

	c, err := Read(dir + "/etc/main.conf")
	if err != nil {
		t.Fatal(err)
	}
	if want := dir + "/etc/log/super.log"; c.Logfile != want || c.Loglevel != "debug" {
		t.Errorf("logfile %q, loglevel %q; want %q", c.Logfile, c.Loglevel, want)
	}
	got := map[string]map[string]string{}
	for _, s := range c.Sections {
		got[s.Name] = s.Options
	}
	want := map[string]map[string]string{
		"supervisord": {
			"logfile": dir + "/etc/log/%(ENV_TEST_LOG)s.log", "loglevel": "DEBUG", "environment": `A="x;y",B="z`,
			"identifier": "a%%b", "logfile_backups": dir + "/etc/parts", "startsecs": "3",
		},
		"include": {"files": "parts/*.conf " + dir + "/etc/more.ini", "startsecs": "3"},
		"program:one": {
			"command": "sh -c \"echo one;\ntwo\nfour\"", "stdout_logfile": dir + "/etc/one", "redirect_stderr": "true",
			"priority": "5", "startsecs": "3",
		},
		"eventlistener:supernats": {
			"events": "EVENT,TICK_5,\nPROCESS_STATE", "buffer_size": "10", "command": dir + "/etc/parts/bridge",
			"startsecs": "3",
		},
		"program:two": {"command": "/bin/two", "startsecs": "3"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s := c.Section("eventlistener:supernats"); s == nil || s.File != dir+"/etc/parts/a.conf" {
		t.Errorf("section %+v", s)
	}
	if id, err := c.Section("supervisord").Value("identifier", ""); id != "a%b" || err != nil {
		t.Errorf("identifier %q, %v", id, err)
	}
	if c.Section("program:hidden") != nil {
		t.Error("a hidden file was included")
	}
}

// The same options as Python's parser with supervisord's settings.
func TestReadConfigurationAsPython(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil || exec.Command(python, "-c", "import supervisor.options").Run() != nil {
		t.Skip("no Python with supervisor")
	}
	const script = `
import sys
from supervisor.options import UnhosedConfigParser
p = UnhosedConfigParser()
p.read(sys.argv[1])
for s in p.sections():
    for k, v in sorted(p.items(s)):
        print(repr((s, k, v)))
`
	const check = `
import ast, sys
a = sorted(map(ast.literal_eval, open(sys.argv[1])))
b = sorted(map(ast.literal_eval, open(sys.argv[2])))
for x in sorted(set(a) ^ set(b)): print("python" if x in a else "go", x)
`
	for name, text := range map[string]string{
		"a shipped one":    configFiles["etc/parts/b.conf"] + "\n;x\n[supervisord]\nlogfile=/x ;y\n",
		"continued values": "[supervisord]\na=1\n 2\n\n 3\n;no\n 4\nb =\n   5\n[x]\n  c : 6\n    7\n  d = 8 # 9\ne=a;b#c ;d\n",
		"brackets":         "[supervisord]\nk=v\n[a:b]c]\nx=[y]\n [indented]\n z=1\n[odd] trailing\nq=2\n",
		"signs":            "[supervisord]\na:b=c\nd=e:f\nG H = i\nempty=\nj==k\n",
		"defaults":         "[DEFAULT]\na=1\n[supervisord]\nb=2\n[x]\na=3\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{"c.conf": text, "script.py": script, "check.py": check})
			want, err := exec.Command(python, dir+"/script.py", dir+"/c.conf").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, want)
			}
			c, err := Read(dir + "/c.conf")
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			quote := strings.NewReplacer("\\", "\\\\", "'", "\\'", "\n", "\\n", "\t", "\\t")
			for _, s := range c.Sections {
				for k, v := range s.Options {
					got.WriteString("('" + quote.Replace(s.Name) + "', '" + quote.Replace(k) + "', '" +
						quote.Replace(v) + "')\n")
				}
			}
			writeFiles(t, dir, map[string]string{"want": string(want), "got": got.String()})
			if out, err := exec.Command(python, dir+"/check.py", dir+"/want", dir+"/got").CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestReadConfigurationRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no file":         {want: "no such file"},
		"no section":      {text: "a=b\n", want: "c.conf:1: invalid line"},
		"no supervisord":  {text: "[program:x]\ncommand=y\n", want: "no section [supervisord]"},
		"unknown name":    {text: "[supervisord]\nlogfile=%(nothing)s\n", want: `unknown name "nothing"`},
		"bad expansion":   {text: "[supervisord]\nlogfile=100%\n", want: "invalid expansion"},
		"half expansion":  {text: "[supervisord]\nlogfile=%(here)\n", want: "invalid expansion"},
		"neither of both": {text: "[supervisord]\nnonsense\n", want: "c.conf:2: invalid line"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.text != "" {
				writeFiles(t, dir, map[string]string{"c.conf": test.text})
			}
			if _, err := Read(dir + "/c.conf"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestParseCommand(t *testing.T) {
	for line, want := range map[string]command{
		"/usr/bin/supervisord": {program: "/usr/bin/supervisord"},
		"/usr/bin/python3 /usr/bin/supervisord -n -c /etc/s.conf": {
			program: "/usr/bin/supervisord", config: "/etc/s.conf",
		},
		"python3 -m supervisor.supervisord --conf=x -nel debug": {
			program: "supervisor.supervisord", config: "x", loglevel: "l",
		},
		"supervisord -nc/x -e DEBUG --directory /d --logfile_b 3 -l log": {
			program: "supervisord", config: "/x", loglevel: "debug", directory: "/d", logfile: "log",
		},
		"supervisord --logfile a.log --nodaemon -k -t -s -u www -c": {program: "supervisord", logfile: "a.log"},
	} {
		got := parseCommand(strings.Fields(line))
		if got != want {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
	}
}

// The default places, from the directory that the process is in.
func TestFindConfiguration(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"run/etc/supervisord.conf": "[supervisord]\n", "bin/supervisord": "#!/bin/sh\nread x\n",
	})
	if err := os.Chmod(dir+"/bin/supervisord", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir + "/bin/supervisord")
	cmd.Dir = dir + "/run"
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var path string
	supervisordtest.Wait(t, 10*time.Second, func() bool { // its command line comes a moment after it
		path, err = Find(cmd.Process.Pid)
		return err == nil
	}, "the configuration to be found")
	in.Close()
	_ = cmd.Wait()
	if want := dir + "/run/etc/supervisord.conf"; err != nil || path != want {
		t.Errorf("%q, %v; want %q", path, err, want)
	}
	if _, err := Find(0); err == nil {
		t.Error("a configuration of no process")
	}
}
