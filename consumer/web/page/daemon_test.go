package page_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/app"
	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema"
)

// servingHTTP finds the address in the log of a daemon.
var servingHTTP = regexp.MustCompile(`"listen":"(127\.0\.0\.1:\d+)"[^\n]*"message":"serving HTTP"`)

// runDaemon runs `supernats consume`, and returns a house with its address.
func runDaemon(t *testing.T) *house {
	t.Helper()
	h := &house{Fleet: fleettest.New(t)}
	file := filepath.Join(t.TempDir(), "supernats.yaml")
	text := fmt.Sprintf("nats: {url: %q}\nlisten: '127.0.0.1:0'\nweb: {allow: [mute]}\n", h.Server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := cfg.Plan()
	if err != nil {
		t.Fatal(err)
	}

	daemon, err := app.New(plan, app.Options{Version: "test", Log: zerolog.New(&h.log)})
	if err != nil {
		t.Fatal(err)
	}
	fleettest.Start(t, func(ctx context.Context) error {
		if err := daemon.Run(ctx); err != nil {
			return err
		}
		return ctx.Err()
	})
	h.Until("it serves HTTP", func() bool {
		m := servingHTTP.FindStringSubmatch(h.log.String())
		if m != nil {
			h.address = m[1]
		}
		return m != nil
	})
	h.sees("/readyz", "ready\n")
	return h
}

// A crash is on the open page within a second of its event: its alert, its process, and what
// it said, in the daemon as it runs.
func TestACrashIsOnTheOpenPage(t *testing.T) {
	h := runDaemon(t)
	h.Publish(h.Event(schema.ProcessStateRunning, func(e *schema.Event) { e.FromState = schema.StateStarting }))
	h.sees("/hosts/web1", "RUNNING")
	tab := h.open("/")
	tab.isLive()
	tab.untilText("Nothing needs attention")

	var took []time.Duration
	for i := range 3 {
		name := fmt.Sprintf("api_%02d", i)
		begun := time.Now()
		h.Publish(h.Crash(func(e *schema.Event) {
			e.Process, e.FromState, e.PID, e.Exit = name, schema.StateRunning, 815, &schema.Exit{Code: new(7)}
			e.Log = &schema.Log{Stderr: "out of luck\n"}
		}))
		tab.untilText("web1 · api:" + name)
		took = append(took, time.Since(begun))
	}
	t.Logf("took %v", took)
	if slices.Min(took) > time.Second {
		t.Errorf("the fastest of %v took more than a second", took)
	}
	tab.untilText("3 things need attention")
	tab.isQuiet()

	incident := h.open(evaluate[string](tab, `new URL(document.querySelector("#open a").href).pathname`))
	for _, text := range []string{"exit code 7", "out of luck", "notification: firing", "exited unexpectedly"} {
		incident.untilText(text)
	}
	incident.isQuiet()
}
