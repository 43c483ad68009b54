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
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/program/programtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
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

func exited(t *testing.T, js jetstream.JetStream, serial int, host, process string, expected bool, exit *schema.Exit, change ...func(*schema.Event)) {
	t.Helper()
	e := &schema.Event{
		Event: schema.ProcessStateExited, Host: host, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: uint64(serial), Pool: "supernats",
		Group: "api", Process: process, FromState: "RUNNING", PID: 42, Expected: &expected, Exit: exit,
	}
	for _, f := range change {
		f(e)
	}
	payload, err := schema.Marshal(e.Envelope(noon.Add(time.Duration(serial) * time.Second)))
	if err == nil {
		_, err = js.Publish(t.Context(), e.Subject(), payload)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// installation is a server with some exits of two hosts.
func installation(t *testing.T) (jetstream.JetStream, string) {
	t.Helper()
	s := streamtest.Start(t)
	js := s.JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	code := 3
	exited(t, js, 1, "web1", "api_00", false, &schema.Exit{Code: &code})
	exited(t, js, 2, "web1", "api_00", true, nil)
	exited(t, js, 3, "web1", "api_01", false, nil)
	exited(t, js, 4, "db1.example.com", "api_00", false, &schema.Exit{Signal: "SIGKILL"})
	exited(t, js, 5, "web1", "api_00", false, &schema.Exit{Code: new(int)})
	return js, s.URL
}

func TestCrashes(t *testing.T) {
	js, url := installation(t)
	c := script(t, url, "crashes.sh", "--since", noon.Format(time.RFC3339), "--host", "web*")
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
	exited(t, js, 6, "web2", "live", false, &schema.Exit{Signal: "SIGSEGV", Core: true})
	memory := &schema.Exit{Signal: "SIGKILL", OOM: &schema.OOM{Cgroup: "/api"}}
	exited(t, js, 7, "web2", "hungry", false, memory, func(e *schema.Event) { e.Ran = new(187_442.031) })
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
	_, url := installation(t)
	var out bytes.Buffer
	c := script(t, url, "worst.sh", "--until", noon.Add(time.Hour).Format(time.RFC3339))
	c.Stdout = &out
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := "2 web1 api:api_00"; lines[0] != want || len(lines) != 3 || !strings.Contains(out.String(), "1 db1.example.com api:api_00\n") {
		t.Errorf("%s", out.String())
	}
}
