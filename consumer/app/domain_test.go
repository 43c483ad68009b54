package app

import (
	"testing"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// The whole daemon on a leaf, with its streams in the domain of the hub: it is active,
// which is a record that it has written there, and the leaf has nothing.
func TestDaemonInAnotherDomain(t *testing.T) {
	hub, leaf := streamtest.HubAndLeaf(t)
	cfg := config.Default()
	cfg.Listen = ""
	cfg.NATS.Settings = natsconn.Settings{URL: leaf.URL, Domain: "hub"}
	readyDaemon(t, cfg)

	// An event that a host sends into the leaf becomes a record in the hub.
	const event = `{"specversion":"1.0","id":"web1/4f0c6d1e2a90b7c3/1","source":"/supervisor/web1/supervisor",` +
		`"type":"org.supervisord.process_state.running","subject":"api:api_00","time":"2026-11-21T19:00:31Z",` +
		`"datacontenttype":"application/json","data":{"event":"PROCESS_STATE_RUNNING","host":"web1",` +
		`"server":"supervisor","boot":"4f0c6d1e2a90b7c3","serial":1,"pool":"supernats","poolserial":1,` +
		`"group":"api","process":"api_00","from_state":"STARTING","pid":7}}`
	ctx := t.Context()
	ack, err := leaf.JetStream().Publish(ctx, "supervisor.event.web1.api.api_00.process_state.running", []byte(event))
	if err != nil || ack.Stream != stream.Events || ack.Domain != "hub" {
		t.Fatalf("%+v, %v", ack, err)
	}
	js := hub.JetStream()
	states, err := js.KeyValue(ctx, stream.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	f := fleettest.On(t, hub, js)
	f.Until("the hub has a record of the process", func() bool {
		_, err := states.Get(ctx, "web1.api.api_00")
		return err == nil
	})
	for name := range leaf.JetStream().StreamNames(ctx).Name() {
		t.Errorf("the leaf has stream %s", name)
	}
}
