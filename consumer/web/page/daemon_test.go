package page_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"supernats/consumer/app"
	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/stream"
)

// servingHTTP finds the address in the log of a daemon.
var servingHTTP = regexp.MustCompile(`"listen":"(127\.0\.0\.1:\d+)"[^\n]*"message":"serving HTTP"`)

// runDaemon runs `supernats consume`, and returns a house with its address.
func runDaemon(t *testing.T, settings string) *house {
	t.Helper()
	h := &house{Fleet: fleettest.New(t)}
	file := filepath.Join(t.TempDir(), "supernats.yaml")
	text := fmt.Sprintf("nats: {url: %q}\nlisten: '127.0.0.1:0'\nweb: {allow: [mute, ack]}\n", h.Server.URL) + settings
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
	return h
}

// A crash is on the open page within a second of its event: its alert, its process, and what
// it said, in the daemon as it runs.
func TestACrashIsOnTheOpenPage(t *testing.T) {
	h := runDaemon(t, "")
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

// Who is logged in by web_config is the author of a silence and of an acknowledgement, each their
// own, and the page stays live.
func TestWhoIsLoggedIn(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("hush"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(users, []byte("basic_auth_users: {ops: '"+string(hash)+"', anna: '"+string(hash)+"'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := runDaemon(t, "web_config: "+users+"\n")
	if status, _ := h.get("/"); status != http.StatusUnauthorized {
		t.Errorf("without a password: status %d", status)
	}

	asOps := func(r *http.Request) { r.SetBasicAuth("ops", "hush") }
	h.Publish(h.Crash())
	h.Until("the crash is seen", func() bool {
		_, text := h.get("/", asOps)
		return strings.Contains(text, "web1 · api:api_00")
	})
	incident := h.firstIncident(asOps)
	for _, name := range []string{"ops", "anna"} {
		_, text := h.get(incident, func(r *http.Request) { r.SetBasicAuth(name, "hush") })
		if !strings.Contains(text, "Acknowledge as "+name) {
			t.Errorf("%s would be somebody else:\n%s", name, text)
		}
	}

	h.address = "ops:hush@" + h.address
	tab := h.open("/mutes/new?host=web1&comment=moving")
	tab.untilText("Silence as ops")
	tab.run(chromedp.Click(chromedp.CSS("button.main")))
	tab.untilText("moving — ops")
	tab.isLive()
	tab.run(chromedp.Navigate(h.url("/")))
	tab.isLive()
	h.Publish(h.Crash(func(e *schema.Event) { e.Process = "api_01" }))
	tab.untilText("web1 · api:api_01")
	tab.isQuiet()
}

// firstIncident returns the path of the incident that is first on the page of the fleet.
func (h *house) firstIncident(change func(*http.Request)) string {
	h.Helper()
	_, text := h.get("/", change)
	m := regexp.MustCompile(`href="(/alerts/[^"]+)"`).FindStringSubmatch(text)
	if m == nil {
		h.Fatalf("no incident is on\n%s", text)
	}
	return html.UnescapeString(m[1])
}

// From the fleet to an acknowledgement and its withdrawal by keys alone, with JavaScript and
// without: the alert's record, the stream of events and the page have both.
func TestAcknowledgingByKeysAlone(t *testing.T) {
	t.Parallel()
	h := runDaemon(t, "")
	for _, c := range []struct {
		name, process string
		options       []chromedp.Action[chromedp.Void]
		toTheIncident func(t *tab, row string)
	}{
		{name: "with JavaScript", process: "api_00", toTheIncident: func(t *tab, _ string) {
			t.isLive()
			t.run(chromedp.KeyEvent("jjk"))
		}},
		{
			name: "without JavaScript", process: "api_01", options: []chromedp.Action[chromedp.Void]{withoutScripts},
			toTheIncident: func(t *tab, row string) { t.tabToRow(row) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := "web1 · api:" + c.process
			h.Publish(h.Crash(func(e *schema.Event) { e.Process = c.process }))
			h.sees("/", row)
			tab := h.openIn(t, "/", c.options...)
			c.toTheIncident(tab, row)
			tab.run(chromedp.KeyEvent(kb.Enter))
			tab.until("it is the incident", `location.pathname.startsWith("/alerts/")`)
			id := strings.TrimPrefix(evaluate[string](tab, "decodeURIComponent(location.pathname)"), "/alerts/")

			tab.tabTo("Acknowledge …")
			tab.run(chromedp.KeyEvent(kb.Enter))
			tab.tabTo("reason")
			tab.run(chromedp.KeyEvent("rolling back"))
			tab.run(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("1 day"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
			tab.until("the page has it", `document.querySelector("main .facts")?.innerText.includes("by web: rolling back, until ") ?? false`)

			ack := h.acknowledged(id)
			if ack == nil || ack.By != "web" || ack.Reason != "rolling back" || ack.Until == nil || ack.Until.Sub(ack.Since.Time) != 24*time.Hour {
				t.Errorf("the API has %+v", ack)
			}
			if got := h.lastAck(); !strings.HasPrefix(got, "supervisor.ack.web1.api."+c.process) || !strings.Contains(got, schema.TypeAck) {
				t.Errorf("the stream has %s", got)
			}
			h.sees("/alerts", "acknowledged")

			tab.tabTo("Withdraw")
			tab.run(chromedp.KeyEvent(kb.Enter))
			tab.until("nobody has it any more", `!(document.querySelector("main .facts")?.innerText.includes("by web") ?? true)`)
			if ack := h.acknowledged(id); ack != nil {
				t.Errorf("the API has %+v", ack)
			}
			if got := h.lastAck(); !strings.Contains(got, schema.TypeUnack) {
				t.Errorf("the stream has %s", got)
			}
			tab.isQuiet()
		})
	}
}

// acknowledged returns who takes care of an incident, as the API has it.
func (h *house) acknowledged(id string) *schema.Acknowledgement {
	h.Helper()
	_, text := h.get("/api/v1/alerts")
	var answer struct {
		Alerts []schema.Alert `json:"alerts"`
	}
	h.Unmarshal([]byte(text), &answer)
	for _, a := range answer.Alerts {
		if a.Incident == id {
			return a.Acknowledged
		}
	}
	h.Fatalf("the API has no alert %s: %s", id, text)
	return nil
}

// lastAck returns the subject and the text of the newest acknowledgement, or withdrawal, in the
// stream of events.
func (h *house) lastAck() string {
	h.Helper()
	s, err := h.JS.Stream(h.Context(), stream.Events)
	if err != nil {
		h.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(h.Context(), stream.AllAcks)
	if err != nil {
		h.Fatal(err)
	}
	return m.Subject + " " + string(m.Data)
}
