// Package node holds a consumer in JavaScript, and its test.
package node

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleettest"
	"supernats/schema"
)

// install copies the example to where its packages may lie beside it.
func install(t *testing.T) (dir string) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: `task test` installs it; on Debian: sudo apt-get install nodejs npm", err)
		}
	}
	dir = t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "crashes.mjs"} {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	npm := exec.Command("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

// program is a run of the example.
type program struct {
	*testing.T
	cmd   *exec.Cmd
	lines chan string
}

func run(t *testing.T, dir, url string) *program {
	t.Helper()
	p := &program{T: t, cmd: exec.Command("node", "crashes.mjs", url), lines: make(chan string, 1000)}
	p.cmd.Dir = dir
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// next are the next n lines, without their times.
func (p *program) next(n int) (list []string) {
	p.Helper()
	for range n {
		select {
		case line := <-p.lines:
			_, line, _ = strings.Cut(line, " ")
			list = append(list, line)
		case <-time.After(30 * time.Second):
			p.Fatalf("after %q nothing comes", list)
		}
	}
	return list
}

// end sends a signal and returns what was printed yet.
func (p *program) end(s syscall.Signal) (list []string) {
	p.Helper()
	_ = p.cmd.Process.Signal(s)
	for line := range p.lines {
		list = append(list, line)
	}
	if err := p.cmd.Wait(); err != nil && s != syscall.SIGKILL {
		p.Errorf("node: %v", err)
	}
	return list
}

func TestNode(t *testing.T) {
	f := fleettest.New(t)
	crash := func(change func(*schema.Event)) { f.Publish(f.Crash(change)) }
	crash(func(e *schema.Event) { e.Exit = &schema.Exit{Code: new(3)} })
	crash(func(e *schema.Event) { e.Expected = new(true) })
	crash(func(e *schema.Event) { e.Event, e.Expected = schema.ProcessStateRunning, nil })
	f.PublishRaw("supervisor.event.web1.api.api.process_state.exited", "garbage")
	crash(func(e *schema.Event) {
		e.Exit, e.Ran = &schema.Exit{Signal: "SIGKILL", OOM: &schema.OOM{Cgroup: "/api", Limit: 2 << 30}}, new(187_442.031)
	})
	crash(func(e *schema.Event) { e.Host = "db1.example.com" })
	dir := install(t)
	first := run(t, dir, f.Server.URL)
	if d := cmp.Diff([]string{
		"web1 api:api_00 exit code 3 seq=1", "web1 api:api_00 SIGKILL, out of memory after 187442.031 s seq=5",
		"db1.example.com api:api_00 unknown seq=6",
	}, first.next(3)); d != "" {
		t.Error(d)
	}
	if more := first.end(syscall.SIGTERM); len(more) > 0 {
		t.Errorf("it also printed %q", more)
	}
	// What was acknowledged does not come again, what happened meanwhile comes.
	crash(func(e *schema.Event) { e.Process = "meanwhile" })
	second := run(t, dir, f.Server.URL)
	got := second.next(1)
	crash(func(e *schema.Event) { e.Process = "live" })
	got = append(got, second.next(1)...)
	if d := cmp.Diff([]string{"web1 api:meanwhile unknown seq=7", "web1 api:live unknown seq=8"}, got); d != "" {
		t.Error(d)
	}
	second.end(syscall.SIGKILL)
	crash(func(e *schema.Event) { e.Process = "after" })
	third := run(t, dir, f.Server.URL)
	if d := cmp.Diff([]string{"web1 api:after unknown seq=9"}, third.next(1)); d != "" {
		t.Error(d)
	}
	third.end(syscall.SIGINT)
}
