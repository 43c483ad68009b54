package bridge_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream/streamtest"
)

// The process table of a real supervisord that is too large for one message arrives in
// parts, and once: what fails does not ask for the next one.
func TestBigTable(t *testing.T) {
	t.Parallel()
	const programs = 400
	nats := streamtest.Start(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	supervisordtest.Start(t, `
[program:worker]
command=sleep 1000
process_name=%(program_name)s_%(process_num)04d
numprocs=400
autostart=false
`+conf(t, "--nats-url", nats.URL, "--host", "big"))
	js := nats.JetStream()
	const subject = "supervisor.snapshot.big"
	waitStored(t, js, subject, 2)
	time.Sleep(time.Second)
	msgs := stored(t, js, subject)
	seen := map[string]bool{}
	for i, m := range msgs {
		schematest.ValidateDocument(t, "snapshot", m.Data())
		ce, err := schema.Unmarshal[*schema.Snapshot](m.Data())
		if err != nil {
			t.Fatal(err)
		}
		if ce.Data.Part != i+1 || ce.Data.Parts != len(msgs) {
			t.Errorf("message %d is part %d of %d", i+1, ce.Data.Part, ce.Data.Parts)
		}
		for _, p := range ce.Data.Processes {
			seen[p.Process] = true
		}
	}
	if len(seen) != programs+1 {
		t.Errorf("%d processes, want %d", len(seen), programs+1)
	}
}
