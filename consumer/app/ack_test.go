package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"supernats/consumer/acknowledge"
	"supernats/consumer/fleettest"
	"supernats/consumer/inspect"
	"supernats/consumer/intake"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
	"supernats/schema/stream"

	"github.com/nats-io/nats.go/jetstream"
)

// ackRules repeat an alert about a group each second, and notify the boss after five.
const ackRules = `
nats: {url: %s}
listen: ""
receivers:
  - {name: ops, mail: {smarthost: %q, tls: none, from: a@example.com, to: [ops@example.com]}, rate_limit: {burst: 100, every: 1s}}
  - {name: boss, mail: {smarthost: %q, tls: none, from: a@example.com, to: [boss@example.com]}, rate_limit: {burst: 100, every: 1s}}
group_interval: 1s
repeat_interval: 1s
resolve_after: 1s
rules:
  - name: exit
    event: PROCESS_STATE_EXITED
    severity: critical
    group_by: [host, group]
    notify: [ops]
    escalate: [{after: 5s, notify: [boss]}]
`

// mailbox is what the mail server has got.
type mailbox struct {
	*smtptest.Server
	t *testing.T
}

// subjects are those of the mails to somebody, oldest first.
func (i mailbox) subjects(to string) (list []string) {
	for _, m := range i.Mails() {
		if slices.Contains(m.To, to) {
			list = append(list, m.Subject())
		}
	}
	return list
}

// wait returns when the last mail to somebody has all words in its subject.
func (i mailbox) wait(to string, words ...string) {
	i.t.Helper()
	fleettest.Until(i.t, fmt.Sprintf("%s has a mail with %q", to, words), func() bool {
		list := i.subjects(to)
		if len(list) == 0 {
			return false
		}
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(list[len(list)-1], w) })
	})
}

