package bridge_test

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/schematest"
)

// A program that is given up has run as long, and looked, as in its last try; one that
// could not be started has not run at all.
func TestRanOfTries(t *testing.T) {
	t.Parallel()
	_, js := startWeb1(t, `
[program:loop]
command=sh -c "sleep 0.7; exit 7"
startretries=1
startsecs=60
[program:missing]
command=/no/such/program
startretries=1
`)
	var tries []*schema.Event
	for _, m := range waitStored(t, js, "supervisor.event.web1.loop.loop.process_state.backoff", 2) {
		schematest.ValidateDocument(t, "event", m.Data())
		e := event(t, m)
		if tries = append(tries, e); e.Ran == nil || *e.Ran < 0.69 || e.Last == nil || e.Last.Threads != 1 ||
			e.Last.Age > *e.Ran+0.02 {
			t.Errorf("%s", m.Data())
		}
	}
	m := waitStored(t, js, "supervisor.event.web1.loop.loop.process_state.fatal", 1)[0]
	schematest.ValidateDocument(t, "event", m.Data())
	if e, last := event(t, m), tries[1]; e.Ran == nil || *e.Ran != *last.Ran || e.Last == nil || *e.Last != *last.Last {
		t.Errorf("%s, want as %v, %+v", m.Data(), *last.Ran, last.Last)
	}

	never := waitStored(t, js, "supervisor.event.web1.missing.missing.process_state.backoff", 2)
	never = append(never, waitStored(t, js, "supervisor.event.web1.missing.missing.process_state.fatal", 1)...)
	if i := slices.IndexFunc(never, func(m jetstream.Msg) bool { e := event(t, m); return e.Ran != nil || e.Last != nil }); i >= 0 {
		t.Errorf("%s", never[i].Data())
	}
}
