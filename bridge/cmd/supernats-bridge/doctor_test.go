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
	in := &installation{T: t, dir: supervisordtest.Dir(t), good: map[string]string{}}
	programtest.Build(t, in.dir, "supernats/bridge/cmd/supernats-bridge")
	in.program = in.dir + "/supernats-bridge"
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
	js := nats.JetStream()
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		_, err := js.Stream(t.Context(), stream.Events)
		return err == nil
	}, "the bridge to make its stream")
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
func (in *installation) isRunning() bool {
	out, _ := in.server.Ctl("status", "supernats")
	return strings.Contains(out, "RUNNING")
}

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

	c := exec.Command("sh", "-c", run)
	c.Env = append(os.Environ(), "PATH="+in.dir+":"+os.Getenv("PATH"))
	if out, err := c.CombinedOutput(); err != nil {
		in.Fatalf("%s: %v\n%s", run, err, out)
	}
	supervisordtest.Wait(in, 20*time.Second, in.isRunning, "the bridge to run after: %s", run)
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
		_, _ = in.server.Ctl(again)
		supervisordtest.Wait(t, 20*time.Second, in.isRunning, "the bridge to run again")
	}()

	m.make(in)
	out, err := in.server.Ctl("update")
	if refused := err != nil || strings.Contains(out, "CANT_REREAD"); refused != m.refused {
		t.Errorf("supervisord refuses it: %v; %s", refused, out)
	}
	in.find(m)
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

// mistake is one that people make.
type mistake struct {
	name string
	make func(*installation)
	// check, message and fix are of what is to be found.
	check, message, fix string
	// refused means that supervisord refuses the whole configuration; needsRoot that it has
	// to change users; byHand that only people can fix it.
	refused, needsRoot, byHand bool
}

