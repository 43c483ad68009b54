package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/program/programtest"
)

// outage is how long the mail server is away in TestMailServerDown.
var outage = flag.Duration("outage", 5*time.Second, "length of the mail server's outage")

// bin is where the programs are, built once.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(programtest.Main(m, func(dir string) { bin = dir }, programtest.Both...))
}

// start runs the whole stage for the length of a test.
func start(t *testing.T, programs string) *stage {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	s, err := newStage(bin, programs, &screen{w: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logs())
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
			t.Errorf("%s is left behind", s.dir)
		}
	})
	return s
}

// What `task demo -- -once` shows.
func TestOnce(t *testing.T) {
	s := start(t, programs)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if missing := s.once(ctx); len(missing) > 0 {
		t.Errorf("not seen: %s", strings.Join(missing, "; "))
	}
}

// Without supernats-bridge nothing can be seen, and that is said.
func TestProgramsMissing(t *testing.T) {
	_, err := newStage(t.TempDir(), programs, &screen{w: t.Output()})
	if err == nil || !strings.Contains(err.Error(), "task build") {
		t.Errorf("error is %v, want one that names `task build`", err)
	}
}

// One supervisord can run what both programs print: of two groups of one name it would
// start the first only, and say nothing.
func TestSectionsDiffer(t *testing.T) {
	var sections string
	for _, args := range [][]string{
		{"supernats", "consume", "--print-unit", "supervisord"},
		{"supernats-bridge", "conf", "--stderr-logfile", "%(here)s/bridge.log"},
	} {
		out, err := exec.Command(filepath.Join(bin, args[0]), args[1:]...).Output()
		if err != nil {
			t.Fatalf("%s: %v", args[0], err)
		}
		sections += string(out)
	}

	// What it prints is meant for a machine of its own.
	sections = strings.Replace(sections, "user=supernats\n", "", 1)
	sections = strings.ReplaceAll(sections, "/var/log/supervisor", "%(here)s")
	sections = strings.ReplaceAll(sections, "autostart=true", "autostart=false")
	super := supervisordtest.Start(t, sections)

	// supervisorctl's exit code is 3: nothing runs.
	status, _ := super.Ctl("status")
	for _, name := range []string{"supernats", "supernats-consume", "supernats-logs"} {
		if !strings.Contains("\n"+status, "\n"+name+" ") {
			t.Errorf("no %s in\n%s", name, status)
		}
	}
}

// Crashes while the mail server is away are all reported when it is back, over a
// restart of the consumer too; meanwhile their states are recorded.
func TestMailServerDown(t *testing.T) {
	// They live a moment: supervisorctl calls a process that is gone before it has
	// looked "abnormal termination".
	dying := func(name, script string) string {
		return supervisordtest.Program(name, `sh -c "`+script+`"`, "autostart=false", "startsecs=0",
			"autorestart=false")
	}
	s := start(t, dying("a", "sleep 1000; exit 1")+dying("b", "sleep 0.3; exit 2")+
		dying("c", "sleep 0.3; kill -9 $$")+dying("d", "sleep 0.3; exit 4"))
	s.super.MustCtl(t, "start", "d") // one while all is well
	// Not only received: without the server's answer the mail would come again.
	supervisordtest.Wait(t, 30*time.Second, func() bool { return strings.Contains(s.logs(), `"message":"notified"`) },
		"the mail about d")
	address := s.smtp.Addr()
	if err := s.smtp.Close(); err != nil {
		t.Fatal(err)
	}
	down := time.Now()
	s.super.MustCtl(t, "start", "b")
	s.super.MustCtl(t, "start", "c")
	waitState(t, s, "b")
	waitState(t, s, "c")
	if err := end(s.consume); err != nil {
		t.Fatal(err)
	}
	if err := s.startConsume(); err != nil {
		t.Fatal(err)
	}
	s.super.MustCtl(t, "start", "a")
	s.super.MustCtl(t, "signal", "KILL", "a")
	waitState(t, s, "a")
	time.Sleep(time.Until(down.Add(*outage)))
	if err := s.startMail(address); err != nil {
		t.Fatal(err)
	}
	// Each once, by itself or in a digest.
	reasons := map[string]string{"a": "SIGKILL", "b": "exit code 2", "c": "SIGKILL"}
	seen := map[string]int{}
	supervisordtest.Wait(t, *outage+60*time.Second, func() bool {
		clear(seen)
		for _, m := range s.smtp.Mails() {
			for p, reason := range reasons {
				seen[p] += strings.Count(withoutLife(m.Text), p+" on demo exited unexpectedly ("+reason+")")
			}
		}
		return seen["a"] > 0 && seen["b"] > 0 && seen["c"] > 0
	}, "mails about all three")
	for p := range reasons {
		if seen[p] != 1 {
			t.Errorf("%s is reported %d times, want once", p, seen[p])
		}
	}
}

