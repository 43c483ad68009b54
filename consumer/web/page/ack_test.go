package page_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"supernats/consumer/acknowledge"
	"supernats/consumer/web/page"
	"supernats/consumer/web/site"
	"supernats/schema"

	"github.com/chromedp/chromedp"
)

// acknowledger records what it was asked for, and changes the record of its alert as the
// daemon does.
type acknowledger struct {
	mu                         sync.Mutex
	what, incident, reason, by string
	lasts                      time.Duration
	fails                      error
	change                     func(*schema.Acknowledgement)
}

func (a *acknowledger) Acknowledge(_ context.Context, incident, reason, by string, lasts time.Duration) error {
	ack := &schema.Acknowledgement{By: by, Reason: reason, Since: minutesAgo(0)}
	if lasts > 0 {
		ack.Until = &schema.Time{Time: time.Now().Add(lasts)}
	}
	return a.take("ack", incident, reason, by, lasts, ack)
}

func (a *acknowledger) Unacknowledge(_ context.Context, incident, by string) error {
	return a.take("unack", incident, "", by, 0, nil)
}

func (a *acknowledger) take(what, incident, reason, by string, lasts time.Duration, ack *schema.Acknowledgement) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails != nil {
		return a.fails
	}
	a.what, a.incident, a.reason, a.by, a.lasts = what, incident, reason, by, lasts
	a.change(ack)
	return nil
}

// acknowledging returns a house with an open incident that can be acknowledged.
func acknowledging(t *testing.T) (h *house, incident string, asked *acknowledger) {
	t.Helper()
	asked = &acknowledger{}
	h = newHouse(t, func(o *page.Options) {
		o.Site.Settings.Allow, o.Acknowledger = []string{site.AllowAck}, asked
	})
	h.hasHost("web1")
	of := func(ack *schema.Acknowledgement) *schema.Alert {
		return h.hasAlert("exit", "critical", "web1", "api", "api_00", func(a *schema.Alert) { a.Acknowledged = ack })
	}
	asked.change = func(ack *schema.Acknowledgement) { of(ack) }
	incident = site.AlertPath(of(nil).Incident)
	h.sees(incident, "Acknowledge as web")
	return h, incident, asked
}

func TestAcknowledging(t *testing.T) {
	t.Parallel()
	h, incident, got := acknowledging(t)
	answer := h.post(incident+"/ack", url.Values{"reason": {" on it "}, "for": {"8h"}})
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || to != incident {
		t.Errorf("status %d to %q", answer.StatusCode, to)
	}
	if got.what != "ack" || site.AlertPath(got.incident) != incident || got.reason != "on it" || got.by != "web" || got.lasts != 8*time.Hour {
		t.Errorf("%+v", got)
	}
	_, text := h.get(incident)
	for _, want := range []string{"by web: on it, until ", ">Withdraw</button>"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}

	h.post(incident+"/ack", url.Values{"reason": {"on it still"}, "for": {""}})
	if got.lasts != 0 || got.reason != "on it still" {
		t.Errorf("until it is over: %+v", got)
	}
	h.sees(incident, "by web: on it still · ")
}

func TestWithdrawing(t *testing.T) {
	t.Parallel()
	h, incident, got := acknowledging(t)
	h.post(incident+"/ack", url.Values{"reason": {"on it"}})
	h.sees(incident, "by web: on it", `action="`+incident+`/ack/end"`)

	if status, _ := h.get(incident + "/ack/end"); status != http.StatusMethodNotAllowed || got.what != "ack" {
		t.Errorf("by GET: status %d, %+v", status, got)
	}
	answer := h.post(incident+"/ack/end", nil)
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || to != incident {
		t.Errorf("status %d to %q", answer.StatusCode, to)
	}
	if got.what != "unack" || site.AlertPath(got.incident) != incident || got.by != "web" {
		t.Errorf("%+v", got)
	}
	if _, text := h.get(incident); strings.Contains(text, "by web: on it") || strings.Contains(text, "Withdraw") {
		t.Errorf("it is still acknowledged:\n%s", text)
	}
}

