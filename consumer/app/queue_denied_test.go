package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
)

// A receiver whose queue may not be made holds up no event and no other receiver. It is
// said; and when the right is there, it is notified of all that was stored meanwhile, over
// a restart of the daemon too, and of nothing before.
func TestQueueThatMayNotBeMade(t *testing.T) {
	f := fleettest.New(t)
	f.PublishRaw("supervisor.alert.web0.-.-.fatal", "{}") // of the past
	users := func(deny ...string) {
		t.Helper()
		f.Server.Stop()
		f.Server.Change(func(o *server.Options) {
			o.Users = []*server.User{
				{Username: "all", Password: "all"},
				{Username: "daemon", Password: "daemon", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: append(deny, "nothing")}}},
			}
		})
		f.Server.Restart()
	}
	users("$JS.API.CONSUMER.*.SUPERVISOR_ALERTS.notify_two")
	nc, err := nats.Connect(f.Server.URL, nats.UserInfo("all", "all"), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if f.JS, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}

	told := map[string]chan string{}
	serve := func(name string) string {
		told[name] = make(chan string, 100)
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body := new(strings.Builder)
			if err := r.Write(body); err == nil {
				told[name] <- body.String()
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	cfg, err := loadText(t, "nats: {url: '"+strings.Replace(f.Server.URL, "://", "://daemon:daemon@", 1)+"'}\nlisten: ''\ngroup_interval: 1s\nreceivers:\n"+
		"  - {name: two, webhook: {url: '"+serve("two")+"'}}\n  - {name: one, webhook: {url: '"+serve("one")+"'}}\n")
	if err != nil {
		t.Fatal(err)
	}
	run := func() (a *App, stop func()) {
		a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		return a, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	wait := func(name, process string) {
		t.Helper()
		select {
		case body := <-told[name]:
			if !strings.Contains(body, process) || strings.Contains(body, "web0") {
				t.Errorf("%s is told, want %s: %s", name, process, body)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is not told of %s", name, process)
		}
	}

	for _, process := range []string{"first", "second"} {
		a, stop := run()
		<-a.ready
		e := f.Crash()
		e.Process = process
		f.Publish(e)
		wait("one", process)
		said := fmt.Sprint(a.health.Failures())
		if !strings.Contains(said, "receiver two is not notified: its consumer notify_two of stream SUPERVISOR_ALERTS cannot be made") {
			t.Errorf("what is wrong: %s", said)
		}
		stop()
	}

	users()
	a, stop := run()
	defer stop()
	wait("two", "first")
	f.Until("nothing is wrong", func() bool { return len(a.health.Failures()) == 0 })
	if n := len(told["one"]); n != 0 {
		t.Errorf("the other one is told %d more", n)
	}
}
