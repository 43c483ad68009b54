package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/fleettest"
	"supernats/consumer/notify"
	"supernats/consumer/notify/alertmanager"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/watchdog"
	"supernats/schema/stream"
)

// pings is a dead man's switch that gets a ping every second.
type pings struct {
	*testing.T
	url string
	got chan string
}

func newPings(t *testing.T) *pings {
	t.Helper()
	p := &pings{T: t, got: make(chan string, 1000)}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := new(strings.Builder)
		_ = r.Write(body)
		p.got <- r.URL.Path + " " + body.String()
	}))
	t.Cleanup(s.Close)
	p.url = s.URL + "/switch"
	return p
}

// await waits for a ping that has a text, and passes over those before it.
func (p *pings) await(what, text string) string {
	p.Helper()
	for deadline := time.After(60 * time.Second); ; {
		select {
		case got := <-p.got:
			if strings.Contains(got, text) {
				return got
			}
		case <-deadline:
			p.Fatalf("never: %s", what)
		}
	}
}

// count returns how many pings say that all is well within some time.
func (p *pings) count(within time.Duration) (n int) {
	for deadline := time.After(within); ; {
		select {
		case got := <-p.got:
			if strings.Contains(got, `"status":"ok"`) {
				n++
			}
		case <-deadline:
			return n
		}
	}
}

// section is a configuration with this switch and a receiver.
func (p *pings) section(f *fleettest.Fleet, hook string) string {
	return "nats: {url: '" + f.Server.URL + "'}\nlisten: ''\n" +
		"watchdog: [{name: switch, url: '" + p.url + "', every: 1s}]\n" +
		"receivers: [{name: hook, webhook: {url: '" + hook + "'}}]\n"
}

// It is pinged while people are notified, fails while NATS is away, and comes back by itself.
func TestWatchdogFollowsNATS(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t)
	p := newPings(t)
	readyDaemon(t, loadText(t, p.section(f, newWebhooks(t).serve("hook"))))
	p.await("the first ping", `"status":"ok"`)

	f.Server.Stop()
	got := p.await("a failure while NATS is away", `"status":"fail"`)
	if !strings.HasPrefix(got, "/switch/fail ") || !strings.Contains(got, "NATS") {
		t.Errorf("%s", got)
	}
	if n := p.count(3 * time.Second); n > 0 {
		t.Errorf("%d pings that say ok while NATS is away", n)
	}
	f.Server.Restart()
	p.await("a ping after NATS is back", `"status":"ok"`)
}

// It fails while no receiver accepts anything.
func TestWatchdogFollowsTheReceivers(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t)
	var status atomic.Int32
	status.Store(http.StatusServiceUnavailable)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(hook.Close)
	p := newPings(t)
	readyDaemon(t, loadText(t, p.section(f, hook.URL)))
	p.await("the first ping", `"status":"ok"`)

	f.Publish(f.Crash())
	got := p.await("a failure while the receiver refuses", `"status":"fail"`)
	if !strings.Contains(got, "hook accepts no notifications") || !strings.Contains(got, "503") {
		t.Errorf("%s", got)
	}
	status.Store(http.StatusOK)
	p.await("a ping after the receiver accepts", `"status":"ok"`)
}

// Of two instances the active one alone pings, and the other one when that is dead: nobody
// pings while none is active.
func TestWatchdogOfTheActiveInstanceAlone(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t)
	first, second := newPings(t), newPings(t)
	hook := newWebhooks(t).serve("hook")
	d := readyDaemon(t, loadText(t, first.section(f, hook)))
	first.await("the first ping of the active one", `"status":"ok"`)
	readyDaemon(t, loadText(t, second.section(f, hook)))
	if n := second.count(3 * time.Second); n > 0 || len(second.got) > 0 {
		t.Errorf("the instance that stands by has sent %d pings", n)
	}

	d.Stop()
	for len(first.got) > 0 {
		<-first.got
	}
	second.await("the first ping of the one that took over", `"status":"ok"`)
	if n := first.count(2500 * time.Millisecond); n > 0 {
		t.Errorf("%d pings of an instance that has stopped", n)
	}
}

// It fails when another process has the lease, and this one cannot get it back: events are
// read by nobody.
func TestWatchdogWithoutTheLease(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t)
	p := newPings(t)
	readyDaemon(t, loadText(t, p.section(f, newWebhooks(t).serve("hook"))))
	p.await("the first ping", `"status":"ok"`)

	// A foreign lease that nobody renews: until it has expired, nobody reads events.
	if _, err := f.Bucket(stream.LeasesBucket).PutString(t.Context(), stream.LeaseKey, `{"instance":"ghost","token":"x"}`); err != nil {
		t.Fatal(err)
	}
	f.Until("pings stop", func() bool { return p.count(2*time.Second) == 0 })
}

// Events that are read late, or of which nobody knows, are a reason to fail after a minute.
func TestLateness(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		status fleet.Status
		want   string
	}{
		{name: "all is read", status: fleet.Status{Loaded: true, Live: true}},
		{name: "some wait for less than a minute", status: fleet.Status{Loaded: true, Lag: 9, LagAge: time.Minute, Since: now}},
		{name: "some wait for longer", status: fleet.Status{Loaded: true, Lag: 9, LagAge: 61 * time.Second, Since: now}, want: "9 wait, the oldest for 61 s"},
		{name: "nobody knows since less than a minute", status: fleet.Status{Loaded: true, Why: "x", Since: now.Add(-time.Minute)}},
		{name: "nobody knows for longer", status: fleet.Status{Loaded: true, Why: "x cannot be read", Since: now.Add(-61 * time.Second)}, want: "x cannot be read"},
		{name: "the records were not read yet", status: fleet.Status{Why: "not yet", Since: now.Add(-time.Hour)}},
	} {
		if got := lateness(&fleet.Snapshot{Now: now, Status: c.status}, lateAfter); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The alert fires in an Alertmanager while people are notified, and is not sent again while
// they are not: it is over there by itself then.
func TestAlertThatAlwaysFires(t *testing.T) {
	t.Parallel()
	url := notifytest.Alertmanager(t, "")
	am, err := alertmanager.New("am", alertmanager.Config{URLs: []string{url}, Watchdog: true}.WithDefaults(), notify.Identity{Instance: "mon1"}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	target := alwaysFiring{am}
	updated := func() (at time.Time, found bool) {
		answer, err := http.Get(url + "/api/v2/alerts?filter=alertname%3D%22Watchdog%22")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var list []struct {
			UpdatedAt time.Time
			EndsAt    time.Time
		}
		if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || time.Until(list[0].EndsAt) > 4*watchdog.DefaultEvery {
			return at, false
		}
		return list[0].UpdatedAt, true
	}

	if err := target.Ping(t.Context(), watchdog.Verdict{Reason: "NATS cannot be reached"}); err != nil {
		t.Fatal(err)
	}
	if _, found := updated(); found {
		t.Error("it fires although nobody is notified")
	}
	if err := target.Ping(t.Context(), watchdog.Verdict{}); err != nil {
		t.Fatal(err)
	}
	var first time.Time
	fleettest.Until(t, "it fires", func() (found bool) {
		first, found = updated()
		return found
	})
	if err := target.Ping(t.Context(), watchdog.Verdict{Reason: "NATS cannot be reached"}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if again, _ := updated(); !again.Equal(first) {
		t.Error("it is sent again although nobody is notified")
	}
}
