package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/program"
	"supernats/schema/stream/streamtest"
)

// A watchdog that cannot be pinged is everywhere where people look: /readyz, the metrics,
// the page and doctor; and its address, which is a secret, is nowhere.
func TestAWatchdogThatCannotBePinged(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	at := fmt.Sprint("127.0.0.1:", streamtest.FreePort(t))
	dead := fmt.Sprintf("http://127.0.0.1:%d/hush", streamtest.FreePort(t))
	file := natsconntest.File(t, "c.yaml", fmt.Sprintf("nats: {url: %q}\nlisten: %q\nwatchdog: [{name: switch, url: %q, every: 1s}]\n", i.url, at, dead))
	daemon := command(t, "consume", "-c", file)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
	})

	const warning = "watchdog switch cannot be pinged"
	for _, c := range []struct{ path, want string }{
		{path: "/readyz", want: `(?m)^ready$[^$]*^warning: ` + warning},
		{path: "/metrics/self", want: `supernats_watchdog_pings_total\{result="error",watchdog="switch"\} [1-9]`},
		{path: "/", want: warning},
		{path: "/alerts", want: warning},
	} {
		shown := regexp.MustCompile(c.want)
		var status int
		var text string
		for end := time.Now().Add(20 * time.Second); !shown.MatchString(text) && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			status, text = i.getPage("http://" + at + c.path)
		}
		if status != http.StatusOK || !shown.MatchString(text) || strings.Contains(text, "hush") {
			t.Errorf("%s: %d, want %s\n%s", c.path, status, c.want, text)
		}
	}

	out, errs, code := supernats(t, "doctor", "-c", file, "-o", "table")
	if code != program.ExitDone || !regexp.MustCompile(`(?m)^warn +ready .*`+warning).MatchString(out) || strings.Contains(out+errs, "hush") {
		t.Errorf("doctor: %d %s\n%s", code, errs, out)
	}
}

// getPage returns what an address answers, 0 if nobody does.
func (i *installation) getPage(address string) (status int, text string) {
	i.Helper()
	answer, err := http.Get(address)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, ""
	}
	return answer.StatusCode, string(b)
}
