package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/consumer"
	"supernats/consumer/alerts"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
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
	cfg := Default()
	set, err := compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	v := &events{js: streamtest.Start(t, func(o *server.Options) { o.MaxPayload = 32 << 10 }).JetStream()}
	const limit = 32<<10 - recordHeaders
	r := rand.New(rand.NewPCG(5, 6))
	m := newMachine(set, state.DefaultLimits())
	states, hosts, open := map[string]schema.ProcessRecord{}, map[string]schema.HostRecord{}, map[string]schema.Alert{}
	now := time.Now()
	for seq := uint64(1); seq <= 8_000; seq++ {
		now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
		sent := schema.Time{}
		if schematest.Hostile(r, &sent); r.IntN(2) == 0 {
			sent.Time = now
		}
		subject, data := hostileMessage(t, r, fmt.Sprint("web", r.IntN(3)))
		err := m.apply(&consumer.Message{Subject: subject, Data: []byte(data), Seq: seq, Stored: now, Sent: sent.Time}, now.Add(-24*time.Hour))
		if err != nil && !errors.As(err, new(unreadable)) {
			t.Fatal(err)
		}
		for _, n := range m.take() {
			pieces, err := v.write(&n)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pieces {
				if _, err := schema.Unmarshal[*schema.Notification](p.json); err != nil || len(p.json) > 32<<10 {
					t.Fatalf("%d bytes: %v", len(p.json), err)
				}
			}
		}
		if seq%500 != 0 {
			continue
		}
		for _, c := range m.engine.Changed() {
			keep(t, open, c.Key, c.Record, limit)
		}
		for key, s := range m.states {
			keep(t, states, key, s, limit)
		}
		for key, h := range m.hosts {
			keep(t, hosts, key, h, limit)
		}
		clear(m.states)
		clear(m.hosts)
		if seq%2000 == 0 {
			m = newMachine(set, state.DefaultLimits())
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
			m.fleet.Load(saved.Hosts, saved.States)
			m.engine.LimitRecords(limit)
			m.engine.Restore(saved)
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
	written, _, err := fitted(v, limit)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	var read T
	if err := json.Unmarshal(written, &read); err != nil {
		t.Fatalf("%s: %v: %.2000s", key, err, written)
	}
	records[key] = read
}

// The record of a host that has all that there can be fits a small server.
func TestRecordOfAHostFits(t *testing.T) {
	long := func(n int) string { return fmt.Sprintf("%0*d", n, 7) }
	h := &schema.HostRecord{Host: "web1"}
	for i := range 32 {
		h.Troubles = append(h.Troubles, schema.HostTrouble{Cause: fmt.Sprint("c", i), Text: long(300), Fix: long(300), Boot: long(64), Pool: long(256), Server: long(256)})
	}
	for range 16 {
		l := schema.HostLife{Boot: long(64), Server: long(256), SupervisorVersion: long(256)}
		b := schema.HostBridge{Boot: long(64), Server: long(256), Pool: long(256), Instance: long(256), Version: long(256), Section: &schema.Section{}, Reasons: &schema.Reasons{Problem: long(300), Fix: long(300)}}
		for range 32 {
			b.Section.Events, b.Section.SamePriority = append(b.Section.Events, long(60)), append(b.Section.SamePriority, long(60))
		}
		for range 8 {
			l.Instances, l.Pools = append(l.Instances, long(256)), append(l.Pools, long(256))
		}
		h.Lives, h.Bridges = append(h.Lives, l), append(h.Bridges, b)
	}
	before, err := schema.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1 << 20, 64 << 10, 32 << 10, 8 << 10, 4 << 10} {
		written, short, err := fitted(h, limit)
		if err != nil || len(written) > limit || short != (limit < len(before)) {
			t.Errorf("%d of %d bytes, short %t: %v", len(written), limit, short, err)
		}
		var read schema.HostRecord
		if err := json.Unmarshal(written, &read); err != nil || read.Host != "web1" || len(read.Troubles)+read.MoreTroubles != 32 {
			t.Errorf("%d bytes: %d troubles and %d more: %v", limit, len(read.Troubles), read.MoreTroubles, err)
		}
	}
	if after, err := schema.Marshal(h); err != nil || string(after) != string(before) {
		t.Error("the record itself was changed")
	}
}

// A record for which there is no room at all holds up no other.
func TestRecordThatDoesNotFit(t *testing.T) {
	f := newFleet(t)
	b, _, err := openBucket[schema.ProcessRecord](t.Context(), f.js, stream.StateBucket, nil, f.events().log)
	if err != nil {
		t.Fatal(err)
	}
	b.limit = 1000
	long := &schema.ProcessRecord{Host: "web1", Group: "api", Process: fmt.Sprintf("%01000d", 7)}
	if err := b.write(t.Context(), []record[schema.ProcessRecord]{{"web1.api.long", long}, {"web1.api.api_00", &schema.ProcessRecord{Starts: 7}}}); err != nil {
		t.Fatal(err)
	}
	if s := f.state("web1", "api", "api_00"); s.Starts != 7 {
		t.Errorf("%+v", s)
	}
}
