package chaos

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
)

// host is the name under which a supervisord publishes.
const host = "web1"

// groupSize is how many processes a program has: each program is a group.
const groupSize = 20

// crashers are processes under a supervisord of their own that die when they are
// asked to.
type crashers struct {
	super *supervisordtest.Supervisord
	dir   string
	locks []sync.Mutex // a process dies once at a time
}

// startCrashers starts n processes and a listener; restart says whether supervisord
// starts again what has died.
func startCrashers(tb testing.TB, n int, restart bool, listener string) *crashers {
	tb.Helper()
	c := &crashers{dir: tb.TempDir(), locks: make([]sync.Mutex, n)}
	script, err := filepath.Abs("testdata/crasher.sh")
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		if err := syscall.Mkfifo(c.path(i, "fifo"), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	var sections strings.Builder
	for first := 0; first < n; first += groupSize {
		// Every process takes some descriptors of supervisord's: no log of stdout.
		fmt.Fprintf(&sections, `
[program:app%02d]
command=/bin/bash %s %s crash_%%(process_num)03d
process_name=crash_%%(process_num)03d
numprocs=%d
numprocs_start=%d
startsecs=0
autorestart=%t
stdout_logfile=NONE
stderr_logfile=AUTO
`, first/groupSize, script, c.dir, min(groupSize, n-first), first, restart)
	}
	c.super = supervisordtest.Start(tb, sections.String()+listener)
	supervisordtest.Wait(tb, 60*time.Second, func() bool {
		out, _ := c.super.Call("supervisor.getAllProcessInfo")
		return strings.Count(out, "<string>RUNNING</string>") == n+1
	}, "%d processes and a listener", n)
	return c
}

func crashName3(i int) string { return fmt.Sprintf("crash_%03d", i) }

func (c *crashers) path(i int, kind string) string {
	return filepath.Join(c.dir, crashName3(i)+"."+kind)
}

// crash lets a process die, as soon as it runs.
func (c *crashers) crash(i int) error {
	c.locks[i].Lock()
	defer c.locks[i].Unlock()
	before := c.deaths(i)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		f, err := os.OpenFile(c.path(i, "fifo"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			if _, err = f.WriteString("\n"); err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			break
		}
		if !errors.Is(err, syscall.ENXIO) { // nobody reads: it does not run yet
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d does not run after 20 s", i)
		}
	}
	for end := time.Now().Add(20 * time.Second); c.deaths(i) == before; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("process %d did not die within 20 s", i)
		}
	}
	return nil
}

// deaths is how often a process has died.
func (c *crashers) deaths(i int) int { return len(c.died(i)) }

// died returns when a process died, in its own words.
func (c *crashers) died(i int) (times []time.Time) {
	text, _ := os.ReadFile(c.path(i, "died"))
	for line := range strings.Lines(string(text)) {
		if seconds, micros, ok := strings.Cut(strings.TrimSpace(line), "."); ok {
			s, err1 := strconv.ParseInt(seconds, 10, 64)
			us, err2 := strconv.ParseInt(micros, 10, 64)
			if errors.Join(err1, err2) == nil {
				times = append(times, time.Unix(s, us*1000))
			}
		}
	}
	return times
}

// total is how often all together have died.
func (c *crashers) total() (n int) {
	for i := range c.locks {
		n += c.deaths(i)
	}
	return n
}

// overflowed is how many events supervisord has dropped.
func (c *crashers) overflowed() int {
	return strings.Count(c.super.Log(), "event buffer overflowed, discarding event")
}

// bridge is the section that `supernats-bridge conf` prints.
func bridge(tb testing.TB, natsURL string) string {
	tb.Helper()
	out, err := exec.Command(bin+"/supernats-bridge", "conf", "--one-section", "--stderr-logfile", "%(here)s/supernats-stderr.log", "--nats-url", natsURL, "--host", host, "--spool-dir", tb.TempDir()).Output()
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

// pythonListener is a section with the buffer that one has who writes none.
func pythonListener(tb testing.TB, smtp string) string {
	tb.Helper()
	script, err := filepath.Abs("testdata/listener.py")
	if err != nil {
		tb.Fatal(err)
	}
	addr, port, err := net.SplitHostPort(smtp)
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("\n[eventlistener:mailer]\ncommand=/usr/bin/python3 %s %s %s\nevents=PROCESS_STATE_EXITED\n", script, addr, port)
}
