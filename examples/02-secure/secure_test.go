package secure

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
)

// consume runs `supernats consume` until the test ends, and returns when it reads.
// log is what it has written.
func (in *installation) consume(t *testing.T, args ...string) (log func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "consume.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := exec.Command(bin+"/supernats", slices.Concat(in.flags("consume"), []string{"consume"}, args)...)
	c.Stderr = file
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	log = func() string {
		b, _ := os.ReadFile(file.Name())
		return string(b)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("supernats consume: %v", err)
		}
		if t.Failed() {
			t.Logf("supernats consume:\n%s", log())
		}
	})
	supervisordtest.Wait(t, 30*time.Second, func() bool { return strings.Contains(log(), "reading events") },
		"supernats consume")
	return log
}

// supernats runs a command as one of the people.
func (in *installation) supernats(t *testing.T, args ...string) []byte {
	t.Helper()
	c := exec.Command(bin+"/supernats", append(in.flags("people"), args...)...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("supernats %v: %v\n%s", args, err, &errs)
	}
	return out
}

// listener is the section that runs the bridge of a host.
func (in *installation) listener(t *testing.T, user, host string) string {
	t.Helper()
	out, err := exec.Command(bin+"/supernats-bridge",
		append(in.flags(user), "conf", "--one-section", "--stderr-logfile", "%(here)s/supernats-stderr.log", "--host",
			host, "--spool-dir", t.TempDir())...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// bridgeLog is what the bridge under a supervisord wrote at a level.
func bridgeLog(t *testing.T, s *supervisordtest.Supervisord, level string) (lines []string) {
	t.Helper()
	files, err := filepath.Glob(s.Dir + "/supernats-stderr*")
	if err != nil || len(files) != 1 {
		t.Fatalf("logs of the bridge: %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if strings.Contains(l, `"level":"`+level+`"`) {
			lines = append(lines, l)
		}
	}
	return lines
}

// The whole of supernats with no more rights than nats-server.conf gives.
func TestPrograms(t *testing.T) {
	for name, mutual := range map[string]bool{"TLS": false, "mutual TLS": true} {
		t.Run(name, func(t *testing.T) {
			in := install(t, mutual)
			consumed := in.consume(t)
			// It must not exit before supervisord answers `supervisorctl start`, which is a
			// spawn error otherwise (rpcinterface.py startProcess reaps first).
			const crasher = "[program:crasher]\ncommand=sh -c \"sleep 0.5; exit 3\"\nstartsecs=0\nautorestart=false\n"
			s := supervisordtest.Start(t, crasher+in.listener(t, "web1", "web1"))
			crashed := func(n uint64) {
				t.Helper()
				supervisordtest.Wait(t, 30*time.Second, func() bool {
					for line := range bytes.Lines(in.supernats(t, "ps", "-o", "jsonl")) {
						var r schema.ProcessRecord
						if err := json.Unmarshal(line, &r); err != nil {
							t.Fatal(err)
						}
						if r.Host == "web1" && r.Process == "crasher" && r.UnexpectedExits == n {
							return true
						}
					}
					return false
				}, "the record of %d exits of crasher", n)
			}
			crashed(1)
			if out := in.supernats(t, "replay", "--event", "PROCESS_STATE_EXITED", "-o", "jsonl"); bytes.Count(out,
				[]byte("\n")) != 1 {
				t.Errorf("supernats replay:\n%s", out)
			}
			in.tail(t, func() {
				if err := s.SendRemote("hello", "tail"); err != nil {
					t.Fatal(err)
				}
			})
			if lines := append(bridgeLog(t, s, "warn"), bridgeLog(t, s, "error")...); len(lines) > 0 {
				t.Errorf("a host with all rights that it needs gets:\n%s", lines)
			}
			in.server.Stop()
			s.MustCtl(t, "start", "crasher")
			in.server.Restart()
			crashed(2)
			if out := in.supernats(t, "replay", "--event", "PROCESS_STATE_EXITED", "-o", "jsonl"); bytes.Count(out,
				[]byte("\n")) != 2 {
				t.Errorf("supernats replay:\n%s", out)
			}
			for _, l := range append(bridgeLog(t, s, "warn"), consumed()) {
				if strings.Contains(l, "ermission") || strings.Contains(l, "not allowed") {
					t.Errorf("a right is missing: %s", l)
				}
			}
			in.forge(t, consumed)
			crashed(2)
		})
	}
}

// tail runs `supernats tail` until it shows what do makes happen.
func (in *installation) tail(t *testing.T, do func()) {
	t.Helper()
	c := exec.Command(bin+"/supernats", append(in.flags("people"), "tail", "--since", "1m", "--event",
		"REMOTE_COMMUNICATION", "--limit", "1", "-o", "jsonl")...)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(30*time.Second, func() { _ = c.Process.Kill() })
	defer late.Stop()
	do()
	line, _ := bufio.NewReader(out).ReadString('\n')
	if err := c.Wait(); err != nil || !strings.Contains(line, `"tail"`) {
		t.Errorf("supernats tail: %q, %v", line, err)
	}
}

// forge tries what no right prevents: web1 says on its own subject that it is
// db1, and has answers sent to where they do not belong.
func (in *installation) forge(t *testing.T, consumed func() string) {
	t.Helper()
	web1 := in.client(t, "web1")
	e := &schema.Event{
		Event: schema.ProcessStateFatal, Host: "db1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: 1,
		Pool: "p", Group: "api", Process: "api",
	}
	forged, err := schema.Marshal(e.Envelope(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	own := "supervisor.event.web1.api.api.process_state.fatal"
	for _, m := range []struct{ subject, reply string }{
		{subject: own, reply: web1.inbox},
		{subject: own, reply: "supervisor.event.db1.api.api.process_state.fatal"},
		{subject: own, reply: "$KV.supervisor_state.db1.api.api"},
	} {
		if err := web1.nc.PublishRequest(m.subject, m.reply, forged); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(in.client(t, "consume").nc)
	if err != nil {
		t.Fatal(err)
	}
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		s, err := js.Stream(t.Context(), stream.Parked)
		return err == nil && s.CachedInfo().State.Msgs == 4
	}, "forged events to be parked")
	if !strings.Contains(consumed(), "it is parked") {
		t.Errorf("the log does not say that forged events are parked:\n%s", consumed())
	}
	if out := in.supernats(t, "ps", "db1", "-o", "jsonl"); len(out) > 0 {
		t.Errorf("web1 made a state of db1:\n%s", out)
	}
}

// The bridge of db1 with the key of web1 says what is wrong, once, and keeps what
// it has until the key is the right one.
func TestWrongKey(t *testing.T) {
	in := install(t, false)
	in.consume(t)
	in.users["mixed up"] = func() natsconn.Settings {
		s := in.users["web1"]
		s.NkeyFile = natsconntest.File(t, "host.nk", read(t, s.NkeyFile))
		return s
	}()
	s := supervisordtest.Start(t, in.listener(t, "mixed up", "db1"))
	const n = 50
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprint(i)
	}
	if err := s.SendRemote("n", want[:n/2]...); err != nil {
		t.Fatal(err)
	}
	supervisordtest.Wait(t, 30*time.Second, func() bool { return len(bridgeLog(t, s, "warn")) > 0 },
		"the bridge to say what is wrong")
	time.Sleep(3 * time.Second) // in which it tries several times
	warnings := bridgeLog(t, s, "warn")
	if len(warnings) != 1 || !strings.Contains(warnings[0], "Permissions Violation") ||
		!strings.Contains(warnings[0], `"fix":"allow this user to publish supervisor.event.HOST.>`) {
		t.Errorf("it says:\n%s", strings.Join(warnings, ""))
	}
	subject := schema.Subject{Host: "db1", Event: schema.RemoteCommunication, Type: "n"}.String()
	if out := in.supernats(t, "replay", "--host", "db1", "-o", "jsonl"); len(out) > 0 {
		t.Errorf("stored was:\n%s", out)
	}
	if err := s.SendRemote("n", want[n/2:]...); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.MustCtl(t, "status"), "RUNNING") || strings.Count(s.Log(), "spawned: 'supernats'") != 1 {
		t.Error("the bridge did not stay up")
	}
	if err := os.WriteFile(in.users["mixed up"].NkeyFile, []byte(read(t, in.users["db1"].NkeyFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(in.client(t, "people").nc)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		st, err := js.Stream(t.Context(), stream.Events)
		if err != nil {
			t.Fatal(err)
		}
		info, err := st.Info(t.Context(), jetstream.WithSubjectFilter(subject))
		return err == nil && info.State.Subjects[subject] >= n
	}, "%d events of db1", n)
	for line := range bytes.Lines(in.supernats(t, "replay", "--host", "db1", "--event", "REMOTE_COMMUNICATION", "-o",
		"jsonl")) {
		ce, err := codec.UnmarshalEvent(line)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, *ce.Data.Data)
	}
	if !slices.Equal(got, want) {
		t.Errorf("stored are %v", got)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// People see everything, silence alerts and try the receivers.
func TestPeople(t *testing.T) {
	in := install(t, false)
	conf := filepath.Join(t.TempDir(), "supernats.yaml")
	if err := os.WriteFile(conf, []byte("receivers: [{name: script, exec: {command: ['true']}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.consume(t, "-c", conf)
	var mute schema.Mute
	if err := json.Unmarshal(in.supernats(t, "mute", "--host", "web*", "--for", "1h", "--comment", "moving racks"),
		&mute); err != nil {
		t.Fatal(err)
	}
	if out := in.supernats(t, "mutes"); !strings.Contains(string(out), mute.ID) {
		t.Errorf("%s is not in %s", mute.ID, out)
	}
	in.supernats(t, "unmute", mute.ID)
	for _, args := range [][]string{{"mutes"}, {"alerts", "--since", "1d"}, {"hosts"}, {"ps", "--all"}} {
		if out := in.supernats(t, append(args, "-o", "jsonl")...); len(out) > 0 {
			t.Errorf("%v printed %s", args, out)
		}
	}
	if out := in.supernats(t, "test-alert", "-o", "jsonl"); !strings.Contains(string(out), `"receiver":"script","result":"delivered"`) {
		t.Errorf("supernats test-alert: %s", out)
	}
	// Whatever it finds, it could look.
	out, err := exec.Command(bin+"/supernats", append(in.flags("people"), "doctor", "-o", "jsonl")...).Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if n := bytes.Count(out, []byte("\n")); n < 8 || bytes.Contains(out, []byte("cannot check")) {
		t.Errorf("%s", out)
	}
	// A host may not.
	denied, err := exec.Command(bin+"/supernats", append(in.flags("db1"), "mute", "--all", "--for", "1h", "--comment",
		"x")...).CombinedOutput()
	if err == nil || !strings.Contains(string(denied), "this NATS user may not subscribe _INBOX") {
		t.Errorf("%v: %s", err, denied)
	}
}
