package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"supernats/schema/natsconn/natsconntest"
)

// The dashboard shows which instances have which version.
func TestMetricsHaveTheVersion(t *testing.T) {
	dir := t.TempDir()
	file := natsconntest.File(t, "c.yaml", "data_dir: "+filepath.Join(dir, "data")+
		"\nembedded: {listen: '127.0.0.1:0', max_store: 64MiB}\nlisten: '127.0.0.1:0'\n")
	daemon := command(t, "consume", "-c", file)
	log, err := daemon.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, log)
		_ = daemon.Wait()
	})

	var line struct{ Message, Listen string }
	for lines := bufio.NewScanner(log); line.Message != "serving HTTP"; {
		if !lines.Scan() {
			t.Fatal("it does not say where it listens")
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := http.Get("http://" + line.Listen + "/metrics/self")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(b), `version="v1.2.3"} 1`) {
		t.Errorf("%v\n%s", err, b)
	}
}
