package app

import (
	"fmt"
	"strings"
	"testing"

	"supernats/consumer/fleettest"
)

// A receiver whose queue may not be made holds up no event and no other receiver. It is
// said; and when the right is there, it is notified of all that was stored meanwhile, over
// a restart of the daemon too, and of nothing before.
func TestQueueThatMayNotBeMade(t *testing.T) {
	f := fleettest.New(t)
	f.PublishRaw("supervisor.alert.web0.-.-.fatal", "{}") // of the past
	restart := func(denied ...string) {
		t.Helper()
		f.Server.Stop()
		f.Server.Change(deny(append(denied, "nothing")...))
		f.Server.Restart()
	}
	restart("$JS.API.CONSUMER.*.SUPERVISOR_ALERTS.notify_two")
	f.JS = connectAs(t, f.Server.URL, "all", "all")

	hooks := newWebhooks(t)
	cfg := loadText(t, "nats: {url: '"+as("daemon", f.Server.URL)+"'}\nlisten: ''\ngroup_interval: 1s\nreceivers:\n"+
		"  - {name: two, webhook: {url: '"+hooks.serve("two")+"'}}\n"+
		"  - {name: one, webhook: {url: '"+hooks.serve("one")+"'}}\n")
	isNotified := func(name, process string) {
		t.Helper()
		if body := hooks.next(name); !strings.Contains(body, process) || strings.Contains(body, "web0") {
			t.Errorf("%s is sent this, want %s: %s", name, process, body)
		}
	}

	for _, process := range []string{"first", "second"} {
		d := readyDaemon(t, cfg)
		e := f.Crash()
		e.Process = process
		f.Publish(e)
		isNotified("one", process)
		const denied = "receiver two is not notified: " +
			"its consumer notify_two of stream SUPERVISOR_ALERTS cannot be made"
		if said := fmt.Sprint(d.health.Failures()); !strings.Contains(said, denied) {
			t.Errorf("what is wrong: %s", said)
		}
		d.Stop()
	}

	restart()
	d := runDaemon(t, cfg)
	isNotified("two", "first")
	f.Until("nothing is wrong", func() bool { return len(d.health.Failures()) == 0 })
	if n := len(hooks.sent["one"]); n != 0 {
		t.Errorf("the other one is sent %d more", n)
	}
}
