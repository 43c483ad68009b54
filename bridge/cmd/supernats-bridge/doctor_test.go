package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/checkup"
	"supernats/schema/program"
	"supernats/schema/program/programtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// bin is where the program under test is.
var bin string

func TestMain(m *testing.M) {
	os.Exit(programtest.Main(m, func(dir string) { bin = dir }, "supernats/bridge/cmd/supernats-bridge"))
}

// debianConf is supervisord.conf of Debian's package, with other directories.
const debianConf = `; supervisor config file

[unix_http_server]
file=%[1]s/supervisor.sock   ; (the path to the socket file)
chmod=0700                       ; sockef file mode (default 0700)

[supervisord]
logfile=%[1]s/supervisord.log ; (main log file;default $CWD/supervisord.log)
pidfile=%[1]s/supervisord.pid ; (supervisord pidfile;default supervisord.pid)
childlogdir=%[1]s            ; ('AUTO' child log dir, default $TEMP)

; the below section must remain in the config file for RPC
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%[1]s/supervisor.sock ; use a unix:// URL  for a unix socket

[include]
files = %[1]s/conf.d/*.conf
`

const oneProgram = "[program:app]\ncommand=sleep 1000\n"

// installation is a machine with a supervisord, its bridge and a NATS server.
type installation struct {
	*testing.T
	// host is a name that no other bridge of this machine has.
	dir, program, spool, host string
	server                    *supervisordtest.Supervisord
	good                      map[string]string // files
}

// install makes one on which nothing is wrong.
func install(t *testing.T) *installation {
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	nats := streamtest.Start(t)
	in := installOn(t, nats)
	js := nats.JetStream()
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		_, err := js.Stream(t.Context(), stream.Events)
		return err == nil
	}, "the bridge to make its stream")
	return in
}

// installOn is install on a server that may not run.
func installOn(t *testing.T, nats *streamtest.Server) *installation {
	t.Helper()
	in := &installation{T: t, dir: supervisordtest.Dir(t), good: map[string]string{}}
	in.program = in.dir + "/supernats-bridge"
	if err := os.Link(bin+"/supernats-bridge", in.program); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(in.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	in.spool = diskDir(t)
	in.host = "doctor" + filepath.Base(in.dir)

	sections, err := exec.Command(in.program, "conf", "--nats-url", nats.URL, "--host", in.host,
		"--spool-dir", in.spool, "--stderr-logfile", in.dir+"/bridge.log").Output()
	if err != nil {
		t.Fatal(err)
	}
	in.good[in.dir+"/supervisord.conf"] = fmt.Sprintf(debianConf, in.dir)
	in.good[in.dir+"/conf.d/supernats.conf"] = string(sections)
	in.good[in.dir+"/conf.d/app.conf"] = oneProgram
	if err := os.Mkdir(in.dir+"/conf.d", 0o755); err != nil {
		t.Fatal(err)
	}
	in.restore()

	in.server = supervisordtest.StartIn(t, in.dir)
	return in
}

// diskDir is a directory that is not in memory.
func diskDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "supernats")
	if err != nil {
		t.Fatalf("no directory that outlives a restart of the machine: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// restore writes the files on which nothing is wrong.
func (in *installation) restore() {
	in.Helper()
	files, _ := filepath.Glob(in.dir + "/conf.d/*")
	for _, file := range files {
		_ = os.Remove(file)
	}
	for file, text := range in.good {
		in.write(file, text)
	}
}

func (in *installation) write(file, text string) {
	in.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		in.Fatal(err)
	}
}

// edit replaces a text of a file.
func (in *installation) edit(name, before, after string) {
	in.Helper()
	file := filepath.Join(in.dir, name)
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), before) {
		in.Fatalf("%s has no %q: %v", name, before, err)
	}
	in.write(file, strings.Replace(string(text), before, after, 1))
}

// section edits the first section of the bridge.
func (in *installation) section(before, after string) {
	in.Helper()
	in.edit("conf.d/supernats.conf", before, after)
}

// examine returns what the command doctor finds that is not ok, and its exit code.
func (in *installation) examine() (found []checkup.Finding, code int) {
	in.Helper()
	c := exec.Command(in.program, "doctor", "-o", "json", "--supervisord-conf", in.dir+"/supervisord.conf")
	out, err := c.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if err := json.Unmarshal(out, &found); err != nil {
		in.Fatalf("%v: %s", err, out)
	}
	return slices.DeleteFunc(found, func(f checkup.Finding) bool { return f.Status == checkup.OK }), code
}

// isRunning reports whether supervisord runs the bridge.
func (in *installation) isRunning() bool { return in.server.State("supernats") == "RUNNING" }

// What a fix says to write, and the command after it.
var (
	writeLine  = regexp.MustCompile(`(?:^|and )write (\w+=.*?) at (\S+?):(\d+)( in place of (\d+) lines)?(?:,| and |$)`)
	addLine    = regexp.MustCompile(`(?:^|and )add (\w+=.*?) to \[\S+\] after (\S+?):(\d+)(?:,| and |$)`)
	removeLine = regexp.MustCompile(`^remove \w+= at (\S+?):(\d+)`)
	addLines   = regexp.MustCompile(`^add the lines (.+) to (\S+), then run`)
	command    = regexp.MustCompile(`(?:then run: )(.+?)(?: \(|;|$)`)
)

