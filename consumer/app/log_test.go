package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/notify/webhook"
	"supernats/schema/secretfile"
)

var numbers = regexp.MustCompile(`\d+`)

// wellWritten checks a log: no key is there twice in a line, every time span and size
// has its unit in its name, and no warning or error is there twice.
func wellWritten(t *testing.T, log string) {
	t.Helper()
	seen := map[string]int{}
	for line := range strings.Lines(log) {
		d := json.NewDecoder(strings.NewReader(line))
		keys, record := map[string]bool{}, map[string]string{}
		if _, err := d.Token(); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			name := key.(string)
			if keys[name] {
				t.Errorf("key %q is there twice: %s", name, line)
			}
			keys[name], record[name] = true, string(value)
			isNumber := bytes.IndexByte([]byte("-0123456789"), value[0]) >= 0
			if regexp.MustCompile(`(_in|lasted|took|wait|pause|size|bytes|age|timeout)$`).MatchString(name) && isNumber && !strings.HasSuffix(name, "_bytes") {
				t.Errorf("%q has no unit: %s", name, line)
			}
		}
		if level := record["level"]; level == `"warn"` || level == `"error"` {
			what := numbers.ReplaceAllString(record["message"]+record["error"]+record["receiver"]+record["consumer"], "#")
			if seen[what]++; seen[what] == 2 {
				t.Errorf("is there again: %s", line)
			}
		}
	}
}

// A receiver that fails for long is one line, and its end another one that says how often
// it failed.
func TestFailureOfAReceiverIsLoggedOnce(t *testing.T) {
	f := newFleet(t)
	var log buffer
	tries := 0
	r := &receiver{name: "mail/ops@example.com"}
	r.answer = func(context.Context, batch) error {
		tries++
		return fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:25: connection reset", 40000+tries)
	}
	f.deliver(r, func(d *delivery) {
		d.log = zerolog.New(&log).With().Str("receiver", r.name).Logger()
	})
	f.alert("a", "b")
	f.until("it is tried", func() bool { return len(r.tried()) > 20 })
	r.says(always(errors.New("certificate has expired"))) // another error is another line
	f.until("it is tried again", func() bool { return len(r.tried()) > 40 })
	r.says(nil)
	f.delivered(r)
	f.until("it is logged", func() bool { return strings.Contains(log.String(), `"failed_before"`) })

	wellWritten(t, log.String())
	for _, want := range []string{"connection reset", "certificate has expired"} {
		if n := strings.Count(strings.Join(warnings(log.String()), ""), want); n != 1 {
			t.Errorf("%d lines about %q in\n%s", n, want, log.String())
		}
	}
	if !regexp.MustCompile(`"failed_before":\d\d.*"lasted_ms":[\d.]+.*"message":"notified"`).MatchString(log.String()) {
		t.Errorf("the end is not in\n%s", log.String())
	}
}

// warnings are the lines of a log that an operator sees at the level warn.
func warnings(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			lines = append(lines, line)
		}
	}
	return lines
}

// The daemon over an outage of NATS, with a receiver that does not take anything.
func TestLogOfTheDaemonOverFailures(t *testing.T) {
	f := newFleet(t)
	var refusals atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refusals.Add(1)
		http.Error(w, fmt.Sprintf("out of order, request %d", refusals.Load()), http.StatusInternalServerError)
	}))
	defer hook.Close()

	hooked := webhook.Config{URL: secretfile.Secret(hook.URL)}.WithDefaults()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.NATS.URL = f.server.URL
	cfg.Receivers = []config.Receiver{{Name: "hook", Kinds: config.Kinds{Webhook: &hooked}}}
	var log buffer
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.New(&log).Level(zerolog.InfoLevel)})
	if err != nil {
		t.Fatal(err)
	}
	daemon := start(t, func(ctx context.Context) error {
		if err := a.Run(ctx); err != nil {
			return err
		}
		return ctx.Err()
	})
	select {
	case <-a.ready:
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready after 30 s:\n%s", log.String())
	}

	f.publish(f.crash())
	f.until("the receiver refuses", func() bool { return refusals.Load() >= 2 })
	f.server.Stop()
	time.Sleep(time.Second) // an outage that the daemon notices
	f.server.Restart()
	before := refusals.Load()
	f.until("the receiver refuses again", func() bool { return refusals.Load() > before })
	daemon.stop()
	wellWritten(t, log.String())
	if len(warnings(log.String())) == 0 {
		t.Errorf("the failures are not in\n%s", log.String())
	}
}
