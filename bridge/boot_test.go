package bridge_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/stream/streamtest"
)

const crashing = `
[program:crasher]
command=sh -c "sleep 1.2; exit 3"
`

// listener is one section of the bridge in a test, for a host of its own.
type listener struct {
	host, spool, section string
}

// newListener makes a section whose command stands in a wrapper, where BRIDGE is.
func newListener(t *testing.T, url, host, wrapper string, settings ...string) listener {
	t.Helper()
	l := listener{host: host, spool: filepath.Join(supervisordtest.Dir(t), "spool")}
	for _, dir := range []string{filepath.Dir(l.spool), filepath.Dir(program)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(l.spool, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(l.spool, 0o777); err != nil { // whoever the wrapper makes of us
		t.Fatal(err)
	}
	section := conf(t, "--nats-url", url, "--host", host, "--spool-dir", l.spool)
	var lines []string
	for line := range strings.Lines(section) {
		if command, ok := strings.CutPrefix(line, "command="); ok {
			line = "command=" + strings.ReplaceAll(wrapper, "BRIDGE", strings.TrimSpace(command)) + "\n"
		}
		lines = append(lines, line)
	}
	section = strings.Join(lines, "") + strings.Join(settings, "\n") + "\n"
	section = strings.ReplaceAll(section, "[eventlistener:supernats]", "[eventlistener:"+host+"]")
	l.section = strings.ReplaceAll(section, "process_name=supernats", "process_name="+host)
	return l
}

// bridges counts the processes that work on a spool, whatever wraps them.
func (l *listener) bridges(t *testing.T) (n int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lines {
		words, _ := os.ReadFile(name)
		if bytes.HasPrefix(words, []byte(program+"\x00")) && bytes.Contains(words, []byte(l.spool)) {
			n++
		}
	}
	return n
}

// oneLife checks that the stream has the events of one boot, each once and without a
// gap, and that no loss is reported. It returns the boot.
func (l *listener) oneLife(t *testing.T, js jetstream.JetStream) (boot string) {
	t.Helper()
	if losses := stored(t, js, schema.BridgeSubject(l.host, schema.BridgeLoss)); len(losses) > 0 {
		t.Errorf("%s: loss without a reason: %s", l.host, losses[0].Data())
	}
	seen := map[uint64]bool{}
	last := uint64(0)
	for _, m := range stored(t, js, "supervisor.event."+l.host+".>") {
		e := event(t, m)
		switch {
		case boot == "":
			boot = e.Boot
		case e.Boot != boot:
			t.Errorf("%s: event %d has boot %s, others %s", l.host, e.Serial, e.Boot, boot)
		}
		if seen[e.PoolSerial] {
			t.Errorf("%s: event %d is there twice", l.host, e.Serial)
		}
		seen[e.PoolSerial], last = true, max(last, e.PoolSerial)
	}
	if len(seen) == 0 || uint64(len(seen)) != last+1 {
		t.Errorf("%s: %d events are stored, the last one has poolserial %d", l.host, len(seen), last)
	}
	return boot
}

// waitStarts waits until each listener has started n times.
func waitStarts(t *testing.T, js jetstream.JetStream, listeners []listener, n int) {
	t.Helper()
	for _, l := range listeners {
		waitStored(t, js, schema.BridgeSubject(l.host, schema.BridgeStarted), n)
	}
}

// disturb kills each listener and restarts it, and waits for one more crash.
func disturb(t *testing.T, s *supervisordtest.Supervisord, js jetstream.JetStream, listeners []listener) {
	t.Helper()
	waitStarts(t, js, listeners, 1)
	for _, l := range listeners {
		s.KillProgram(t, l.host)
	}
	waitStarts(t, js, listeners, 2)
	for _, l := range listeners {
		s.MustCtl(t, "restart", l.host)
	}
	waitStarts(t, js, listeners, 3)
	s.WaitLog(t, "exited: crasher", strings.Count(s.Log(), "exited: crasher")+1)
}

// Whatever stands between supervisord and its listeners, and however often they are
// killed and started again, they agree on the life that they listen to, lose nothing
// and leave no file.
func TestWrappedListeners(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	js := nats.JetStream()
	wrappers := []string{
		"BRIDGE",
		`bash -c "BRIDGE; echo ended >&2"`,
		"env -i PATH=/usr/bin:/bin BRIDGE",
		"setsid -w BRIDGE",
		"nohup BRIDGE",
	}
	if os.Getuid() == 0 {
		wrappers = append(wrappers,
			"runuser -u nobody -- BRIDGE",
			`su -s /bin/sh -c "BRIDGE" nobody`,
			"setpriv --reuid=65534 --regid=65534 --clear-groups BRIDGE",
		)
	}
	if _, err := exec.LookPath("sudo"); err == nil && os.Getuid() == 0 {
		wrappers = append(wrappers, "sudo -u nobody BRIDGE")
	}
	var listeners []listener
	sections := crashing
	for i, wrapper := range wrappers {
		l := newListener(t, nats.URL, fmt.Sprintf("web%d", i), wrapper)
		// Else an event that one of them dies with is offered to all again, out of order
		// (process.py, handle_rejected): who dies then too cannot know that nothing is missing.
		l.section = strings.ReplaceAll(l.section, "priority=-17", fmt.Sprintf("priority=-%d", 17+i))
		listeners = append(listeners, l)
		sections += l.section
	}
	s := supervisordtest.Start(t, sections)
	disturb(t, s, js, listeners)

	for i, l := range listeners {
		supervisordtest.Wait(t, 20*time.Second, func() bool { return l.bridges(t) == 1 }, "one bridge of %s",
			wrappers[i])
	}
	s.MustCtl(t, "stop", "crasher")
	boot := listeners[0].oneLife(t, js)
	for i, l := range listeners {
		if got := l.oneLife(t, js); got != boot {
			t.Errorf("%s: boot %s, want %s", wrappers[i], got, boot)
		}
	}
	if started := bridgeRecord(t, stored(t, js, schema.BridgeSubject("web0", schema.BridgeStarted))[0]); started.SupervisorPID != s.PID() || started.Settings["identity"] == "" {
		t.Errorf("started is %+v", started)
	}
}

// Where /proc hides supervisord, every crash arrives at once and nothing is lost, over
// kills and restarts of the bridge; another supervisord is another life.
func TestHiddenSupervisord(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	supervisord, err := exec.LookPath("supervisord")
	if err != nil {
		t.Fatal(err)
	}
	bin := supervisordtest.Dir(t)
	script := fmt.Sprintf("#!/bin/sh\nexec unshare --mount sh -c \"$(cat \"$(dirname \"$3\")/setup\") && exec %s \\\"\\$@\\\"\" sh \"$@\"\n", supervisord)
	if err := os.WriteFile(bin+"/supervisord", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for name, setup := range map[string]string{
		"hidepid=1":  "mount -t proc -o hidepid=1 proc /proc",
		"hidepid=2":  "mount -t proc -o hidepid=2 proc /proc",
		"subset=pid": "mount -t proc -o subset=pid proc /proc",
		"no proc":    "mount -t tmpfs none /proc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := streamtest.Start(t)
			js := nats.JetStream()
			// nobody may not open the socket of the XML-RPC either.
			listeners := []listener{
				newListener(t, nats.URL, "web1", "BRIDGE", "user=nobody"),
				newListener(t, nats.URL, "web2", "BRIDGE"),
			}
			dir := supervisordtest.Dir(t)
			if err := supervisordtest.WriteConf(dir, "supervisor", crashing+listeners[0].section+listeners[1].section); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(dir+"/setup", []byte(setup), 0o644)); err != nil {
				t.Fatal(err)
			}
			s := supervisordtest.StartIn(t, dir)

			disturb(t, s, js, listeners)
			s.MustCtl(t, "stop", "crasher")

			crashes := strings.Count(s.Log(), "exited: crasher")
			for _, l := range listeners {
				subject := schema.Subject{
					Host: l.host, Group: "crasher", Process: "crasher", Event: "PROCESS_STATE_EXITED",
				}.String()
				for _, m := range waitStored(t, js, subject, crashes) {
					meta, err := m.Metadata()
					if err != nil {
						t.Fatal(err)
					}
					ce, err := codec.UnmarshalEvent(m.Data())
					if err != nil {
						t.Fatal(err)
					}
					if late := meta.Timestamp.Sub(ce.Time.Time); late > 2*time.Second {
						t.Errorf("%s: a crash is stored %v after it was read", l.host, late)
					}
				}
			}
			first := listeners[0].oneLife(t, js)
			if second := listeners[1].oneLife(t, js); second != first {
				t.Errorf("boots are %s and %s", first, second)
			}
			if strings.Contains(s.Log(), "exited: web") && strings.Contains(s.Log(), "exit status 1") {
				t.Error("a bridge has ended with an error")
			}

			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			supervisordtest.StartIn(t, dir)
			waitStarts(t, js, listeners, 4)
			for _, l := range listeners {
				msgs := stored(t, js, schema.BridgeSubject(l.host, schema.BridgeStarted))
				if boot := bridgeRecord(t, msgs[len(msgs)-1]).Boot; boot == first {
					t.Errorf("%s: another supervisord has the same boot", l.host)
				}
				if losses := pending(js, schema.BridgeSubject(l.host, schema.BridgeLoss)); losses > 0 {
					t.Errorf("%s: %d losses without a reason", l.host, losses)
				}
			}
		})
	}
}