var mistakes = []mistake{
	{
		name:  "a buffer as small as supervisord's default",
		make:  func(in *installation) { in.section("buffer_size=65536\n", "") },
		check: "section", message: "buffer_size is 10", fix: "add buffer_size=65536 to [eventlistener:supernats] after",
	},
	{
		name:  "events without crashes and ticks",
		make:  func(in *installation) { in.section("events=PROCESS_STATE,", "events=PROCESS_STATE_RUNNING,") },
		check: "events", message: "nobody is notified of all crashes", fix: "write events=PROCESS_STATE,",
	},
	{
		name:  "a misspelt event",
		make:  func(in *installation) { in.section("events=PROCESS_STATE,", "events=PROCES_STATE,") },
		check: "config", message: "PROCES_STATE, which is no event", fix: "write events=PROCESS_STATE,", refused: true,
	},
	{
		name:  "no ticks",
		make:  func(in *installation) { in.section(",TICK,", ",") },
		check: "events", message: "neither TICK_5 nor TICK_60", fix: ",TICK at",
	},
	{
		name: "the priority of another listener",
		make: func(in *installation) {
			in.write(in.dir+"/conf.d/mail.conf", "[eventlistener:mail]\ncommand=sleep 1000\nevents=TICK_3600\npriority=-17\n")
		},
		check: "section", message: "priority -17 is that of the listener mail", fix: "write priority=-19 at",
	},
	{
		name:  "a program that is stopped after the bridge",
		make:  func(in *installation) { in.edit("conf.d/app.conf", "command", "priority=-100\ncommand") },
		check: "section", message: "app has -100", fix: "write priority=-117 at",
	},
	{
		name:  "startsecs as supervisord's default",
		make:  func(in *installation) { in.section("startsecs=0\n", "") },
		check: "section", message: "startsecs is 1", fix: "add startsecs=0",
	},
	{
		name:  "no restart",
		make:  func(in *installation) { in.section("autorestart=true\n", "autorestart=unexpected\n") },
		check: "section", message: "autorestart is unexpected", fix: "write autorestart=true",
	},
	{
		name:  "the protocol in a log",
		make:  func(in *installation) { in.section("stdout_logfile=NONE", "stdout_logfile="+in.dir+"/out.log") },
		check: "section", message: "where supervisord writes each answer", fix: "write stdout_logfile=NONE",
	},
	{
		name:  "the bridge's log in the protocol",
		make:  func(in *installation) { in.section("redirect_stderr=false", "redirect_stderr=true") },
		check: "config", message: "redirect_stderr is true", fix: "write redirect_stderr=false", refused: true,
	},
	{
		name:  "a log in no directory",
		make:  func(in *installation) { in.section(in.dir+"/bridge.log", in.dir+"/logs/bridge.log") },
		check: "config", message: "does not exist", fix: "mkdir -p", refused: true,
	},
	{
		name:  "a percent sign",
		make:  func(in *installation) { in.section("command="+in.program, "command="+in.program+" --nats-user 50%") },
		check: "config", message: "command= cannot be expanded", fix: "--nats-user 50%%", refused: true,
	},
	{
		name: "variables without quotation marks",
		make: func(in *installation) {
			in.section("priority=-17", "priority=-17\nenvironment=SUPERNATS_LOG_TAIL=4KiB,NOTE=a,b@c")
		},
		check: "config", message: "environment= cannot be read", fix: `write environment=SUPERNATS_LOG_TAIL="4KiB",NOTE="a,b@c"`,
		refused: true,
	},
	{
		name:  "killed while it publishes",
		make:  func(in *installation) { in.section("stopwaitsecs=10", "stopwaitsecs=3") },
		check: "section", message: "stopwaitsecs is 3 and --drain 5s", fix: "write stopwaitsecs=10",
	},
	{
		name:  "no program",
		make:  func(in *installation) { in.section("command="+in.program, "command=/opt/none/supernats-bridge") },
		check: "command", message: "there is no program /opt/none/supernats-bridge", fix: "write command=",
	},
	{
		name:  "a flag that is not one",
		make:  func(in *installation) { in.section("--host "+in.host, "--host "+in.host+" --spool-maximum 1GiB") },
		check: "command", message: "--spool-maximum", fix: "correct command=", byHand: true,
	},
	{
		name:  "a directory that is not there",
		make:  func(in *installation) { in.section("priority=-17", "priority=-17\ndirectory=/nowhere") },
		check: "command", message: "directory=/nowhere does not exist", fix: "remove directory= at",
	},
	{
		name: "output without a section",
		make: func(in *installation) {
			text := in.good[in.dir+"/conf.d/supernats.conf"]
			in.write(in.dir+"/conf.d/supernats.conf", text[:strings.Index(text, "[eventlistener:supernats-logs]")])
			in.edit("conf.d/app.conf", "command", "stdout_events_enabled=true\ncommand")
		},
		check: "events", message: "a program has its output published", fix: "add the section supernats-logs", byHand: true,
	},
	{
		name:  "no section",
		make:  func(in *installation) { _ = os.Rename(in.dir+"/conf.d/supernats.conf", in.dir+"/conf.d/supernats.ini") },
		check: "section", message: "supernats.ini has one, and [include]", fix: "supernats-bridge conf", byHand: true,
	},
	{
		name:  "a crash that is expected",
		make:  func(in *installation) { in.edit("conf.d/app.conf", "command", "exitcodes=0,1\ncommand") },
		check: "programs", message: "exitcodes is 0,1", fix: "write exitcodes=0 at",
	},
	{
		name:  "a log of everything",
		make:  func(in *installation) { in.edit("supervisord.conf", "childlogdir", "loglevel=debug\nchildlogdir") },
		check: "supervisord", message: "loglevel is debug", fix: "write loglevel=info",
	},
	{
		name:  "a log without reasons",
		make:  func(in *installation) { in.edit("supervisord.conf", "childlogdir", "loglevel=error\nchildlogdir") },
		check: "supervisord", message: "does not log why", fix: "write loglevel=info",
	},
	{
		name:  "a log that grows",
		make:  func(in *installation) { in.edit("supervisord.conf", "childlogdir", "logfile_maxbytes=0\nchildlogdir") },
		check: "supervisord", message: "grows until the disk is full", fix: "write logfile_maxbytes=50MB",
	},
	{
		name:  "no server",
		make:  func(in *installation) { in.edit("supervisord.conf", "[unix_http_server]", "[unix_http_servers]") },
		check: "rpc", message: "neither [unix_http_server] nor", fix: "add the lines [unix_http_server]", byHand: true,
	},
	{
		name: "a user that may not ask supervisord",
		make: func(in *installation) {
			in.section("priority=-17", "priority=-17\nuser=nobody")
			_ = os.Chmod(in.spool, 0o777)
		},
		check: "rpc", message: "runs as nobody, which may not connect", fix: "write chmod=0770 at", needsRoot: true,
		byHand: true,
	},
	{
		name: "a user that may not write to the spool",
		make: func(in *installation) {
			in.section("priority=-17", "priority=-17\nuser=nobody")
			_ = os.Chmod(in.spool, 0o700)
		},
		check: "spool", message: "nobody may not write to --spool-dir", fix: "install -d -o nobody", needsRoot: true, byHand: true,
	},
	{
		name:  "a user that is not there",
		make:  func(in *installation) { in.section("priority=-17", "priority=-17\nuser=no-such-user") },
		check: "config", message: "user=no-such-user", fix: "with the name of a user", refused: true, byHand: true,
	},
	{
		name: "another server of NATS",
		make: func(in *installation) {
			in.section("--host "+in.host, "--host "+in.host+" --nats-url nats://127.0.0.1:1")
		},
		check: "nats", message: "events wait in the spool", fix: "correct the --nats- flags", byHand: true,
	},
	{
		name: "no password of supervisord",
		make: func(in *installation) {
			in.edit("supervisord.conf", "chmod=0700", "username=a\npassword=b\nchmod=0700")
		},
		check: "rpc", message: "asks for a password", fix: "SUPERVISOR_USERNAME", byHand: true,
	},
	{
		name: "a section in two files",
		make: func(in *installation) {
			in.write(in.dir+"/conf.d/z-copy.conf", in.good[in.dir+"/conf.d/supernats.conf"])
		},
		check: "section", message: "it stands at", fix: "remove the section at", byHand: true,
	},
}
