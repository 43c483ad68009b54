package page_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/fleet"
	"supernats/consumer/fleettest"
	"supernats/consumer/health"
	"supernats/consumer/web"
	"supernats/consumer/web/page"
	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/httplimit"
	"supernats/schema/stream"
)

// house is an installation with its pages, without the daemon: tests write the records.
type house struct {
	*fleettest.Fleet
	live *fleet.Fleet
	site *site.Site
	// handler is served at address, over HTTP/1.1, while server is not nil.
	handler http.Handler
	address string
	server  *http.Server
	log     fleettest.Buffer
}

// newHouse serves pages; change may alter what they are made with.
func newHouse(t *testing.T, change ...func(*page.Options)) *house {
	t.Helper()
	h := &house{Fleet: fleettest.New(t), site: &site.Site{}, address: "127.0.0.1:0"}
	h.settle(change...)
	h.serve()
	t.Cleanup(h.vanish)
	h.isActive()
	return h
}

// settle makes pages that know nothing yet, as a daemon that starts.
func (h *house) settle(change ...func(*page.Options)) {
	h.live = fleet.New()
	o := page.Options{
		Site: h.site, Fleet: h.live, JetStream: h.jetStream, Version: "test",
		Log: zerolog.New(&h.log),
	}
	for _, c := range change {
		c(&o)
	}

	pages := page.New(o)
	server := &web.Server{
		Site: h.site, Rooms: []web.Room{pages}, Health: health.New(zerolog.Nop()), Ready: make(chan struct{}),
		Log: zerolog.Nop(),
	}
	h.handler = server.Handler()
	live := h.live
	h.Background(func(ctx context.Context) error { return live.Run(ctx, h.JS, zerolog.Nop()) })
	h.Background(pages.Run)
}

// serve answers at the address, as the daemon does: with limits of connections and time.
func (h *house) serve() {
	h.Helper()
	l, err := net.Listen("tcp", h.address)
	if err != nil {
		h.Fatal(err)
	}
	h.address = l.Addr().String()
	h.server = &http.Server{Handler: h.handler}
	limited := httplimit.Apply(h.server, l, 256, slog.New(slog.DiscardHandler))
	go func(s *http.Server) { _ = s.Serve(limited) }(h.server)
}

// vanish closes all connections, and answers no more.
func (h *house) vanish() {
	if h.server != nil {
		_ = h.server.Close()
		h.server = nil
	}
}

func (h *house) url(path string) string { return "http://" + h.address + path }

// jetStream is the connection, nil while there is none.
func (h *house) jetStream() jetstream.JetStream {
	if h.JS.Conn().IsConnected() {
		return h.JS
	}
	return nil
}

// isActive makes it look as if the daemon recorded events.
func (h *house) isActive() {
	h.Helper()
	h.put(stream.LeasesBucket, stream.LeaseKey, &stream.LeaseRecord{Instance: "ops1, pid 7"})
	if _, err := h.JS.CreateOrUpdateConsumer(h.Context(), stream.Events, jetstream.ConsumerConfig{
		Durable: stream.EventsConsumer, AckPolicy: jetstream.AckAllPolicy, DeliverPolicy: jetstream.DeliverNewPolicy,
		FilterSubjects: []string{"supervisor.none.>"},
	}); err != nil {
		h.Fatal(err)
	}
	h.Until("the pages are live", func() bool { return h.live.Snapshot().Status.Live })
}

// put writes a record into a bucket.
func (h *house) put(bucket, key string, record any) {
	h.Helper()
	if _, err := h.Bucket(bucket).Put(h.Context(), key, []byte(h.JSON(record))); err != nil {
		h.Error(err)
	}
}

// many writes the records of each of n hosts, several at a time: NATS answers one after the other.
func (h *house) many(n int, write func(i int)) {
	h.Helper()
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error {
			write(i)
			return nil
		})
	}
	_ = g.Wait()
}

