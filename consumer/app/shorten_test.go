package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/consumer/alerts"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// crashes is a notification of so many, each with a log.
func crashes(n int, log string, change ...func(*schema.Notification)) alerts.Notification {
	at := time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)
	a := &schema.Notification{Incident: "a", Rule: "r", Severity: "critical", Host: "h", Opened: schema.Time{Time: at}, Closed: &schema.Time{Time: at}, Count: n}
	for i := range n {
		a.Events = append(a.Events, schema.AlertEvent{ID: fmt.Sprint("h/b/", i), Time: schema.Time{Time: at}, Event: "PROCESS_STATE_EXITED", Process: fmt.Sprint("p", i), Log: &schema.Log{Stderr: log}})
	}
	for _, c := range change {
		c(a)
	}
	return alerts.Notification{ID: "a/1", Type: schema.TypeAlertResolved, At: at, Alert: a}
}

// A notification that lists more than a message may hold is shortened, logs first, and
// then divided: every crash is listed, and its count stays.
func TestNotificationFits(t *testing.T) {
	v := &events{js: streamtest.Start(t).JetStream()}
	log := strings.Repeat("a line of the log\n", 200)
	long := func(a *schema.Notification) {
		a.Annotations = map[string]string{"summary": strings.Repeat("é", 8000), "description": strings.Repeat("x", 16000)}
		a.Labels = map[string]string{"team": "a"}
		for i := range a.Events {
			a.Events[i].Exit = &schema.Exit{SpawnErr: strings.Repeat("x", 20000)}
		}
	}
	for _, tc := range []struct {
		name      string
		n, limit  int
		change    func(*schema.Notification)
		parts     int // at most
		logs, all bool
	}{
		{"as it is", 100, 1 << 20, func(*schema.Notification) {}, 1, true, true},
		{"shorter logs", 100, 64 << 10, func(*schema.Notification) {}, 1, true, false},
		{"in parts", 100, 32 << 10, func(*schema.Notification) {}, 2, true, false},
		{"in many parts", 500, 32 << 10, func(*schema.Notification) {}, 16, true, false},
		{"long texts", 3, 32 << 10, long, 3, true, false},
		{"hardly anything", 3, 4 << 10, long, 4, false, false},
		{"texts alone", 0, 8 << 10, long, 1, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := crashes(tc.n, log, tc.change)
			v.maxAlert = tc.limit
			pieces, err := v.write(&n)
			if err != nil || len(pieces) > tc.parts || tc.n > 0 && len(pieces) == 0 {
				t.Fatalf("%d pieces: %v", len(pieces), err)
			}
			listed := 0
			for i, p := range pieces {
				ce, err := schema.Unmarshal[*schema.Notification](p.json)
				if err != nil || len(p.json) > tc.limit-alertHeaders || ce.ID != p.id || ce.Data.Count != tc.n || ce.Data.Incident != "a" {
					t.Fatalf("%s of %d bytes: %v", p.id, len(p.json), err)
				}
				if last := i == len(pieces)-1; (ce.Type == schema.TypeAlertResolved) != last || (ce.Data.Closed != nil) != last {
					t.Errorf("%s is %s", p.id, ce.Type)
				}
				for _, e := range ce.Data.Events {
					if e.ID != fmt.Sprint("h/b/", listed) {
						t.Errorf("%s is where the event %d should be", e.ID, listed)
					}
					if (e.Log != nil) != tc.logs || tc.logs && !strings.HasSuffix(log, e.Log.Stderr) || tc.all && e.Log.Stderr != log {
						t.Errorf("log: %v", e.Log)
					}
					listed++
				}
			}
			if listed != tc.n {
				t.Errorf("%d crashes of %d are listed", listed, tc.n)
			}
			if tc.n > 0 && n.Alert.Events[0].Log.Stderr != log {
				t.Error("the notification itself was changed")
			}
		})
	}
}

// The first part of what is new opens the alert, the others go on with it.
func TestPartsOfAFirstNotification(t *testing.T) {
	v := &events{js: streamtest.Start(t).JetStream(), maxAlert: 8 << 10}
	n := crashes(100, "")
	n.Type, n.Alert.Closed = schema.TypeAlertFiring, nil
	pieces, err := v.write(&n)
	if err != nil || len(pieces) < 2 {
		t.Fatal(len(pieces), err)
	}
	for i, p := range pieces {
		ce, err := schema.Unmarshal[*schema.Notification](p.json)
		if err != nil || (ce.Type == schema.TypeAlertFiring) != (i == 0) || i > 0 && ce.Type != schema.TypeAlertUpdate {
			t.Error(p.id, ce.Type, err)
		}
	}
	if _, number, end := cutID(pieces[len(pieces)-1].id); number != 1 || end != 100 {
		t.Errorf("the last is %s", pieces[len(pieces)-1].id)
	}
}

// On a server and on a stream with small limits, every crash of a storm is reported, and
// a restart in between repeats none.
func TestStormOnASmallServer(t *testing.T) {
	for name, c := range map[string]struct{ payload, alerts int32 }{"server": {32 << 10, -1}, "stream": {1 << 20, 8 << 10}} {
		t.Run(name, func(t *testing.T) {
			f := &fleet{T: t, server: streamtest.Start(t, func(o *server.Options) { o.MaxPayload = c.payload }), serials: map[string]uint64{}}
			f.js = f.server.JetStream()
			config := stream.AlertsConfig(stream.DefaultLimits())
			config.MaxMsgSize = c.alerts
			if _, err := f.js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			if err := stream.EnsureAll(t.Context(), f.js, stream.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			stop := f.run()
			const n = 150
			log := &schema.Log{Stderr: strings.Repeat("a line of the log\n", 200)}
			for range n {
				f.publish(f.crash(func(e *schema.Event) { e.Log = log }))
			}
			f.told(n)
			stop()
			f.run()
			f.handled(f.publish(f.crash()))
			for id, times := range f.told(n + 1) {
				if times != 1 {
					t.Errorf("%s is in %d notifications", id, times)
				}
			}
		})
	}
}

// Logs of one host are bounded in the stream of alerts; those of others are not.
func TestLogsOfOneHostAreBounded(t *testing.T) {
	v := &events{js: streamtest.Start(t).JetStream()}
	log := strings.Repeat("x", 15<<10)
	written := map[string]int{}
	for i := range 2000 {
		n := crashes(1, log, func(a *schema.Notification) {
			if a.Host = "web1"; i%100 == 99 {
				a.Host = "db1"
			}
		})
		n.At = n.At.Add(time.Duration(i) * time.Second)
		n = v.budgeted(n)
		for range 2 { // as often as the stream does not take it
			if _, err := v.write(&n); err != nil {
				t.Fatal(err)
			}
		}
		pieces, err := v.write(&n)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pieces {
			written[n.Alert.Host] += len(p.json)
			ce, err := schema.Unmarshal[*schema.Notification](p.json)
			if err != nil {
				t.Fatal(err)
			}
			if l := ce.Data.Events[0].Log; l == nil || l.Stderr != log && !strings.Contains(l.Stderr, "supernats replay --host web1") {
				t.Fatal(l)
			}
		}
	}
	if written["web1"] > hostLogs+2000*1000 || written["db1"] < 20*len(log) {
		t.Errorf("%v", written)
	}
}
