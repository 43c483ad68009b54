package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
)

func (i *installation) alert(a schema.Alert) {
	i.put(stream.AlertsBucket, schema.AlertKey(a.Rule, a.Host, a.Group, a.Process), a)
}

func (i *installation) mute(m schema.Mute) { i.put(stream.MutesBucket, m.ID, m) }

func at(second int) schema.Time {
	return schema.Time{Time: noon.Add(time.Duration(second) * time.Second)}
}

// notify stores a notification and returns its sequence.
func (i *installation) notify(typ string, when schema.Time, a schema.Notification) uint64 {
	i.Helper()
	a.Severity, a.Opened = "warning", at(0)
	b, err := schema.Marshal(a.Envelope(a.Incident+"/1", typ, when.Time))
	if err != nil {
		i.Fatal(err)
	}
	ack, err := i.js.Publish(i.Context(), a.Subject(), b)
	if err != nil {
		i.Fatal(err)
	}
	return ack.Sequence
}

// park stores a message as a receiver's queue does.
func (i *installation) park(durable, subject string, seq uint64, reason string, payload []byte) {
	i.Helper()
	m := &nats.Msg{Subject: stream.ParkedSubject(durable), Data: payload, Header: nats.Header{}}
	m.Header.Set(consumer.HeaderParkedReason, reason)
	m.Header.Set(consumer.HeaderParkedSubject, subject)
	m.Header.Set(consumer.HeaderParkedSeq, fmt.Sprint(seq))
	m.Header.Set(consumer.HeaderParkedTries, "30")
	if _, err := i.js.PublishMsg(i.Context(), m); err != nil {
		i.Fatal(err)
	}
}

// trouble are alerts of each phase, in no order, and what became of them.
func (i *installation) trouble() {
	exit := schema.AlertEvent{ID: "web1/b/1", Time: at(1), Event: schema.ProcessStateExited, Exit: &schema.Exit{Signal: "SIGKILL"}}
	loss := schema.AlertEvent{ID: "db/b/2", Time: at(2), Event: "loss", Lost: 7}
	i.alert(schema.Alert{Incident: "done", Rule: "fatal", Severity: "critical", Host: "db", Group: "pg", Process: "pg", Phase: schema.PhaseResolved, Opened: at(60), Closed: new(at(90)), Count: 1, Notified: new(at(91)), Notifications: 2})
	i.alert(schema.Alert{Incident: "loop", Rule: "crash-loop", Severity: "warning", Host: "web1", Group: "api", Process: "api_01", Phase: schema.PhasePending, Opened: at(50), Count: 2, Last: &exit})
	i.alert(schema.Alert{Incident: "old", Rule: "loss", Severity: "warning", Host: "db", Phase: schema.PhaseFiring, Opened: at(10), Count: 3, Last: &loss, Muted: 2, MutedBy: "expired"})
	i.alert(schema.Alert{Incident: "new", Rule: "unexpected-exit", Severity: "warning", Host: "web1", Group: "api", Process: "api_00", Phase: schema.PhaseFiring, Opened: at(20), Count: 5, Last: &exit, Notified: new(at(21)), Notifications: 3})
	i.mute(schema.Mute{ID: "m1", Hosts: []string{"web*"}, Rules: []string{"unexpected-exit"}, Comment: "c", Author: "a", Created: at(0), Expires: at(1e6)})
	i.notify(schema.TypeAlertFiring, i.ago(48*time.Hour), schema.Notification{Incident: "past", Rule: "fatal", Host: "db"})
	seq := i.notify(schema.TypeAlertFiring, i.ago(time.Minute), schema.Notification{Incident: "new", Rule: "unexpected-exit", Host: "web1", Group: "api", Process: "api_00", Events: []schema.AlertEvent{exit}})
	i.notify(schema.TypeAlertResolved, i.ago(time.Minute), schema.Notification{Incident: "done", Rule: "fatal", Host: "db", Group: "pg", Process: "pg", Notify: []string{"chat", "mail"}})
	i.publish(schema.AlertSubject("x", "", "", "x"), []byte("garbage"))
	i.park("supernats", "supervisor.event.x.y.z.tick.5", 1, "no alert", nil)
	i.park(schema.Token("notify_mail/ops@example.com"), schema.AlertSubject("web1", "api", "api_00", "unexpected-exit"), seq, "550 no such mailbox\x1b[31m", []byte("cut"))
	a := schema.Notification{Incident: "old", Rule: "loss", Host: "db", Severity: "warning", Opened: at(10)}
	b, err := schema.Marshal(a.Envelope("old/1", schema.TypeAlertFiring, at(11).Time))
	if err != nil {
		i.Fatal(err)
	}
	i.park("notify_chat", a.Subject(), 77, "404 Not Found", b)
}

