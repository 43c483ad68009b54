package bridge_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream/streamtest"
)

// environ is ours, with or without what supervisord adds.
func environ(t *testing.T, supervised bool) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SUPERVISOR_") })
	env = append(env, "SUPERNATS_SPOOL_DIR="+t.TempDir(), "SUPERNATS_NATS_URL=nats://127.0.0.1:1", "SUPERNATS_DRAIN=0s")
	if supervised {
		env = append(env, "SUPERVISOR_ENABLED=1")
	}
	return env
}

// Outside of supervisord it says what it is for, with exit code 2.
func TestStartedOutside(t *testing.T) {
	const (
		message = "supernats-bridge conf"
		event   = "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:TICK_5 len:6\nwhen:1"
	)
	for _, tc := range []struct {
		name, command string
		supervised    bool
		code          int
		text          string
	}{
		{name: "no input", command: `"$0" </dev/null`, supervised: false, code: 2, text: message},
		{name: "closed input", command: `"$0" <&-`, supervised: false, code: 2, text: message},
		{name: "closed input and output", command: `"$0" <&- >&-`, supervised: false, code: 2, text: message},
		{name: "a file", command: `printf hello >f; "$0" <f`, supervised: false, code: 2, text: message},
		{
			name: "no input, with supervisord's variable", command: `"$0" </dev/null`, supervised: true, code: 2,
			text: message,
		},
		{
			name: "a pipe that is no supervisord's", command: `echo hello | "$0"`, supervised: false, code: 2,
			text: message,
		},
		{name: "a pipe that says nothing", command: `: | "$0"`, supervised: false, code: 0, text: "stopped"},
		{
			name: "a pipe that is no supervisord's, with its variable", command: `echo hello | "$0"`, supervised: true,
			code: 1, text: message,
		},
		{
			name: "a supervisord whose variable was taken away", command: `printf '` + event + `' | "$0"`,
			supervised: false, code: 0, text: "stopped",
		},
		{name: "supervisord", command: `printf '` + event + `' | "$0"`, supervised: true, code: 0, text: "stopped"},
		{
			name:    "a supervisord that dies in an event",
			command: `printf '` + event + event[:len(event)-3] + `' | "$0"`, supervised: true, code: 0,
			text: "stopped",
		},
		{
			name: "a supervisord that stops before the first event", command: `: | "$0"`, supervised: true, code: 0,
			text: "stopped",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("sh", "-c", tc.command, program)
			cmd.Env, cmd.Dir = environ(t, tc.supervised), t.TempDir()
			var text strings.Builder
			cmd.Stderr = &text
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(text.String(), tc.text) {
				t.Errorf("exit code %d, want %d; want %q in\n%s", code, tc.code, tc.text, &text)
			}
		})
	}
}

// A supervisord that nobody can talk to any more is gone: exit code 0.
func TestAnswerToNobody(t *testing.T) {
	cmd := exec.Command(program)
	cmd.Env = environ(t, true)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil { // READY
		t.Fatal(err)
	}
	_ = out.Close()
	if _, err := in.Write([]byte("ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:TICK_5 len:6\nwhen:1")); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The last things in the stream of a bridge that is stopped, or whose supervisord
// was killed: the process table, and that it stopped. Its exit is one that was
// meant.
func TestStopping(t *testing.T) {
	t.Parallel()
	s, js := startWeb1(t, "")
	started, stopping := schema.BridgeSubject("web1", schema.BridgeStarted), schema.BridgeSubject("web1",
		schema.BridgeStopping)
	waitStored(t, js, started, 1)
	s.MustCtl(t, "stop", "supernats:supernats")
	waitStored(t, js, stopping, 1)
	msgs := stored(t, js, "supervisor.>")
	last := msgs[len(msgs)-2:]
	if last[0].Subject() != schema.SnapshotSubject("web1") ||
		!strings.Contains(string(last[0].Data()), `"reason":"stopping"`) || last[1].Subject() != stopping {
		t.Errorf("the last messages are\n%s %s\n%s %s", last[0].Subject(), last[0].Data(), last[1].Subject(),
			last[1].Data())
	}
	begun, err := schema.Unmarshal[*schema.Bridge](stored(t, js, started)[0].Data())
	if err != nil {
		t.Fatal(err)
	}
	ended, err := schema.Unmarshal[*schema.Bridge](last[1].Data())
	if err != nil {
		t.Fatal(err)
	}
	schematest.ValidateDocument(t, "bridge", stored(t, js, started)[0].Data())
	schematest.ValidateDocument(t, "bridge", last[1].Data())
	if ended.Type != "supernats.bridge.stopping" || ended.Data.PID != begun.Data.PID ||
		ended.Data.Boot != begun.Data.Boot ||
		ended.Data.Pool != "supernats" || ended.Data.Server != "supervisor" || ended.Data.Settings["drain"] != "5s" {
		t.Errorf("%s", last[1].Data())
	}
	supervisordtest.Wait(t, 10*time.Second, func() bool {
		return strings.Contains(s.Log(), "stopped: supernats (exit status 0)")
	}, "exit status 0")

	s.MustCtl(t, "start", "supernats:supernats")
	if err := s.SendRemote("n", "x"); err != nil {
		t.Fatal(err)
	}
	waitStored(t, js, started, 2)
	pid := s.ProcessID(t, "supernats")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	waitStored(t, js, stopping, 2)
	supervisordtest.Wait(t, 10*time.Second, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) },
		"the end of the bridge")
}

