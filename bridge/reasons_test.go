package bridge_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A death tells its reason and what the process wrote last; the process table
// comes as a snapshot.
func TestReasonsAndSnapshots(t *testing.T) {
	nats := streamtest.Start(t)
	supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--host", "web1", "--snapshot-every", "1s")+`
[program:coded]
command=sh -c "echo last words >&2; sleep 1.2; exit 3"
[program:killed]
command=sh -c "sleep 1.3; kill -SEGV $$"
[program:flapper]
command=sh -c "exit 7"
startretries=1
[program:missing]
command=/no/such/program
startretries=1
`)
	js := nats.JetStream()
	want := map[string]func(e *schema.Event) bool{
		"coded": func(e *schema.Event) bool {
			return e.UnexpectedExit() && e.Exit != nil && e.Exit.Code != nil && *e.Exit.Code == 3 && e.Log != nil && strings.Contains(e.Log.Stderr, "last words")
		},
		"killed": func(e *schema.Event) bool { return e.UnexpectedExit() && e.Exit != nil && e.Exit.Signal == "SIGSEGV" },
		"flapper": func(e *schema.Event) bool {
			return e.Event == schema.ProcessStateFatal && e.Exit != nil && e.Exit.Code != nil && *e.Exit.Code == 7
		},
		"missing": func(e *schema.Event) bool {
			return e.Event == schema.ProcessStateFatal && e.Exit != nil && strings.Contains(e.Exit.SpawnErr, "/no/such/program")
		},
	}
	validate := validator(t)
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		missing := len(want)
		seen := map[string]bool{}
		for _, m := range stored(t, js, stream.AllEvents) {
			validate(m.Data())
			e := event(t, m)
			if is := want[e.Process]; is != nil && !seen[e.Process] && is(e) {
				seen[e.Process] = true
				missing--
			}
		}
		return missing == 0
	}, "four deaths with their reasons")

	compiled, err := jsonschema.NewCompiler().Compile("../schema/snapshot.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		for _, m := range stored(t, js, schema.SnapshotSubject("web1")) {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Data()))
			if err == nil {
				err = compiled.Validate(v)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, m.Data())
			}
			ce, err := schema.Unmarshal[*schema.Snapshot](m.Data())
			if err != nil || len(ce.Data.Processes) != 5 || m.Headers().Get(stream.HeaderTTL) != "3600s" {
				t.Fatalf("%v %s\n%s", err, m.Headers(), m.Data())
			}
			reasons[ce.Data.Reason] = true
		}
		return reasons["start"] && reasons["interval"]
	}, "snapshots")
}
