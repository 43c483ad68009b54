package page_test

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
)

// post sends a form, and does not follow where it leads.
func (h *house) post(path string, form url.Values, change ...func(*http.Request)) *http.Response {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodPost, h.url(path), strings.NewReader(form.Encode()))
	if err != nil {
		h.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range change {
		c(r)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	answer.Body.Close()
	return answer
}

// send sends a form, and returns the page that answers it.
func (h *house) send(path string, form url.Values) (status int, text string) {
	h.Helper()
	answer, err := http.PostForm(h.url(path), form)
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		h.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func goodMute() url.Values {
	return url.Values{"host": {"web1, web{2,3}"}, "rule": {"exit"}, "for": {"30m"}, "comment": {"rolling out"}}
}

func TestMakingASilence(t *testing.T) {
	t.Parallel()
	h := newHouse(t, silencing)
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	h.sees("/", "web1")
	if _, text := h.get("/mutes/new?host=web1&rule=exit&for=30m"); !strings.Contains(text, "Matches now: 0 open alerts, 1 process on 1 host.") ||
		!strings.Contains(text, `<option value="30m" selected>`) {
		t.Errorf("the form is not filled in:\n%s", text)
	}
	if keys := h.Keys(stream.MutesBucket); len(keys) > 0 {
		t.Fatalf("looking at the form has made %v", keys)
	}

	answer := h.post("/mutes", goodMute())
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/mutes?made=") {
		t.Fatalf("status %d to %q", answer.StatusCode, to)
	}
	_, id, _ := strings.Cut(answer.Header.Get("Location"), "=")
	e, err := h.Bucket(stream.MutesBucket).Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var m schema.Mute
	h.Unmarshal(e.Value(), &m)
	if strings.Join(m.Hosts, " ") != "web1 web{2,3}" || m.Author != "web" || m.Comment != "rolling out" ||
		m.Expires.Sub(m.Created.Time).Round(time.Second) != 30*time.Minute {
		t.Errorf("%+v", m)
	}

	if answer := h.post("/mutes/"+id+"/end", nil); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("ending it: status %d", answer.StatusCode)
	}
	if answer := h.post("/mutes/"+id+"/end", nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("ending it again: status %d", answer.StatusCode)
	}
}

// A form that is refused, or cannot be stored, comes back with all that was typed: it says what
// is wrong, and does not get itself again.
func TestARefusedSilenceIsShownAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, silencing)
	filled := url.Values{
		"host": {"web1, web2"}, "group": {"api"}, "process": {"api_00"}, "rule": {"exit"}, "for": {"45m"}, "comment": {"moving <b>"},
	}
	for _, c := range []struct {
		name, field, typed string
		away               bool
		status             int
		wrong, invalid     string
	}{
		{name: "no reason", field: "comment", typed: " ", status: 422, wrong: "The reason is missing", invalid: "comment"},
		{name: "a malformed glob", field: "rule", typed: "x[", status: 422, wrong: "want a name with *", invalid: "rule"},
		{name: "NATS is away", away: true, status: 503, wrong: "send it again when NATS is back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			form := url.Values{}
			for key, values := range filled {
				form[key] = values
			}
			if c.field != "" {
				form.Set(c.field, c.typed)
			}
			if c.away {
				h.Server.Stop()
				h.Until("that is noticed", func() bool { return h.jetStream() == nil })
			}

			status, text := h.send("/mutes", form)
			if status != c.status || !strings.Contains(text, `role="alert"`) || !strings.Contains(text, c.wrong) {
				t.Errorf("status %d, want %d with %q\n%s", status, c.status, c.wrong, text)
			}
			if strings.Contains(text, "http-equiv") {
				t.Error("the page gets itself again, and loses what was typed")
			}
			for key := range filled {
				want := `name="` + key + `" value="` + html.EscapeString(form.Get(key)) + `"`
				if key == "for" {
					want = `<option value="45m" selected>`
				}
				if !strings.Contains(text, want) {
					t.Errorf("%s is lost:\n%s", want, text)
				}
				marked := regexp.MustCompile(`name="` + key + `"[^>]* aria-invalid="true"`).MatchString(text)
				if marked != (key == c.invalid) {
					t.Errorf("%s is marked as wrong: %v", key, marked)
				}
			}
		})
	}
}

func TestFormsThatAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, silencing)
	for _, c := range []struct {
		name   string
		change func(url.Values)
		send   func(*http.Request)
		path   string
		status int
	}{
		{name: "nothing is chosen", change: func(f url.Values) { f.Del("host"); f.Del("rule") }, status: 422},
		{name: "no reason", change: func(f url.Values) { f.Set("comment", "  ") }, status: 422},
		{name: "no end", change: func(f url.Values) { f.Set("for", "") }, status: 422},
		{name: "an end in the past", change: func(f url.Values) { f.Set("for", "-1h") }, status: 422},
		{name: "a malformed glob", change: func(f url.Values) { f.Set("host", "web[") }, status: 422},
		{name: "too much", change: func(f url.Values) { f.Set("comment", strings.Repeat("x", 100_000)) }, status: 413},
		{name: "a page of another site", send: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, status: 403},
		{name: "another origin", send: func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, status: 403},
		{name: "acknowledging is not allowed", path: "/alerts/x/ack", status: 403},
		{name: "withdrawing is not allowed", path: "/alerts/x/ack/end", status: 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			form := goodMute()
			if c.change != nil {
				c.change(form)
			}
			send := func(*http.Request) {}
			if c.send != nil {
				send = c.send
			}
			path := c.path
			if path == "" {
				path = "/mutes"
			}
			if answer := h.post(path, form, send); answer.StatusCode != c.status {
				t.Errorf("status %d, want %d", answer.StatusCode, c.status)
			}
		})
	}
	if keys := h.Keys(stream.MutesBucket); len(keys) > 0 {
		t.Errorf("silences %v", keys)
	}
}

// Without web.allow a page changes nothing.
func TestReadOnlyByDefault(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	a := h.hasAlert("exit", "critical", "web1", "api", "api_00")
	for _, path := range []string{"/mutes", "/mutes/x/end", "/alerts/x/ack", "/alerts/x/ack/end"} {
		if answer := h.post(path, goodMute()); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", path, answer.StatusCode)
		}
	}
	h.sees("/alerts", "api_00")
	for _, path := range []string{"/", "/mutes", "/hosts/web1", site.AlertPath(a.Incident)} {
		if _, text := h.get(path); strings.Contains(text, `method="post"`) || strings.Contains(text, "/mutes/new") {
			t.Errorf("%s offers a change", path)
		}
	}
}
