package notifytest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Alertmanager runs Debian's prometheus-alertmanager as long as the test and returns its URL.
// It posts every alert to hook, if not empty, at once, resolved ones too. The test fails if
// the program is missing.
func Alertmanager(t testing.TB, hook string) string {
	t.Helper()
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Fatalf("%v (on Debian: apt-get install prometheus-alertmanager)", err)
	}

	dir := t.TempDir()
	config := "route: {receiver: hook, group_by: ['...'], group_wait: 10ms, group_interval: 100ms}\n" +
		"receivers:\n- name: hook\n"
	if hook != "" {
		config += fmt.Sprintf("  webhook_configs: [{url: %q}]\n", hook)
	}
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}

	address := freePort(t)
	var output bytes.Buffer
	cmd := exec.Command(program, "--config.file="+file, "--storage.path="+dir,
		"--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = &output, &output
	// It shall not outlive a test that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})

	url := "http://" + address
	for begun := time.Now(); !isReady(url); {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("prometheus-alertmanager: %v\n%s", err, output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(begun) > time.Minute {
			t.Fatal("prometheus-alertmanager does not get ready")
		}
	}
	return url
}

func isReady(url string) bool {
	answer, err := http.Get(url + "/-/ready")
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// freePort returns an address that nobody listens at, for programs that do not say which port
// they got.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
