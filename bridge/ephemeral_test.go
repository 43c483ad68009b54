package bridge_test

import (
	"testing"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream/streamtest"
)

// A host that is gone once its supervisord has been stopped says so, at its start and with
// its last word, by a flag or a variable of its section.
func TestEphemeral(t *testing.T) {
	t.Parallel()
	for name, section := range map[string]func(url string) string{
		"flag": func(url string) string {
			return conf(t, "--nats-url", url, "--host", "web1", "--ephemeral")
		},
		"variable": func(url string) string {
			return conf(t, "--nats-url", url, "--host", "web1") + "environment=SUPERNATS_EPHEMERAL=\"1\"\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			nats := streamtest.Start(t)
			js := nats.JetStream()
			s := supervisordtest.Start(t, idle+section(nats.URL))
			if !bridgeRecord(t, waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), 1)[0]).Ephemeral {
				t.Error("the record started does not say so")
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			last := bridgeRecord(t, waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStopping), 1)[0])
			if !last.Ephemeral || last.SupervisorState != "STOPPING" {
				t.Errorf("the last record is %+v", last)
			}
		})
	}
}