// While NATS is away a stop takes no longer than --drain, and what is not yet
// published waits in the spool for the next run.
func TestStopDuringAnOutage(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	nats.Stop()
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--host", "web1", "--drain", "1s"))
	if err := s.SendRemote("n", "x", "y"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	begun := time.Now()
	s.MustCtl(t, "stop", "supernats:supernats")
	if d := time.Since(begun); d < time.Second || d > 5*time.Second {
		t.Errorf("the stop took %v", d)
	}
	if !strings.Contains(s.Log(), "stopped: supernats (exit status 0)") {
		t.Error("the exit was none that was meant")
	}
	nats.Restart()
	s.MustCtl(t, "start", "supernats:supernats")
	js := nats.JetStream()
	waitStored(t, js, schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "n"}.String(), 2)
	waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStopping), 1)
}

// stray runs a bridge as the command of a shell that writes a byte of its own to
// the protocol's pipe, once, a moment after the first tick.
const stray = `
[eventlistener:supernats]
command=sh -c 'f=%s; if [ ! -e $f ]; then : >$f; (sleep 7; printf x) & fi; exec "$0" "$@"' %s
events=EVENT
buffer_size=65536
startsecs=0
autorestart=true
stdout_logfile=NONE
stderr_logfile=AUTO
`

// A listener that supervisord does not talk to any more notices it, exits with
// code 1, and is started again: nothing is lost meanwhile.
func TestStrayByte(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	dir := t.TempDir()
	section := strings.Replace(stray, "%s", dir+"/once", 1)
	section = strings.Replace(section, "%s", program+" --host web1 --spool-dir "+dir+"/spool --nats-url "+nats.URL, 1)
	s := supervisordtest.Start(t, section)
	js := nats.JetStream()
	s.WaitLog(t, "supernats: has entered the UNKNOWN state", 1)
	pid := s.ProcessID(t, "supernats")
	subject := schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "n"}.String()
	if err := s.SendRemote("n", "0", "1", "2"); err != nil {
		t.Fatal(err)
	}
	supervisordtest.Wait(t, time.Minute, func() bool {
		return strings.Contains(s.Log(), "exited: supernats (exit status 1; not expected)")
	}, "the exit")
	for i, m := range waitStored(t, js, subject, 3) {
		if e := event(t, m); *e.Data != string(rune('0'+i)) {
			t.Errorf("event %d is %q", i, *e.Data)
		}
	}
	if got := waitTrouble(t, js, "silent", false); !strings.Contains(got.Text, "no event for 30s") {
		t.Errorf("trouble is %+v", got)
	}
	if now := s.ProcessID(t, "supernats"); now == pid {
		t.Errorf("the bridge had pid %d and has %d", pid, now)
	}
	if lost := stored(t, js, schema.BridgeSubject("web1", schema.BridgeLoss)); len(lost) > 0 {
		t.Errorf("%d losses are reported: %s", len(lost), lost[0].Data())
	}
	logs, err := os.ReadFile(stderrOf(t, s))
	if err != nil || !strings.Contains(string(logs), "sent no event for 30s") {
		t.Errorf("%v; the bridge's log does not say why:\n%s", err, logs)
	}
}

// A supervisord that stands still for longer than the watch waits costs a restart at
// most, and a bridge that stands still none; nothing is lost.
func TestStandstill(t *testing.T) {
	t.Parallel()
	const length = 40 * time.Second
	for _, tc := range []struct {
		name     string
		pid      func(*supervisordtest.Supervisord) int
		restarts int // at most
	}{
		{name: "supervisord", pid: func(s *supervisordtest.Supervisord) int {
			text, _ := os.ReadFile(s.Dir + "/supervisord.pid")
			pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			return pid
		}, restarts: 1},
		{
			name: "bridge", pid: func(s *supervisordtest.Supervisord) int { return s.ProcessID(t, "supernats") },
			restarts: 0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, js := startWeb1(t, "")
			waitStored(t, js, schema.Subject{Host: "web1", Event: schema.Tick5}.String(), 1)
			if err := s.SendRemote("n", "0"); err != nil {
				t.Fatal(err)
			}
			pid := tc.pid(s)
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(length)
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			if err := s.SendRemote("n", "1"); err != nil {
				t.Fatal(err)
			}
			waitStored(t, js, schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "n"}.String(), 2)
			if n := strings.Count(s.Log(), "exited: supernats"); n > tc.restarts {
				t.Errorf("%d restarts, want at most %d", n, tc.restarts)
			}
			if lost := stored(t, js, schema.BridgeSubject("web1", schema.BridgeLoss)); len(lost) > 0 {
				t.Errorf("%d losses are reported: %s", len(lost), lost[0].Data())
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		if out, err := exec.Command(program, arg).CombinedOutput(); err != nil ||
			string(out) != "supernats-bridge dev\n" {
			t.Errorf("%s: %v %q", arg, err, out)
		}
	}
}
