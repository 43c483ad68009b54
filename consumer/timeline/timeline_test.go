package timeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/fleettest"
	"supernats/consumer/inspect"
	"supernats/consumer/timeline"
	"supernats/schema"
	"supernats/schema/stream"
)

const incident = "unexpected-exit/web1/4f0c6d1e2a90b7c3/1"

// played is an installation on which api:api_00 crashed twice and runs again, and mail was
// notified of the first crash.
func played(t *testing.T) (f *fleettest.Fleet, opened time.Time) {
	t.Helper()
	f = fleettest.New(t)
	exit := func(e *schema.Event) {
		e.Exit = &schema.Exit{Code: new(3)}
		e.Log = &schema.Log{Stderr: "# <b>bad</b>\nValueError\n"}
		e.Ran = new(120.0)
	}
	opened = time.Now().UTC().Truncate(time.Millisecond)
	first := f.Crash(exit)
	seq := f.PublishAt(opened, first)
	f.PublishAt(opened.Add(time.Second), f.Event(schema.ProcessStateRunning, func(e *schema.Event) { e.PID = 77 }))

	n := &schema.Notification{
		Incident: incident, Rule: "unexpected-exit", Kind: schema.KindEvent, Severity: "critical",
		Host: "web1", Group: "api", Process: "api_00", Opened: schema.Time{Time: opened}, Count: 1,
		Annotations: map[string]string{"runbook_url": "https://runbooks.example.com/api"},
		Events: []schema.AlertEvent{{
			ID: "web1/4f0c6d1e2a90b7c3/1", Time: schema.Time{Time: opened}, Seq: seq, Event: first.Event,
			Expected: first.Expected, Exit: first.Exit, Log: first.Log, Ran: first.Ran,
		}},
	}
	sent := f.PublishRaw(n.Subject(), f.JSON(n.Envelope("n1", schema.TypeAlertFiring, opened.Add(100*time.Millisecond))))
	if _, err := f.JS.CreateConsumer(t.Context(), stream.Alerts, jetstream.ConsumerConfig{
		Durable: stream.ReceiverConsumer("mail/ops@example.com"), AckPolicy: jetstream.AckExplicitPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	ack(t, f, sent)

	key := schema.AlertKey("unexpected-exit", "web1", "api", "api_00")
	record := &schema.Alert{
		Incident: incident, Rule: n.Rule, Kind: n.Kind, Severity: n.Severity, Host: n.Host, Group: n.Group,
		Process: n.Process, Phase: schema.PhaseFiring, Opened: n.Opened, Count: n.Count, Last: &n.Events[0],
		Annotations: n.Annotations,
	}
	if _, err := f.Bucket(stream.AlertsBucket).PutString(t.Context(), key, f.JSON(record)); err != nil {
		t.Fatal(err)
	}
	return f, opened
}

// ack has mail take a notification.
func ack(t *testing.T, f *fleettest.Fleet, seq uint64) {
	t.Helper()
	c, err := f.JS.Consumer(t.Context(), stream.Alerts, stream.ReceiverConsumer("mail/ops@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if meta, err := m.Metadata(); err != nil || meta.Sequence.Stream != seq {
		t.Fatalf("%+v, %v", meta, err)
	}
	if err := m.DoubleAck(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// The story has what happened, who was notified, and what came after, in its order.
func TestTheStoryOfAnIncident(t *testing.T) {
	f, _ := played(t)
	in, err := (&inspect.Reader{JS: f.JS}).Incident(t.Context(), incident)
	if err != nil {
		t.Fatal(err)
	}

	story := timeline.Of(in)
	var lines []string
	for _, fact := range story.Facts {
		lines = append(lines, fact.Kind+": "+fact.Who()+" "+fact.Text)
	}
	for i, want := range []string{
		"event: web1 api:api_00 exited unexpectedly, ran 2 min, exit code 3",
		"notification:  notification: firing, 1 event",
		"delivery:  mail/ops@example.com was notified",
		"event: web1 api:api_00 is running, pid 77",
	} {
		if i >= len(lines) || lines[i] != want {
			t.Fatalf("%d: want %q in\n%s", i, want, strings.Join(lines, "\n"))
		}
	}
	if len(lines) != 4 || story.Title != "web1 api:api_00 exited unexpectedly" || story.Phase != schema.PhaseFiring ||
		story.Runbook != "https://runbooks.example.com/api" || len(story.Warnings) > 0 {
		t.Errorf("%+v", story)
	}
}

// Markdown is plain text and tables, whatever the processes are called and have written.
func TestMarkdown(t *testing.T) {
	f, opened := played(t)
	in, err := (&inspect.Reader{JS: f.JS}).Incident(t.Context(), incident)
	if err != nil {
		t.Fatal(err)
	}
	story := timeline.Of(in)
	story.Facts[0].Text += " | `x` <script> &lt;b>"

	var b strings.Builder
	if err := story.Markdown(&b, opened.Add(90*time.Second), true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# web1 api:api\\_00 exited unexpectedly\n",
		"- Incident: `" + incident + "`\n",
		"- State: firing for 90 seconds\n",
		"- Runbook: <https://runbooks.example.com/api>\n",
		"| web1 api:api\\_00 | exited unexpectedly, ran 2 min, exit code 3 \\| \\`x\\` &lt;script&gt; &amp;lt;b&gt; |\n",
		"## Last output of web1 api:api\\_00 on stderr, ",
		"    # <b>bad</b>\n    ValueError\n", // in a code block nothing formats
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("want %q in\n%s", want, b.String())
		}
	}

	b.Reset()
	if err := story.Markdown(&b, opened, false); err != nil || strings.Contains(b.String(), "ValueError") {
		t.Errorf("without logs: %v\n%s", err, b.String())
	}
}

// What has no record is over, although its last notification says that it fires: its end was
// not notified (send_resolved: false), or it is a test.
func TestNoRecordIsLeft(t *testing.T) {
	f := fleettest.New(t)
	opened := time.Now().UTC()
	n := &schema.Notification{
		Incident: "test-alert/web1/1", Rule: "test-alert", Severity: "info", Host: "web1",
		Opened: schema.Time{Time: opened}, Count: 1,
		Annotations: map[string]string{"summary": "TEST: nothing is wrong (ops@web1)"},
		Events:      []schema.AlertEvent{{ID: "test-alert/web1/1", Time: schema.Time{Time: opened}, Event: "TEST"}},
	}
	f.PublishRaw(n.Subject(), f.JSON(n.Envelope("n1", schema.TypeAlertFiring, opened)))
	in, err := (&inspect.Reader{JS: f.JS}).Incident(t.Context(), n.Incident)
	if err != nil {
		t.Fatal(err)
	}

	story := timeline.Of(in)
	if story.Phase != schema.PhaseResolved || story.Closed != nil || story.State(opened) != "over" ||
		len(story.Warnings) != 1 || !strings.Contains(story.Warnings[0], "no record of it is left") {
		t.Errorf("%+v", story)
	}
	if story.Title != "web1 TEST: nothing is wrong (ops@web1)" {
		t.Error(story.Title)
	}
}

func TestNoSuchIncident(t *testing.T) {
	f := fleettest.New(t)
	if in, err := (&inspect.Reader{JS: f.JS}).Incident(t.Context(), incident); !errors.Is(err, inspect.ErrNoIncident) {
		t.Errorf("%+v, %v", in, err)
	}
}

// Who takes care of it, and no longer does, is part of the story.
func TestAcknowledgementsAreFacts(t *testing.T) {
	f, opened := played(t)
	answer := func(id, typ string, after time.Duration, change func(*schema.Notification)) {
		n := &schema.Notification{
			Incident: incident, Rule: "unexpected-exit", Kind: schema.KindEvent, Severity: "critical",
			Host: "web1", Group: "api", Process: "api_00", Opened: schema.Time{Time: opened}, Count: 1, Quiet: true,
		}
		change(n)
		f.PublishRaw(n.Subject(), f.JSON(n.Envelope(id, typ, opened.Add(after))))
	}
	until := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	answer("n2", schema.TypeAlertAcknowledged, time.Minute, func(n *schema.Notification) {
		n.By, n.Reason, n.Until = "ann", "rolling back | `x`", &schema.Time{Time: until}
	})
	answer("n3", schema.TypeAlertUnacknowledged, 2*time.Minute, func(n *schema.Notification) {
		n.Cause, n.Acknowledged = schema.UnackedByTime, &schema.Acknowledgement{By: "ann"}
	})
	in, err := (&inspect.Reader{JS: f.JS}).Incident(t.Context(), incident)
	if err != nil {
		t.Fatal(err)
	}

	story := timeline.Of(in)
	var lines []string
	for _, fact := range story.Facts {
		if fact.Kind == timeline.KindAcknowledgement {
			lines = append(lines, fact.Level+": "+fact.Text)
		}
	}
	want := []string{
		"note: acknowledged by ann: rolling back | `x`, until 2026-11-21 19:00:00 UTC",
		"bad: no longer acknowledged: ann's acknowledgement has expired",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if last := story.Facts[len(story.Facts)-1]; last.Kind != timeline.KindAcknowledgement {
		t.Errorf("the last fact is %+v", last)
	}

	var b strings.Builder
	if err := story.Markdown(&b, opened, false); err != nil ||
		!strings.Contains(b.String(), "| acknowledged by ann: rolling back \\| \\`x\\`, until 2026-11-21 19:00:00 UTC |") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// A process with very many events hides neither how it ended nor what the others did.
func TestLongIncidentsKeepBothEnds(t *testing.T) {
	f, opened := played(t)
	crashes := func(process string, n int) (list []*schema.Event) {
		for i := range n {
			list = append(list, f.Crash(func(e *schema.Event) { e.Process, e.PID = process, i+1 }))
		}
		return list
	}
	f.Publish(crashes("api_00", 900)...)
	f.Publish(crashes("api_01", 3)...)
	record := &schema.Alert{
		Incident: incident, Rule: "unexpected-exit", Severity: "critical", Phase: schema.PhaseFiring, Host: "web1",
		Group: "api", Opened: schema.Time{Time: opened}, Count: 905,
		Members: []schema.AlertMember{{Process: "api_00"}, {Process: "api_01"}},
	}
	records := f.Bucket(stream.AlertsBucket)
	if err := records.Purge(t.Context(), schema.AlertKey(record.Rule, record.Host, record.Group, "api_00")); err != nil {
		t.Fatal(err)
	}
	key := schema.AlertKey(record.Rule, record.Host, record.Group, record.Process)
	if _, err := records.PutString(t.Context(), key, f.JSON(record)); err != nil {
		t.Fatal(err)
	}
	in, err := (&inspect.Reader{JS: f.JS}).Incident(t.Context(), incident)
	if err != nil {
		t.Fatal(err)
	}

	pids := map[string][]int{}
	for _, e := range in.Events {
		pids[e.Data.Process] = append(pids[e.Data.Process], e.Data.PID)
	}
	first, others := pids["api_00"], pids["api_01"]
	if len(first) != 250 || first[len(first)-1] != 900 || first[10] > 10 || !slices.IsSorted(first[2:]) {
		t.Errorf("api_00: %d events, %v", len(first), first)
	}
	if !slices.Equal(others, []int{1, 2, 3}) {
		t.Errorf("api_01: %v", others)
	}
	warnings := strings.Join(timeline.Of(in).Warnings, "\n")
	if want := fmt.Sprintf("%d events of its processes", in.Omitted); in.Omitted != 902-250 || !strings.Contains(warnings, want) {
		t.Errorf("%d are left out: %s", in.Omitted, warnings)
	}
}