// One whole run by mail: a crash is mailed, and repeated until somebody acknowledges it; then
// it is not, over a kill of the daemon too, until another process joins. Nobody takes care of
// that, so the boss hears of it. Its end says who took care. A back-test sees the same.
func TestAcknowledgedByMail(t *testing.T) {
	f := fleettest.New(t)
	server, err := smtptest.Start(smtptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	mails := mailbox{server, t}
	cfg := loadText(t, fmt.Sprintf(ackRules, f.Server.URL, server.Addr(), server.Addr()))
	d := readyDaemon(t, cfg)
	var tried []string
	const ops, boss = "ops@example.com", "boss@example.com"
	reader := &inspect.Reader{JS: f.JS}

	f.Publish(f.Crash())
	mails.wait(ops, "UPDATE") // it was repeated
	records, err := reader.AlertRecords(t.Context())
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	q := acknowledge.Request{Incident: records[0].Incident, By: "ann", Reason: "rolling back"}
	record, err := acknowledge.Send(t.Context(), reader, q)
	if err != nil || !record.IsAcknowledged() || record.Acknowledged.By != "ann" {
		t.Fatal(record, err)
	}
	mails.wait(ops, "ACKNOWLEDGED", "by ann")
	heard := len(mails.subjects(ops))

	f.Publish(f.Crash()) // what it does still is counted
	f.Until("it is counted", func() bool {
		now, err := reader.AlertRecords(t.Context())
		return err == nil && len(now) == 1 && now[0].Count == 2 && now[0].IsAcknowledged()
	})
	d.Stop()
	d = readyDaemon(t, cfg)
	time.Sleep(3 * time.Second) // three repetitions
	if list := mails.subjects(ops); len(list) != heard || len(mails.subjects(boss)) != 0 {
		t.Errorf("while somebody takes care of it: %q, %q", list, mails.subjects(boss))
	}

	f.Publish(f.Crash(func(e *schema.Event) { e.Process = "api_01" }))
	mails.wait(boss, "CRITICAL")
	if list := mails.subjects(ops); !strings.Contains(strings.Join(list[heard:], "\n"), "CRITICAL") {
		t.Errorf("another process has joined: %q", list[heard:])
	}
	q.Reason = "both of them"
	if _, err := acknowledge.Send(t.Context(), reader, q); err != nil {
		t.Fatal(err)
	}
	mails.wait(boss, "ACKNOWLEDGED")

	for _, name := range []string{"api_00", "api_01"} {
		f.Publish(f.Event(schema.ProcessStateRunning, func(e *schema.Event) { e.Process = name }))
	}
	mails.wait(ops, "RESOLVED")
	mails.wait(boss, "RESOLVED")
	last := mails.Mails()[len(mails.Mails())-1]
	if !strings.Contains(last.Text, "Acknowledged") || !strings.Contains(last.Text, "by ann: both of them") {
		t.Errorf("the end does not say who took care:\n%s", last.Text)
	}
	d.Stop()

	again := intake.Backtest{Plan: d.plan.Load().intake(), Notify: func(n *schema.CloudEvent[*schema.Notification]) error {
		tried = append(tried, said(n))
		return nil
	}}
	if _, err := again.Run(t.Context(), f.JS); err != nil {
		t.Fatal(err)
	}
	for _, m := range f.Messages(stream.Alerts) {
		var n schema.CloudEvent[*schema.Notification]
		f.Unmarshal(m.Data, &n)
		if n.Type == schema.TypeAlertUpdate {
			continue
		}
		if line := said(&n); !slices.Contains(tried, line) {
			t.Errorf("a back-test lacks %s: %q", line, tried)
		}
	}
}

// said is what a notification says of who takes care.
func said(n *schema.CloudEvent[*schema.Notification]) string {
	return fmt.Sprintf("%s by %s, cause %q, escalation %d, quiet %t", n.Type, n.Data.By, n.Data.Cause, n.Data.Escalation, n.Data.Quiet)
}

// Whoever acknowledges an alert is answered with what holds then: a new time for the same
// reason, and the one who was last of several at once.
func TestWhatWhoeverAcknowledgesIsAnswered(t *testing.T) {
	f := fleettest.New(t)
	readyDaemon(t, loadText(t, fmt.Sprintf(ackRules, f.Server.URL, "127.0.0.1:1", "127.0.0.1:1")))
	reader := &inspect.Reader{JS: f.JS}
	f.Publish(f.Crash())
	var open []schema.Alert
	f.Until("the alert is open", func() (ok bool) {
		open, _ = reader.AlertRecords(t.Context())
		return len(open) == 1 && open[0].Phase == schema.PhaseFiring
	})
	send := func(by string, lasts time.Duration) *schema.Acknowledgement {
		q := acknowledge.Request{Incident: open[0].Incident, By: by, Reason: "looking", For: lasts}
		record, err := acknowledge.Send(t.Context(), reader, q)
		if err != nil {
			t.Errorf("%s: %v", by, err)
			return &schema.Acknowledgement{}
		}
		return record.Acknowledged
	}

	for _, lasts := range []time.Duration{8 * time.Hour, time.Hour, schema.MaxAckFor} {
		ack := send("ann", lasts)
		if left := time.Until(ack.Until.Time); left > lasts || left < lasts-time.Minute {
			t.Errorf("for %v: until in %v", lasts, left)
		}
	}

	web := acknowledge.Web{JetStream: func() jetstream.JetStream { return f.JS }}
	for _, c := range []struct {
		name, incident, reason string
		lasts                  time.Duration
		unknown                bool
	}{
		{name: "too long a reason", incident: open[0].Incident, reason: strings.Repeat("x", 1025)},
		{name: "a time that is over", incident: open[0].Incident, reason: "x", lasts: -time.Hour},
		{name: "a year", incident: open[0].Incident, reason: "x", lasts: 365 * 24 * time.Hour},
		{name: "no such alert", incident: "nope", reason: "x", unknown: true},
	} {
		err := web.Acknowledge(t.Context(), c.incident, c.reason, "ann", c.lasts)
		if invalid := errors.As(err, new(acknowledge.Invalid)); errors.Is(err, acknowledge.ErrNone) != c.unknown || invalid == c.unknown {
			t.Errorf("%s: %v", c.name, err)
		}
	}

	var wg sync.WaitGroup
	begun := time.Now()
	for _, by := range []string{"ann", "bob", "carl", "dora"} {
		wg.Go(func() {
			if ack := send(by, 0); ack.Until != nil {
				t.Errorf("%s is answered %+v", by, ack)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("four at once took %v", took)
	}
}
