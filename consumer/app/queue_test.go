package app

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/fleettest"
	"supernats/schema/stream"
)

// More receivers than an account allows consumers hold up nobody: the first is
// notified, the second as soon as there is room, of all that was stored meanwhile.
func TestMoreReceiversThanConsumers(t *testing.T) {
	f := fleettest.New(t, func(js jetstream.JetStream) {
		c := stream.AlertsConfig(stream.DefaultLimits())
		c.MaxConsumers = 2
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		other := jetstream.ConsumerConfig{Durable: "other"}
		if _, err := js.CreateOrUpdateConsumer(t.Context(), stream.Alerts, other); err != nil {
			t.Fatal(err)
		}
	})
	hooks := newWebhooks(t)
	d := runDaemon(t, loadText(t, "nats: {url: '"+f.Server.URL+"'}\nlisten: ''\nreceivers:\n"+
		"  - {name: one, webhook: {url: '"+hooks.serve("one")+"'}}\n"+
		"  - {name: two, webhook: {url: '"+hooks.serve("two")+"'}}\n"))

	f.Until("events are read", func() bool { return strings.Contains(d.log.String(), "reading events") })
	f.Publish(f.Crash())
	isNotified := func(name string) {
		t.Helper()
		if body := hooks.next(name); !strings.Contains(body, "api_00") {
			t.Errorf("%s is sent %s", name, body)
		}
	}
	isNotified("one")
	const noRoom = "receiver two is not notified: this NATS account allows no more consumers"
	if wrong := d.health.Failures(); len(wrong) != 1 || !strings.Contains(wrong[0].Text, noRoom) {
		t.Errorf("what is wrong: %+v", wrong)
	}

	if err := f.JS.DeleteConsumer(t.Context(), stream.Alerts, "other"); err != nil {
		t.Fatal(err)
	}
	isNotified("two")
	f.Until("nothing is wrong", func() bool { return len(d.health.Failures()) == 0 })
}