// hasHost records a host that is seen now.
func (h *house) hasHost(name string, change ...func(*schema.HostRecord)) {
	h.Helper()
	r := &schema.HostRecord{
		Host: name, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", BridgeVersion: "1.0.0", SupervisorVersion: "4.3.0",
		SupervisorState: "RUNNING", LastSeen: schema.Time{Time: time.Now()}, Running: 1,
	}
	for _, c := range change {
		c(r)
	}
	h.put(stream.HostsBucket, schema.Token(name), r)
}

// hasProcess records a process that is in a state since a minute ago.
func (h *house) hasProcess(host, group, name, state string, change ...func(*schema.ProcessRecord)) {
	h.Helper()
	r := &schema.ProcessRecord{
		Host: host, Group: group, Process: name, State: state, Since: schema.Time{Time: time.Now().Add(-time.Minute)},
		Boot: "4f0c6d1e2a90b7c3", Starts: 1, PID: 4711,
	}
	if state != schema.StateRunning {
		r.PID = 0
	}
	for _, c := range change {
		c(r)
	}
	h.put(stream.StateBucket, schema.StateKey(host, group, name), r)
}

// hasAlert records an alert about a process.
func (h *house) hasAlert(rule, severity, host, group, process string, change ...func(*schema.Alert)) *schema.Alert {
	h.Helper()
	now := schema.Time{Time: time.Now().UTC()}
	a := &schema.Alert{
		Incident: fmt.Sprintf("%s-%s-%s", rule, host,
			process), Rule: rule, Severity: severity, Host: host, Group: group,
		Process: process, Phase: schema.PhaseFiring, Opened: now, Count: 1, Kind: schema.KindEvent,
		Last: &schema.AlertEvent{
			ID: host + "/4f0c6d1e2a90b7c3/1", Time: now, Event: schema.ProcessStateExited, Expected: new(false),
			PID:  4711,
			Exit: &schema.Exit{Code: new(3)}, Ran: new(41.2),
			Log: &schema.Log{Stderr: "Traceback (most recent call last):\n  File \"/srv/main.py\", line 42\nKeyError: 'region'\n"},
		},
	}
	for _, c := range change {
		c(a)
	}
	h.put(stream.AlertsBucket, schema.AlertKey(rule, host, group, process), a)
	return a
}

// get returns a page.
func (h *house) get(path string, change ...func(*http.Request)) (status int, text string) {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, h.url(path), nil)
	if err != nil {
		h.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, answer.Body); err != nil {
		h.Fatal(err)
	}
	return answer.StatusCode, b.String()
}

// sees waits until a page has all of some texts.
func (h *house) sees(path string, texts ...string) string {
	h.Helper()
	var page string
	h.Until(fmt.Sprintf("%s shows %q", path, texts), func() bool {
		_, page = h.get(path)
		for _, text := range texts {
			if !strings.Contains(page, text) {
				return false
			}
		}
		return true
	})
	return page
}

// silencing lets the pages make silences.
func silencing(o *page.Options) {
	o.Site.Settings.Allow = []string{site.AllowMute}
}

// followAs follows a page from an address, and returns what waits for an event with a text.
func (h *house) followAs(path, from string) (event func(text string) string) {
	h.Helper()
	_, page := h.get(path)
	id := regexp.MustCompile(`data-id="([^"]+)"`).FindStringSubmatch(page)
	if id == nil {
		h.Fatalf("%s cannot be followed: %.500s", path, page)
	}
	query := url.Values{"view": {path}, "after": {id[1]}}
	r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, h.url("/api/v1/stream?"+query.Encode()), nil)
	if err != nil {
		h.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", from)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = answer.Body.Close() })

	lines := bufio.NewScanner(answer.Body)
	return func(text string) string {
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return lines.Text()
			}
		}
		return ""
	}
}

// allowingAll lets the pages do all that they can.
func allowingAll(o *page.Options) {
	o.Site.Settings.Allow, o.Acknowledger = []string{site.AllowMute, site.AllowAck}, &acknowledger{}
}
