// Package shell holds scripts that take the events of supernats apart with jq, and
// their test.
package shell

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/program/programtest"
)

// script is how to run one of the scripts, with supernats in its path.
func script(t *testing.T, url, name string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Fatalf("%v: `task test` installs it; on Debian: sudo apt-get install jq", err)
	}
	c := exec.Command("./"+name, args...)
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "SUPERNATS_NATS_URL="+url)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a pipeline is ended as a whole
	return c
}

// bin is where supernats is, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(programtest.Main(m, func(dir string) { bin = dir }, "supernats/consumer/cmd/supernats"))
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// exited publishes an unexpected exit of api:api_00 on web1, or what change makes of it, some
// seconds after noon.
func exited(f *fleettest.Fleet, seconds int, exit *schema.Exit, change ...func(*schema.Event)) {
	f.Helper()
	e := f.Crash(change...)
	e.Exit = exit
	f.PublishAt(noon.Add(time.Duration(seconds)*time.Second), e)
}

// of says whose event it is.
func of(host, process string) func(*schema.Event) {
	return func(e *schema.Event) { e.Host, e.Process = host, process }
}

// installation is a server with some exits of two hosts.
func installation(t *testing.T) *fleettest.Fleet {
	t.Helper()
	f := fleettest.New(t)
	exited(f, 1, &schema.Exit{Code: new(3)})
	exited(f, 2, nil, func(e *schema.Event) { e.Expected = new(true) })
	exited(f, 3, nil, of("web1", "api_01"))
	exited(f, 4, &schema.Exit{Signal: "SIGKILL"}, of("db1.example.com", "api_00"))
	exited(f, 5, &schema.Exit{Code: new(int)})
	return f
}

func TestCrashes(t *testing.T) {
	f := installation(t)
	c := script(t, f.Server.URL, "crashes.sh", "--since", noon.Format(time.RFC3339), "--host", "web*")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(30*time.Second, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	defer end.Stop()
	lines := bufio.NewScanner(out)
	next := func() string {
		lines.Scan()
		return lines.Text()
	}
	got := []string{next(), next(), next()}
	exited(f, 6, &schema.Exit{Signal: "SIGSEGV", Core: true}, of("web2", "live"))
	memory := &schema.Exit{Signal: "SIGKILL", OOM: &schema.OOM{Cgroup: "/api"}}
	exited(f, 7, memory, of("web2", "hungry"), func(e *schema.Event) { e.Ran = new(187_442.031) })
	got = append(got, next(), next())
	want := []string{
		"2026-11-21T12:00:01.000000Z web1 api:api_00 exit code 3",
		"2026-11-21T12:00:03.000000Z web1 api:api_01 unknown",
		"2026-11-21T12:00:05.000000Z web1 api:api_00 exit code 0",
		"2026-11-21T12:00:06.000000Z web2 api:live SIGSEGV",
		"2026-11-21T12:00:07.000000Z web2 api:hungry SIGKILL, out of memory after 187442.031 s",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	_ = c.Wait()
}

func TestWorst(t *testing.T) {
	var out bytes.Buffer
	c := script(t, installation(t).Server.URL, "worst.sh", "--until", noon.Add(time.Hour).Format(time.RFC3339))
	c.Stdout = &out
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := "2 web1 api:api_00"; lines[0] != want || len(lines) != 3 ||
		!strings.Contains(out.String(), "1 db1.example.com api:api_00\n") {
		t.Errorf("%s", out.String())
	}
}