// play does what a fix says, as an operator would.
func (in *installation) play(fix string) {
	in.Helper()
	run := fix
	if m := command.FindStringSubmatch(fix); m != nil {
		run = m[1]
		in.writeAsTold(fix)
	}
	run, _, _ = strings.Cut(run, "; its log")

	in.afterRestart(run, func() {
		out, err := tryTwice(func() (string, error) {
			c := exec.Command("sh", "-c", run)
			c.Env = append(os.Environ(), "PATH="+in.dir+":"+os.Getenv("PATH"))
			out, err := c.CombinedOutput()
			return string(out), err
		})
		if err != nil {
			in.Fatalf("%s: %v\n%s", run, err, out)
		}
	})
	supervisordtest.Wait(in, 20*time.Second, in.isRunning, "the bridge to run after: %s", run)
}

// tryTwice runs a command again that met the listener as it was being started, as an operator
// would: supervisorctl update stops a group and removes it, and supervisord starts what was in
// BACKOFF in between (rpcinterface.py removeProcessGroup: STILL_RUNNING).
func tryTwice(run func() (string, error)) (out string, err error) {
	if out, err = run(); err != nil && strings.Contains(out, "STILL_RUNNING") {
		out, err = run()
	}
	return out, err
}

// afterRestart runs a command, and waits until supervisord has started again if it is a
// reload: the answer comes before that begins.
func (in *installation) afterRestart(command string, run func()) {
	in.Helper()
	const started = "supervisord started with pid"
	before := strings.Count(in.server.Log(), started)
	run()
	if strings.HasSuffix(command, "reload") || strings.HasPrefix(command, "kill -HUP ") {
		in.server.WaitLog(in, started, before+1)
	}
}

// writeAsTold edits the files that a fix names.
func (in *installation) writeAsTold(fix string) {
	in.Helper()
	if m := addLines.FindStringSubmatch(fix); m != nil {
		text, _ := os.ReadFile(m[2])
		lines := strings.NewReplacer(", ", "\n", " and ", "\n").Replace(m[1])
		in.write(m[2], string(text)+"\n"+lines+"\n")
		return
	}
	for _, m := range addLine.FindAllStringSubmatch(fix, -1) {
		in.replaceLines(m[2], m[3], 0, m[1])
	}
	for _, m := range writeLine.FindAllStringSubmatch(fix, -1) {
		n, _ := strconv.Atoi(m[5])
		in.replaceLines(m[2], m[3], max(n, 1), m[1])
	}
	if m := removeLine.FindStringSubmatch(fix); m != nil {
		in.replaceLines(m[1], m[2], 1)
	}
}

// replaceLines writes lines at a line of a file in place of n; without any, after it.
func (in *installation) replaceLines(file, line string, n int, with ...string) {
	in.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		in.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	at, _ := strconv.Atoi(line)
	if n > 0 {
		at--
	}
	in.write(file, strings.Join(slices.Replace(lines, at, at+n, with...), "\n"))
}

// On an installation as the manual says nothing is found; each mistake is found where it
// stands, with what fixes it, and after that nothing is found again.
func TestDoctorOfHost(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	t.Parallel()
	const machines = 4
	for n := range machines {
		t.Run("machine "+strconv.Itoa(n+1), func(t *testing.T) {
			t.Parallel()
			in := install(t)
			supervisordtest.Wait(t, 20*time.Second, in.isRunning, "the bridge to run")
			if found, code := in.examine(); len(found) > 0 || code != program.ExitDone {
				t.Fatalf("exit code %d on a good installation: %+v", code, found)
			}

			for i := n; i < len(mistakes); i += machines {
				t.Run(mistakes[i].name, func(t *testing.T) { in.try(t, mistakes[i]) })
			}
			in.T = t
		})
	}
}

// try makes a mistake, finds and fixes it, and leaves the installation as it was.
func (in *installation) try(t *testing.T, m mistake) {
	in.T = t
	if m.needsRoot && os.Geteuid() != 0 {
		t.Skip("supervisord changes users as root only")
	}
	defer func() {
		again := "update"
		if text, _ := os.ReadFile(in.dir + "/supervisord.conf"); string(text) != in.good[in.dir+"/supervisord.conf"] {
			again = "reload"
		}
		in.restore()
		in.afterRestart(again, func() { in.ctl(again) })
		supervisordtest.Wait(t, 20*time.Second, in.isRunning, "the bridge to run again")
	}()

	m.make(in)
	out, err := in.ctl("update")
	if refused := err != nil || strings.Contains(out, "CANT_REREAD"); refused != m.refused {
		t.Errorf("supervisord refuses it: %v; %s", refused, out)
	}
	in.find(m)
}

// ctl runs supervisorctl.
func (in *installation) ctl(args ...string) (out string, err error) {
	return tryTwice(func() (string, error) { return in.server.Ctl(args...) })
}

// find examines an installation with a mistake, and fixes it.
func (in *installation) find(m mistake) {
	in.Helper()
	found, code := in.examine()
	i := slices.IndexFunc(found, func(f checkup.Finding) bool { return f.Check == m.check && strings.Contains(f.Message, m.message) })
	if i < 0 {
		in.Fatalf("not found: %+v", found)
	}
	f := found[i]
	if f.Fix == "" || f.Message == "" || !strings.Contains(f.Fix, m.fix) {
		in.Errorf("fix %q of %q", f.Fix, f.Message)
	}
	if failed := slices.ContainsFunc(found, func(f checkup.Finding) bool { return f.Status == checkup.Fail }); failed != (code == program.ExitFailed) {
		in.Errorf("exit code %d for %+v", code, found)
	}
	if m.byHand {
		return
	}

	for range 4 {
		in.play(found[0].Fix)
		if found, code = in.examine(); len(found) == 0 {
			return
		}
	}
	in.Errorf("after all fixes, exit code %d: %+v", code, found)
}
