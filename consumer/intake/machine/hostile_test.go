package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"supernats/consumer"
	"supernats/consumer/alerts"
	"supernats/consumer/config"
	"supernats/consumer/fit"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/schematest"
)

// hostileMessage is one that a host may send, of its own subjects.
func hostileMessage(t *testing.T, r *rand.Rand, host string) (subject, data string) {
	at := schema.Time{}
	schematest.Hostile(r, &at)
	if r.IntN(2) == 0 {
		at.Time = time.Now()
	}
	boot := fmt.Sprint("boot", r.IntN(30))
	encode := func(v any) string {
		b, err := schema.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	kinds := []string{schema.BridgeStarted, schema.BridgeStopping, schema.BridgeReconnect}
	switch r.IntN(7) {
	case 0:
		s := &schema.Snapshot{}
		schematest.Hostile(r, s)
		s.Host, s.Boot, s.SupervisorState = host, boot, "RUNNING"
		return schema.SnapshotSubject(host), encode(s.Envelope(at.Time))
	case 1:
		b := &schema.Bridge{}
		schematest.Hostile(r, b)
		b.Host, b.Boot = host, boot
		kind := kinds[r.IntN(len(kinds))]
		return schema.BridgeSubject(host, kind), encode(b.Envelope(kind, at.Time))
	case 2:
		l := &schema.Loss{}
		schematest.Hostile(r, l)
		l.Host, l.Boot = host, boot
		return schema.BridgeSubject(host, schema.BridgeLoss), encode(l.Envelope(at.Time))
	case 3:
		b := &schema.Trouble{}
		schematest.Hostile(r, b)
		b.Host, b.Boot = host, boot
		return schema.BridgeSubject(host, schema.BridgeTrouble), encode(b.Envelope(at.Time))
	case 4:
		b := &schema.Resent{}
		schematest.Hostile(r, b)
		b.Host = host
		return schema.BridgeSubject(host, schema.BridgeResent), encode(b.Envelope(at.Time))
	}
	e := &schema.Event{}
	schematest.Hostile(r, e)
	names := []string{schema.ProcessStateStarting, schema.ProcessStateRunning, schema.ProcessStateExited, schema.ProcessStateFatal, schema.SupervisorStateChangeStopping, schema.SupervisorStateChangeRunning, schema.ProcessGroupRemoved, schema.Tick5}
	e.Event, e.Host, e.Boot = names[r.IntN(len(names))], host, boot
	e.Group, e.Process = fmt.Sprint("g", r.IntN(3)), fmt.Sprint("p", r.IntN(5))
	return e.Subject(), encode(e.Envelope(at.Time))
}

// Whatever a host sends: every record and every notification can be read again, fits a
// small server, and another start takes up from there.
func TestHostileMessages(t *testing.T) {
	cfg := config.Default()
	set, err := cfg.CompileRules()
	if err != nil {
		t.Fatal(err)
	}
	const limit = 32<<10 - 512
	r := rand.New(rand.NewPCG(5, 6))
	m := New(set, state.DefaultLimits())
	states, hosts, open := map[string]schema.ProcessRecord{}, map[string]schema.HostRecord{}, map[string]schema.Alert{}
	now := time.Now()
	for seq := uint64(1); seq <= 8_000; seq++ {
		now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
		sent := schema.Time{}
		if schematest.Hostile(r, &sent); r.IntN(2) == 0 {
			sent.Time = now
		}
		subject, data := hostileMessage(t, r, fmt.Sprint("web", r.IntN(3)))
		err := m.Apply(&consumer.Message{Subject: subject, Data: []byte(data), Seq: seq, Stored: now, Sent: sent.Time}, now.Add(-24*time.Hour))
		if err != nil && !errors.As(err, new(Unreadable)) {
			t.Fatal(err)
		}
		for _, n := range m.Take() {
			pieces, err := fit.Notification(n.ID, n.Type, n.Alert, n.At, 32<<10)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pieces {
				if _, err := schema.Unmarshal[*schema.Notification](p.JSON); err != nil || len(p.JSON) > 32<<10 {
					t.Fatalf("%d bytes: %v", len(p.JSON), err)
				}
			}
		}
		if seq%500 != 0 {
			continue
		}
		for _, c := range m.Engine.Changed() {
			keep(t, open, c.Key, c.Record, limit)
		}
		for key, s := range m.Changes.States {
			keep(t, states, key, s, limit)
		}
		for key, h := range m.Changes.Hosts {
			keep(t, hosts, key, h, limit)
		}
		clear(m.Changes.States)
		clear(m.Changes.Hosts)
		if seq%2000 == 0 {
			m = New(set, state.DefaultLimits())
			saved := alerts.Saved{Clock: now}
			for _, s := range states {
				saved.States = append(saved.States, s)
			}
			for _, h := range hosts {
				saved.Hosts = append(saved.Hosts, h)
			}
			for _, a := range open {
				saved.Alerts = append(saved.Alerts, &a)
			}
			m.Fleet.Load(saved.Hosts, saved.States)
			m.Engine.LimitRecords(limit)
			m.Engine.Restore(saved)
		}
	}
	if len(states) < 20 || len(hosts) != 3 || len(open) == 0 {
		t.Errorf("%d states, %d hosts, %d alerts", len(states), len(hosts), len(open))
	}
}

// keep stores a record as a bucket does, and reads it again.
func keep[T any](t *testing.T, records map[string]T, key string, v *T, limit int) {
	t.Helper()
	if v == nil {
		delete(records, key)
		return
	}
	written, _, err := fit.Record(v, limit)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	var read T
	if err := json.Unmarshal(written, &read); err != nil {
		t.Fatalf("%s: %v: %.2000s", key, err, written)
	}
	records[key] = read
}