// The form that a link may fill in changes nothing until it is sent.
func TestTheFormOfAnAcknowledgement(t *testing.T) {
	t.Parallel()
	h, incident, got := acknowledging(t)
	h.sees(incident+"/ack?reason=rolling+back&for=45m", "web1 · api:api_00", `value="rolling back"`, `<option value="45m" selected>`)
	h.sees(incident+"/ack", `<option value="8h" selected>`, `<option value="">until it is over</option>`)
	if got.what != "" {
		t.Errorf("looking at it did %+v", got)
	}
	if status, _ := h.get("/alerts/none/ack"); status != http.StatusNotFound {
		t.Errorf("of no incident: status %d", status)
	}
}

// An acknowledgement that is refused comes back with all that was typed, unless sending it again
// would change nothing.
func TestRefusedAcknowledgements(t *testing.T) {
	t.Parallel()
	h, incident, got := acknowledging(t)
	for _, c := range []struct {
		name, path string
		form       url.Values
		fails      error
		send       func(*http.Request)
		status     int
		want       []string
	}{
		{name: "no reason", form: url.Values{"reason": {" "}, "for": {"45m"}}, status: 422, want: []string{
			"The reason is missing", `<option value="45m" selected>`, `aria-invalid="true"`,
		}},
		{name: "a malformed end", form: url.Values{"reason": {"on it"}, "for": {"8 hours"}}, status: 422, want: []string{
			"want 30m, 2h, 1d", `value="on it"`,
		}},
		{name: "a reason without end", form: url.Values{"reason": {strings.Repeat("x", 1100)}}, status: 422, want: []string{"want at most 1024"}},
		{name: "NATS is away", form: url.Values{"reason": {"on it"}, "for": {""}}, fails: errors.New("NATS cannot be reached"), status: 503, want: []string{
			"NATS cannot be reached", `value="on it"`, `<option value="" selected>`,
		}},
		{name: "it is over", form: url.Values{"reason": {"on it"}}, fails: acknowledge.ErrOver, status: 409, want: []string{"The incident is not open"}},
		{name: "it is forgotten", form: url.Values{"reason": {"on it"}}, fails: acknowledge.ErrNone, status: 404, want: []string{"is recorded"}},
		{name: "nobody has taken it yet", form: url.Values{"reason": {"on it"}}, fails: acknowledge.ErrPending, status: 202, want: []string{"Do not send it again"}},
		{name: "withdrawn already", path: "/ack/end", fails: acknowledge.ErrNotAcknowledged, status: 409, want: []string{"Nobody has acknowledged"}},
		{name: "withdrawing while NATS is away", path: "/ack/end", fails: errors.New("NATS cannot be reached"), status: 503, want: []string{"NATS cannot be reached"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got.fails = c.fails
			path := incident + "/ack"
			if c.path != "" {
				path = incident + c.path
			}
			status, text := h.send(path, c.form)
			if status != c.status || strings.Contains(text, "http-equiv") {
				t.Errorf("status %d, want %d", status, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
		})
	}

	got.fails = nil
	for _, path := range []string{"/ack", "/ack/end"} {
		foreign := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
		if answer := h.post(incident+path, url.Values{"reason": {"on it"}}, foreign); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s from a page of another site: status %d", path, answer.StatusCode)
		}
	}
	if got.what != "" {
		t.Errorf("something was done: %+v", got)
	}
}

// Somebody else acknowledges the incident that is looked at, and withdraws it: the open page
// shows that.
func TestAnAcknowledgementIsOnTheOpenPage(t *testing.T) {
	t.Parallel()
	h, incident, asked := acknowledging(t)
	tab := h.open(incident)
	tab.isLive()
	if err := asked.Acknowledge(t.Context(), "", "rolling back", "anna", 0); err != nil {
		t.Fatal(err)
	}
	tab.untilText("by anna: rolling back")
	if err := asked.Unacknowledge(t.Context(), "", "anna"); err != nil {
		t.Fatal(err)
	}
	tab.until("it is gone", `!document.body.innerText.includes("by anna")`)

	// A link in a notification leads to the form.
	tab.run(chromedp.Navigate("about:blank"), chromedp.Navigate(h.url(incident+"#ack")))
	tab.until("the form is open", `document.getElementById("ack").checkVisibility()`)
	tab.isQuiet()
}