const openAlerts = `STATUS  SEVERITY  RULE  HOST  PROCESS  SINCE  COUNT  LAST  NOTIFIED  MUTED
firing  warning  unexpected-exit  web1  api:api_00  2026-11-21 12:00:20  5  2026-11-21 12:00:01 (SIGKILL)  2026-11-21 12:00:21 (3)  by m1
firing  warning  loss  db  -  2026-11-21 12:00:10  3  2026-11-21 12:00:02 (7 events lost)  -  was by expired (2)
pending  warning  crash-loop  web1  api:api_01  2026-11-21 12:00:50  2  2026-11-21 12:00:01 (SIGKILL)  -  -
resolved  critical  fatal  db  pg  2026-11-21 12:01:00  1  -  nobody yet  -

WAITING: these receivers do not take what is there for them (` + "`supernats test-alert RECEIVER`" + ` tries one)
RECEIVER  WAITING  SINCE  TRIES  ERROR
chat  2  2026-11-21 12:00:05  7  404 Not Found
`

// takes has a queue acknowledge what is up to a sequence, and says how it stands.
func (i *installation) takes(durable string, seq uint64, at stream.Position) {
	i.Helper()
	c := i.durable(stream.Alerts, durable)
	for range seq {
		m, err := c.Next()
		if err != nil {
			i.Fatal(err)
		}
		if err := m.DoubleAck(i.Context()); err != nil {
			i.Fatal(err)
		}
	}
	i.put(stream.LeasesBucket, durable, at)
}

