package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
	"supernats/schema/secretfile"
)

var id = notify.Identity{Instance: "mon1", Version: "1.2.3"}

// script returns the configuration of a shell script, and a directory of its own.
func script(t testing.TB, text string) (Config, string) {
	t.Helper()
	dir := t.TempDir()
	return Config{
		Command: []string{"/bin/sh", "-c", text, "sh", dir}, Timeout: schema.Duration(time.Minute), KillAfter: schema.Duration(200 * time.Millisecond),
	}, dir
}

func receiver(t testing.TB, c Config) *Receiver {
	t.Helper()
	r, err := New("page", c.WithDefaults(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keep is a script that stores what it gets as one file, whole.
const keep = `f=$(mktemp "$1/part.XXXXXX"); cat >"$f"; n=$(date +%s%N); mv "$f" "$1/got.$n.${f##*.}"; `

var scripts = map[notifytest.Behaviour]string{
	notifytest.Accept:        keep + "exit 0",
	notifytest.RefuseForGood: keep + "echo no such pager >&2; exit 67",
	notifytest.RefuseForNow:  keep + "echo pager is busy; exit 75",
	notifytest.Silent:        keep + "sleep 1000; exit 0",
	notifytest.Drip:          keep + "while :; do echo x; sleep 0.02; done",
	notifytest.Flood:         keep + "exec yes flood",
}

// TestMain finds what still runs after a delivery.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReceiver(t *testing.T) {
	notifytest.RunReceiver(t, func(t *testing.T, b notifytest.Behaviour, timeout time.Duration) notifytest.Peer {
		c, dir := script(t, scripts[b])
		c.Timeout = schema.Duration(timeout)
		return notifytest.Peer{Receiver: receiver(t, c), Got: func() [][]byte { return got(t, dir) }, IDs: func(body []byte) []string {
			var list []string
			for _, n := range batch(t, body) {
				list = append(list, n.ID)
			}
			return list
		}}
	})
}

// got reads what the script has stored, in order.
func got(t testing.TB, dir string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "got.*"))
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

func batch(t testing.TB, body []byte) []*notify.Notification {
	t.Helper()
	var list []*notify.Notification
	if err := json.Unmarshal(body, &list); err != nil {
		t.Error(err)
	}
	return list
}

// TestInput: the command gets all of the batch, as it is in the stream.
func TestInput(t *testing.T) {
	c, dir := script(t, scripts[notifytest.Accept])
	want := append(notifytest.Many(20), notifytest.Notification(schema.TypeAlertResolved, "x", 2))
	if err := receiver(t, c).Notify(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	all := got(t, dir)
	if len(all) != 1 {
		t.Fatalf("ran %d times", len(all))
	}
	if diff := cmp.Diff(want, batch(t, all[0])); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
}

// TestUnread: a command need not read its input, however big.
func TestUnread(t *testing.T) {
	for name, text := range map[string]string{"at all": "exit 0", "whole": "head -c 10 >/dev/null", "closed": "exec <&-; sleep 0.05"} {
		t.Run(name, func(t *testing.T) {
			c, _ := script(t, text)
			if err := receiver(t, c).Notify(t.Context(), notifytest.Many(3000)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExit(t *testing.T) {
	for code, permanent := range map[int]bool{
		1: false, 2: false, 63: false, 64: true, 65: true, 66: true, 67: true, 68: true, 69: false, 70: true, 71: false,
		72: true, 73: true, 74: false, 75: false, 76: true, 77: true, 78: true, 79: false, 126: false, 127: false, 255: false,
	} {
		c, _ := script(t, fmt.Sprintf("echo one; printf 'two\\033[1m\\377' >&2; exit %d", code))
		err := receiver(t, c).Notify(t.Context(), notifytest.Many(1))
		if err == nil || notify.IsPermanent(err) != permanent {
			t.Errorf("exit %d: permanent is %t, want %t: %v", code, notify.IsPermanent(err), permanent, err)
			continue
		}
		want := fmt.Sprintf("exec receiver \"page\": /bin/sh exited with %d: one two\\x1b[1m\ufffd; check command", code)
		if err.Error() != want {
			t.Errorf("error is %q, want %q", err, want)
		}
	}
	c, _ := script(t, "kill -SEGV $$")
	if err := receiver(t, c).Notify(t.Context(), notifytest.Many(1)); err == nil || notify.IsPermanent(err) || !strings.Contains(err.Error(), "segmentation fault") {
		t.Errorf("killed by a signal: %v", err)
	}
}

// TestOutput: of a lot of it the end is shown, and no secret.
func TestOutput(t *testing.T) {
	c, _ := script(t, `i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done; echo "key is $KEY"; exit 1`)
	c.Env = map[string]secretfile.Secret{"KEY": "c0rrect"}
	err := receiver(t, c).Notify(t.Context(), notifytest.Many(1))
	if err == nil {
		t.Fatal("no error")
	}
	if s := err.Error(); !strings.Contains(s, "line 19999 key is <secret>") || strings.Contains(s, "line 19000 ") || len(s) > 700 {
		t.Errorf("error is %d bytes: %s", len(s), s)
	}
}

// TestEnvironment: ours is not handed on but for what is harmless.
func TestEnvironment(t *testing.T) {
	t.Setenv("SUPERNATS_NATS_PASSWORD", "c0rrect")
	t.Setenv("TZ", "Europe/Berlin")
	c, dir := script(t, `env >"$1/got.env"`)
	c.Env = map[string]secretfile.Secret{"PAGER_KEY": "k", "TZ": "UTC"}
	if err := receiver(t, c).Notify(t.Context(), notifytest.Many(1)); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(got(t, dir)[0])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"PAGER_KEY": "k", "TZ": "UTC", "SUPERNATS_RECEIVER": "page", "SUPERNATS_INSTANCE": "mon1", "PATH": os.Getenv("PATH"),
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	for name := range env {
		switch name {
		case "PAGER_KEY", "TZ", "SUPERNATS_RECEIVER", "SUPERNATS_INSTANCE", "PATH", "HOME", "USER", "LANG", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_":
		default:
			t.Errorf("%s is handed on", name)
		}
	}
}

// alive reports whether the process whose number is in a file is still there.
func alive(t *testing.T, file string) bool {
	t.Helper()
	pid, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestStop: at the time limit the whole process group is asked to end, and killed if
// it does not.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		name, text, said string
	}{
		{name: "ends when asked", text: `trap 'echo bye; exit 0' TERM; sleep 1000 & echo $! >"$1/child"; echo ready; while :; do sleep 0.01; done`, said: "bye"},
		{name: "does not listen", text: `trap '' TERM; sleep 1000 & echo $! >"$1/child"; echo ready; while :; do sleep 0.01; done`, said: "ready"},
		{name: "leaves a child that does not", text: `(trap '' TERM; echo >"$1/trapped"; while :; do sleep 0.01; done) & echo $! >"$1/child"; while [ ! -e "$1/trapped" ]; do sleep 0.01; done; echo ready; wait`, said: "ready"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var err error
			cfg, dir := script(t, c.text)
			// On a loaded machine it may take a while until the command is ready.
			for timeout := 300 * time.Millisecond; timeout < time.Minute; timeout *= 2 {
				cfg.Timeout = schema.Duration(timeout)
				start := time.Now()
				err = receiver(t, cfg).Notify(t.Context(), notifytest.Many(1))
				if took := time.Since(start); took > timeout+20*time.Second {
					t.Errorf("took %s with a time limit of %s", took, timeout)
				}
				if err == nil || notify.IsPermanent(err) || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("error is nil, permanent or no DeadlineExceeded: %v", err)
				}
				if strings.Contains(err.Error(), "ready") {
					break
				}
			}
			if !strings.Contains(err.Error(), c.said) {
				t.Errorf("error does not show %q: %v", c.said, err)
			}
			for begun := time.Now(); alive(t, filepath.Join(dir, "child")); time.Sleep(10 * time.Millisecond) {
				if time.Since(begun) > 20*time.Second {
					t.Fatal("a child is still there")
				}
			}
		})
	}
}

// TestDaemon: a command that leaves something running has ended all the same.
func TestDaemon(t *testing.T) {
	c, dir := script(t, `setsid sleep 1000 & echo $! >"$1/child"; exit 0`)
	start := time.Now()
	if err := receiver(t, c).Notify(t.Context(), notifytest.Many(1)); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	if !alive(t, filepath.Join(dir, "child")) {
		t.Error("what it has left running was killed")
	}
	var n int
	if _, err := fmt.Sscan(string(pid), &n); err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{cfg: Config{}, want: []string{"command: missing", "timeout: invalid value 0s: want a duration above zero", "kill_after: invalid value 0s: want a duration above zero"}},
		{cfg: Config{Command: []string{"a", "b\x00"}, Env: map[string]secretfile.Secret{"A=B": "s3cret\x00"}}.WithDefaults(), want: []string{"command[1]: ", `env: invalid name "A=B"`, "env: the value of A=B holds"}},
		{cfg: Config{Command: []string{"/does/not/exist"}}.WithDefaults(), want: []string{"command: "}},
		{cfg: Config{Command: []string{"no-such-program-at-all"}}.WithDefaults(), want: []string{"command: "}},
	} {
		_, err := New("page", c.cfg, id)
		notifytest.Invalid(t, err, "s3cret", c.want...)
	}
}

// TestGone: a command that is not there any more may come back.
func TestGone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := receiver(t, Config{Command: []string{file}})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := r.Notify(t.Context(), notifytest.Many(1)); err == nil || notify.IsPermanent(err) || strings.Count(err.Error(), file) != 1 {
		t.Errorf("error is nil, permanent or names the command twice: %v", err)
	}
}

// A program gets the last life in full, as the schema says.
func TestALackOfMemory(t *testing.T) {
	c, dir := script(t, `cat >"$1/got"`)
	n := notifytest.OutOfMemory("a")
	if err := receiver(t, c).Notify(t.Context(), []*notify.Notification{n}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "got"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"source":"pidfd","oom":{"cgroup":"/system.slice/a\u001b.service","limit":2147483648,"peak":2147483648}`, `"ran":187442.031`,
		`"rss_bytes":2061500416,"rss_peak_bytes":2094006272,"cpu_seconds":0.5,"threads":1,"fds":31,"age_seconds":187439.83`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}
