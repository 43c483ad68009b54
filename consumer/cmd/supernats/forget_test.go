package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/schema"
)

// The whole way: the command, and the daemon that drops what is known of the host.
func TestHostsForget(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "s.yaml")
	if err := os.WriteFile(file, []byte("nats: {url: \""+i.url+"\"}\ndata_dir: "+dir+"\nlisten: ''\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := command(t, "consume", "-c", file)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
	})
	e := &schema.Event{Event: schema.ProcessStateRunning, Host: "web9.example.com", Boot: "4f0c6d1e2a90b7c3", Serial: 1, Group: "api", Process: "api"}
	b, err := schema.Marshal(e.Envelope(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	i.publish(e.Subject(), b)
	hosts := func() string {
		out, _, _ := supernats(t, "--nats-url", i.url, "hosts", "web9*", "-o", "jsonl")
		return out
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(hosts(), "web9.example.com"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the host does not become known")
		}
	}

	out, errs, code := supernats(t, "--nats-url", i.url, "hosts", "forget", "web9.example.com")
	if code != 0 || !strings.Contains(out, "host web9.example.com is forgotten") || !strings.Contains(errs, "appears as a new one") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if left := hosts(); strings.TrimSpace(left) != "" {
		t.Errorf("hosts are %s", left)
	}
	out, errs, code = supernats(t, "--nats-url", i.url, "hosts", "forget", "web9.example.com")
	if code != 1 || !strings.Contains(errs, "no host is known by the name of web9.example.com") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