func TestAlertsTable(t *testing.T) {
	i := newInstallation(t)
	i.trouble()
	i.takes("notify_chat", 2, stream.Position{Failures: stream.Failures{Error: "404 Not Found", Tries: 7, Since: new(at(5))}})
	got := spaces.ReplaceAllString(i.run("alerts", "-o", "table"), "  ")
	open, parked, ok := strings.Cut(got, "\nPARKED: nobody got these (`nats stream rmm SUPERVISOR_PARKED SEQ` forgets one)\n")
	if d := cmp.Diff(openAlerts, open); d != "" || !ok {
		t.Error(d)
	}
	today := time.Now().UTC().Format("2006-01-02")
	var rows []string
	for line := range strings.Lines(parked) {
		if rest, ok := strings.CutPrefix(line, today+" "); ok {
			_, line, _ = strings.Cut(rest, "  ")
		}
		rows = append(rows, line)
	}
	want := []string{
		"PARKED  RECEIVER  RULE  HOST  PROCESS  TRIES  SEQ  REASON\n",
		"mail/ops@example.com  unexpected-exit  web1  api:api_00  30  2  550 no such mailbox\uFFFD[31m\n",
		"chat  loss  db  -  30  3  404 Not Found\n",
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
}

func TestAlertsFilters(t *testing.T) {
	i := newInstallation(t)
	i.trouble()
	for _, c := range []struct {
		args string
		want []string // kind and alert or receiver
		warn bool
	}{
		{
			want: []string{"alert new", "alert old", "alert loop", "alert done", "parked mail/ops@example.com", "parked chat"},
		},
		{args: "--host web*", want: []string{"alert new", "alert loop", "parked mail/ops@example.com"}},
		{args: "--group api --process api_01", want: []string{"alert loop"}},
		{args: "--rule loss", want: []string{"alert old", "parked chat"}},
		{args: "--rule loss,fatal --host db", want: []string{"alert old", "alert done", "parked chat"}},
		{args: "--event PROCESS_STATE", want: []string{"alert new", "alert loop"}},
		{args: "--limit 1", want: []string{"alert new", "parked mail/ops@example.com"}},
		{args: "--host nobody"},
		{
			args: "--since 1h --host db",
			want: []string{"alert old", "alert done", "notification done", "parked chat"},
			warn: true,
		},
		{
			args: "--since 3d --host db --rule fatal",
			want: []string{"alert done", "notification past", "notification done"},
			warn: true,
		},
		{args: "--since 3d --until 24h --rule fatal", want: []string{"alert done", "notification past"}, warn: true},
		{args: "--until 1d --rule fatal", want: []string{"alert done", "notification past"}, warn: true},
		{
			args: "--since 1h --rule unexpected-exit --event PROCESS_STATE_EXITED",
			want: []string{"alert new", "notification new"},
			warn: true,
		},
		{
			args: "--since " + time.Now().Add(time.Hour).Format(time.RFC3339) + " --rule loss",
			want: []string{"alert old"},
		},
	} {
		out, errs, code := supernats(t, append(append([]string{"alerts"}, strings.Fields(c.args)...), "--nats-url", i.url)...)
		if code != program.ExitDone || (errs != "") != c.warn || c.warn && !strings.HasPrefix(errs, `supernats: message on "supervisor.alert.x.-.-.x": `) {
			t.Errorf("%s: %d %s", c.args, code, errs)
		}
		var got []string
		for line := range strings.Lines(out) {
			var r struct {
				Kind, Alert, Receiver, Type string
				Data                        schema.Notification
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			got = append(got, r.Kind+" "+r.Alert+r.Receiver+r.Data.Incident)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.args, d)
		}
	}
	out, _, _ := supernats(t, "alerts", "--since", "1h", "--rule", "fatal", "-o", "table", "--nats-url", i.url)
	if !strings.Contains(out, "\nNOTIFICATIONS\n") || !strings.Contains(out, "chat, mail") {
		t.Errorf("%s", out)
	}
}

func TestNoAlerts(t *testing.T) {
	i := newInstallation(t)
	out, errs, code := supernats(t, "alerts", "-o", "table", "--since", "1d", "--nats-url", i.url)
	if code != program.ExitDone || out != tables.NoReceiver+"\n" || !strings.Contains(errs, "no alert that matches") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if out := i.run("alerts", "-o", "json"); out != "[]\n" {
		t.Errorf("%q", out)
	}
}

// An alert is NOTIFIED when a receiver that is in use has taken it, and not because a
// notification was made.
func TestWhoWasNotified(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	a := schema.Notification{Incident: "a", Rule: "fatal", Host: "web1", Group: "api", Process: "api_00"}
	open := schema.Alert{Incident: "a", Rule: "fatal", Severity: "critical", Host: "web1", Group: "api", Process: "api_00", Phase: schema.PhaseFiring, Opened: at(0), Count: 1, Notified: new(at(1))}
	seqs := []uint64{i.notify(schema.TypeAlertFiring, at(0), a), i.notify(schema.TypeAlertUpdate, at(1), a)}
	other := i.notify(schema.TypeAlertFiring, at(2), schema.Notification{Incident: "b", Rule: "fatal", Host: "web2"})
	for _, c := range []struct {
		name string
		// change makes another record of the alert.
		change func(*schema.Alert)
		// acknowledged is what each queue has taken, up to a sequence, and progress the
		// record of each.
		acknowledged map[string]uint64
		progress     stream.Position
		// roster are the receivers that are in use, nil if that is not known.
		roster []string
		// parked is the sequence of what the chat did not take.
		parked uint64
		// column is what the table says in NOTIFIED, taken and want what JSON says.
		column string
		taken  bool
		want   []inspect.Delivery
	}{
		{
			name:   "no queue",
			column: "nobody: no receiver",
			want:   []inspect.Delivery{},
		},
		{
			name:         "nothing taken",
			acknowledged: map[string]uint64{"notify_chat": 0},
			column:       "nobody yet",
			want:         []inspect.Delivery{{Receiver: "chat", Status: "waiting"}},
		},
		{
			name:         "it fails",
			acknowledged: map[string]uint64{"notify_chat": 0},
			progress:     stream.Position{Failures: stream.Failures{Error: "500", Tries: 3, Since: new(at(3))}},
			column:       "nobody yet",
			want:         []inspect.Delivery{{Receiver: "chat", Status: "waiting", Error: "500", Tries: 3, Since: new(at(3))}},
		},
		{
			name:         "the first taken",
			acknowledged: map[string]uint64{"notify_chat": 1},
			column:       "not of the last",
			want:         []inspect.Delivery{{Receiver: "chat", Status: "waiting"}},
		},
		{
			name:         "all taken",
			acknowledged: map[string]uint64{"notify_chat": 2},
			column:       "2026-11-21 12:00:01 (2)",
			taken:        true,
			want:         []inspect.Delivery{{Receiver: "chat", Status: "taken", Taken: new(at(1))}},
		},
		{
			name:         "taken before its turn",
			acknowledged: map[string]uint64{"notify_chat": 0},
			progress:     stream.Position{Ahead: seqs},
			column:       "2026-11-21 12:00:01 (2)",
			taken:        true,
			want:         []inspect.Delivery{{Receiver: "chat", Status: "taken", Taken: new(at(1))}},
		},
		{
			name:         "taken late",
			acknowledged: map[string]uint64{"notify_chat": 2},
			progress:     stream.Position{LateTimes: stream.LateTimes{Late: []stream.LateBatch{{From: 1, To: 1, At: at(2)}, {From: 2, To: 2, At: at(9)}, {From: 3, To: 3, At: at(60)}}}},
			column:       "2026-11-21 12:00:09 (2)",
			taken:        true,
			want:         []inspect.Delivery{{Receiver: "chat", Status: "taken", Taken: new(at(9))}},
		},
		{
			name:         "taken before its turn, and the batch around it later",
			acknowledged: map[string]uint64{"notify_chat": 3},
			progress:     stream.Position{LateTimes: stream.LateTimes{Late: []stream.LateBatch{{From: 2, To: 2, At: at(5)}, {From: 1, To: 3, At: at(9)}}}},
			column:       "2026-11-21 12:00:05 (2)",
			taken:        true,
			want:         []inspect.Delivery{{Receiver: "chat", Status: "taken", Taken: new(at(5))}},
		},
		{
			name:         "taken at a time that is not kept",
			acknowledged: map[string]uint64{"notify_chat": 3},
			progress:     stream.Position{LateTimes: stream.LateTimes{Late: []stream.LateBatch{{From: 3, To: 3, At: at(9)}}, Forgot: 2}},
			column:       "yes, its time is not kept (2)",
			taken:        true,
			want:         []inspect.Delivery{{Receiver: "chat", Status: "taken"}},
		},
		{
			name:         "parked",
			acknowledged: map[string]uint64{"notify_chat": 2},
			parked:       seqs[1],
			column:       "not of the last",
			want:         []inspect.Delivery{{Receiver: "chat", Status: "parked", Error: "why"}},
		},
		{
			name:         "one of two",
			acknowledged: map[string]uint64{"notify_chat": 0, "notify_mail=2Fx": 3},
			column:       "2026-11-21 12:00:01 (2)",
			taken:        true,
			want:         []inspect.Delivery{{Receiver: "chat", Status: "waiting"}, {Receiver: "mail/x", Status: "taken", Taken: new(at(1))}},
		},
		{
			name:         "not for it",
			change:       func(a *schema.Alert) { a.Notify = []string{"MAIL"} },
			acknowledged: map[string]uint64{"notify_chat": 3, "notify_mail=2Fx": 0},
			column:       "nobody yet",
			want:         []inspect.Delivery{{Receiver: "mail/x", Status: "waiting"}},
		},
		{
			name:         "a queue that nobody reads",
			acknowledged: map[string]uint64{"notify_chat": 0, "notify_mail=2Fx": 3},
			roster:       []string{"Chat"},
			column:       "nobody yet",
			want:         []inspect.Delivery{{Receiver: "chat", Status: "waiting"}},
		},
		{
			name:         "no receiver any more",
			acknowledged: map[string]uint64{"notify_chat": 3},
			roster:       []string{},
			column:       "nobody: no receiver",
			want:         []inspect.Delivery{},
		},
		{
			name:         "a receiver of later",
			acknowledged: map[string]uint64{"notify_chat": 3},
			progress:     stream.Position{Begin: 3},
			column:       "nobody: no receiver",
			want:         []inspect.Delivery{},
		},
		{
			name:         "a record without sequences",
			change:       func(a *schema.Alert) { a.FirstSeq, a.LastSeq = 0, 0 },
			acknowledged: map[string]uint64{"notify_chat": 1},
			column:       "nobody yet",
			want:         []inspect.Delivery{{Receiver: "chat", Status: "waiting"}},
		},
		{
			name:         "of a former stream",
			change:       func(a *schema.Alert) { a.FirstSeq, a.LastSeq = 100, 101 },
			acknowledged: map[string]uint64{"notify_chat": 3},
			column:       "2026-11-21 12:00:01 (2)",
			taken:        true,
			want:         []inspect.Delivery{{Receiver: "chat", Status: "taken", Taken: new(at(1))}},
		},
		{
			name:         "of a stream that was created again",
			change:       func(a *schema.Alert) { a.FirstSeq, a.LastSeq = 2, other },
			acknowledged: map[string]uint64{"notify_chat": 1},
			column:       "nobody yet",
			want:         []inspect.Delivery{{Receiver: "chat", Status: "waiting"}},
		},
		{
			name:         "of a stream that is gone",
			change:       func(a *schema.Alert) { a.Incident, a.FirstSeq, a.LastSeq = "z", 1, 2 },
			acknowledged: map[string]uint64{"notify_chat": 3},
			column:       "not known",
			want:         []inspect.Delivery{},
		},
		{
			name:         "not made yet",
			change:       func(a *schema.Alert) { a.Notifications, a.Notified = 0, nil },
			acknowledged: map[string]uint64{"notify_chat": 3},
			column:       "-",
			want:         []inspect.Delivery{},
		},
	} {
		record := open
		record.Notifications, record.FirstSeq, record.LastSeq = 2, seqs[0], seqs[1]
		if c.change != nil {
			c.change(&record)
		}
		i.alert(record)
		for durable, seq := range c.acknowledged {
			i.takes(durable, seq, c.progress)
		}
		kv, err := i.js.KeyValue(t.Context(), stream.LeasesBucket)
		if err != nil {
			t.Fatal(err)
		}
		if c.roster != nil {
			i.put(stream.LeasesBucket, stream.RosterKey, map[string]any{"receivers": c.roster})
		}
		if c.parked > 0 {
			i.park("notify_chat", a.Subject(), c.parked, "why", nil)
		}

		var got []inspect.Alert
		if err := json.Unmarshal([]byte(i.run("alerts", "-o", "json", "--rule", "fatal")), &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got[0].Receivers); d != "" || got[0].Taken != c.taken || c.taken && (got[0].Notified == nil) != (got[0].Receivers[len(got[0].Receivers)-1].Taken == nil) || c.column == "nobody yet" && got[0].Notified != nil {
			t.Errorf("%s: taken %t %s", c.name, got[0].Taken, d)
		}
		table := spaces.ReplaceAllString(i.run("alerts", "-o", "table"), "  ")
		if !strings.Contains(table, "  1  -  "+c.column+"  -\n") {
			t.Errorf("%s: %s", c.name, table)
		}
		if fails := c.progress.Error != ""; strings.Contains(table, "chat  "+fmt.Sprint(other)+"  2026-11-21 12:00:03  3  500\n") != fails {
			t.Errorf("%s: %s", c.name, table)
		}

		_ = kv.Purge(t.Context(), stream.RosterKey)
		for durable := range c.acknowledged {
			_ = kv.Purge(t.Context(), durable)
			if err := i.js.DeleteConsumer(t.Context(), stream.Alerts, durable); err != nil {
				t.Fatal(err)
			}
		}
		if s, err := i.js.Stream(t.Context(), stream.Parked); err != nil || s.Purge(t.Context()) != nil {
			t.Fatal(err)
		}
	}
}
