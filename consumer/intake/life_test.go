package intake

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/config"
	"supernats/consumer/fit"
	"supernats/schema"
	"supernats/schema/stream"
)

// What a bridge knows of the end of a life stands in the record of the process, in the
// alert, and in what a back-test says of it.
func TestLastLifeIsInRecordAndAlert(t *testing.T) {
	f := newFleet(t)
	exit := &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel, OOM: &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30}}
	ran, last := new(187_442.031), &schema.Look{Time: schema.Time{Time: time.Now().UTC().Truncate(time.Microsecond)}, RSS: 1966 << 20, Threads: 9, Age: 187_440}
	seq := f.Publish(f.Crash(func(e *schema.Event) { e.Exit, e.Ran, e.Last = exit, ran, last }))
	f.read()
	f.WaitHandled(seq)

	type life struct {
		Exit *schema.Exit
		Ran  *float64
		Last *schema.Look
	}
	want := life{exit, ran, last}
	s := f.Process("web1", "api", "api_00")
	if d := cmp.Diff(want, life{s.Exit, s.Ran, s.Last}); d != "" {
		t.Errorf("record (-want +got):\n%s", d)
	}
	all := f.Messages(stream.Alerts)
	if len(all) != 1 {
		t.Fatalf("%d alerts", len(all))
	}
	notified := []json.RawMessage{all[0].Data}
	test := Backtest{Plan: planOf(t, config.Default()), Notify: func(n *schema.CloudEvent[*schema.Notification]) error {
		b, err := schema.Marshal(n)
		notified = append(notified, b)
		return err
	}}
	if _, err := test.Run(t.Context(), f.JS); err != nil {
		t.Fatal(err)
	}
	if len(notified) != 2 {
		t.Fatalf("%d notifications, want that of the alert and that of the back-test", len(notified))
	}
	for _, b := range notified {
		var n schema.CloudEvent[*schema.Notification]
		f.Unmarshal(b, &n)
		ev := n.Data.Events[0]
		if d := cmp.Diff(want, life{ev.Exit, ev.Ran, ev.Last}); d != "" {
			t.Errorf("alert (-want +got):\n%s", d)
		}
	}
}

// A host may write a cgroup of any length: no record and no notification is refused for
// it, and that memory ran out is kept.
func TestALongCgroupIsShortened(t *testing.T) {
	f := newFleet(t)
	long := func(e *schema.Event) {
		e.Exit = &schema.Exit{Signal: "SIGKILL", Source: strings.Repeat("s", 5000), OOM: &schema.OOM{Cgroup: strings.Repeat("/a", 50_000), Limit: 7}}
	}
	seq := f.Publish(f.Crash(long))
	f.read()
	f.WaitHandled(seq)
	x := f.Process("web1", "api", "api_00").Exit
	if x == nil || x.OOM == nil || x.OOM.Limit != 7 || len(x.OOM.Cgroup) > 1<<10 || len(x.Source) > 256 {
		t.Errorf("record has %+v", x)
	}

	// Even in a message that has room for hardly anything.
	const limit = 4 << 10
	n := &schema.Notification{Incident: "a", Rule: "r", Severity: "critical", Host: "h"}
	for i := range 3 {
		n.Events = append(n.Events, schema.AlertEvent{
			ID: fmt.Sprint("h/b/", i), Event: "PROCESS_STATE_EXITED", Process: fmt.Sprint("p", i),
			Log: &schema.Log{Stderr: "a log\n"}, Exit: f.Crash(long).Exit, Last: &schema.Look{RSS: 7},
		})
	}
	pieces, err := fit.Notification("a/1", schema.TypeAlertResolved, n, time.Now(), limit)
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for _, p := range pieces {
		if len(p.JSON) > limit {
			t.Errorf("a message of %d bytes", len(p.JSON))
		}
		var ce schema.CloudEvent[*schema.Notification]
		f.Unmarshal(p.JSON, &ce)
		for _, ev := range ce.Data.Events {
			listed++
			if ev.Exit == nil || ev.Exit.OOM == nil || ev.Exit.OOM.Limit != 7 || ev.Exit.OOM.Cgroup == "" {
				t.Errorf("event has %+v", ev.Exit)
			}
		}
	}
	if listed != 3 {
		t.Errorf("%d events are listed", listed)
	}
	if n.Events[0].Exit.OOM.Cgroup != strings.Repeat("/a", 50_000) {
		t.Error("the notification itself was changed")
	}

	s := &schema.ProcessRecord{Host: "web1", Exit: n.Events[0].Exit, Last: &schema.Look{RSS: 7}}
	b, short, err := fit.Record(s, 4<<10)
	if err != nil || !short || !strings.Contains(string(b), `"limit":7`) {
		t.Errorf("%v, shortened %t: %.300s", err, short, b)
	}
}