// withoutLife leaves out of a mail how long a process has run, which is never the same.
func withoutLife(s string) string {
	return regexp.MustCompile(`\(ran [0-9.]+ [a-z]+(?: [0-9]+ [a-z]+)?, `).ReplaceAllString(s, "(")
}

// A program's name may hold nearly anything: it is the same everywhere.
func TestOddName(t *testing.T) {
	const name = "my.app-weird*>é"
	s := start(t, "\n[program:"+name+"]\ncommand=sh -c \"exit 5\"\nstartsecs=0\nautorestart=false\n")
	waitMails(t, s, 1)
	if subject := withoutLife(s.smtp.Mails()[0].Subject()); subject != "[supervisor] CRITICAL demo "+name+
		" exited unexpectedly (exit code 5)" {
		t.Errorf("subject of the mail is %q", subject)
	}
	if !strings.Contains(s.smtp.Mails()[0].Text, "Process      "+name+"\n") {
		t.Errorf("text of the mail:\n%s", s.smtp.Mails()[0].Text)
	}
	r := waitState(t, s, name)
	if r.Process != name || r.Group != name || r.State != "EXITED" {
		t.Errorf("record of state is %+v", r)
	}
	out, err := s.command("supernats", "replay", "-c", s.config(), "--process", name, "--event", "PROCESS_STATE_EXITED",
		"-o", "jsonl").Output()
	if err != nil {
		t.Fatal(err)
	}
	ce, err := codec.UnmarshalEvent(out)
	if err != nil {
		t.Fatal(err)
	}
	if ce.Data.Process != name || ce.Subject != name+":"+name {
		t.Errorf("event names %q, its subject is %q", ce.Data.Process, ce.Subject)
	}
	if want := "supervisor.event.demo.my=2Eapp-weird=2A=3E=C3=A9.my=2Eapp-weird=2A=3E=C3=A9.process_state.exited"; ce.Data.Subject() != want {
		t.Errorf("subject is %s, want %s", ce.Data.Subject(), want)
	}
}

func waitMails(t *testing.T, s *stage, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), *outage+60*time.Second)
	defer cancel()
	if _, err := s.smtp.WaitFor(ctx, n); err != nil {
		t.Fatalf("%d of %d mails came: %v", len(s.smtp.Mails()), n, err)
	}
}

// waitState waits until an unexpected exit of a process is recorded.
func waitState(t *testing.T, s *stage, process string) schema.ProcessRecord {
	t.Helper()
	var r schema.ProcessRecord
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		states, err := s.states()
		r = states[process]
		return err == nil && r.UnexpectedExits == 1
	}, "the record of an exit of %s", process)
	return r
}

// The program's exit codes.
func TestExitCodes(t *testing.T) {
	demo := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", demo, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct {
		name string
		path string
		args []string
		code int
		says string
	}{
		{
			name: "no programs",
			path: os.Getenv("PATH"),
			args: []string{"-bin", t.TempDir()},
			code: 2,
			says: "task build",
		},
		{
			name: "no supervisord",
			path: "/nowhere",
			args: []string{"-bin", bin, "-once"},
			code: 2,
			says: "apt-get install supervisor",
		},
		{
			name: "nothing seen",
			path: os.Getenv("PATH"),
			args: []string{"-bin", bin, "-once", "-timeout", "1ms"},
			code: 1,
			says: "the mail about crasher",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("-short: needs a supervisord")
			}
			c := exec.Command(demo, test.args...)
			c.Env = append(os.Environ(), "PATH="+test.path)
			out, _ := c.CombinedOutput()
			if c.ProcessState.ExitCode() != test.code || !strings.Contains(string(out), test.says) {
				t.Errorf("exit code %d, want %d and a word of %q:\n%s", c.ProcessState.ExitCode(), test.code, test.says,
					out)
			}
		})
	}
}
