package alerts_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"supernats/consumer/alerts"
	"supernats/consumer/crashes"
	"supernats/consumer/rules"
	"supernats/schema"
)

var t0 = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

func p[T any](v T) *T { return &v }

func dur(d time.Duration) *schema.Duration { return p(schema.Duration(d)) }

// options are those of an installation that has written none.
func options() rules.Options {
	return rules.Options{GroupInterval: 5 * time.Minute, RepeatInterval: 4 * time.Hour, ResolveAfter: 30 * time.Second, SendResolved: true}
}

type tester interface {
	Helper()
	Fatal(...any)
}

func compile(t tester, set []rules.Config, o rules.Options) *rules.Set {
	t.Helper()
	s, err := rules.Compile(set, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// world hands an engine what the daemon would, and keeps what comes out.
type world struct {
	*testing.T
	*alerts.Engine
	set     *rules.Set
	seq     uint64
	at      time.Time
	horizon time.Time
	got     []string
	notes   []alerts.Notification
	events  map[uint64]*schema.AlertEvent
	states  map[string]schema.ProcessRecord
	hosts   map[string]schema.HostRecord
	records map[string]*schema.Alert
	orders  [][]string // keys of each Changed
	serial  uint64     // of the last event
	// shown is set while the states are those of a snapshot.
	shown *schema.SnapshotMark
	// silences are those in force.
	silences []schema.Mute
	// restarts kills the engine before every message.
	restarts bool
}

func newWorld(t *testing.T, o rules.Options, set ...rules.Config) *world {
	w := &world{T: t, set: compile(t, set, o), at: t0}
	w.events, w.states, w.hosts, w.records = map[uint64]*schema.AlertEvent{}, map[string]schema.ProcessRecord{}, map[string]schema.HostRecord{}, map[string]*schema.Alert{}
	w.Engine = alerts.New(w.set)
	return w
}

// restart replaces the engine by one that was restored from the records, of other
// rules if there are any.
func (w *world) restart(set ...*rules.Set) {
	w.flush()
	for _, s := range set {
		w.set = s
	}
	w.Engine = alerts.New(w.set)
	s := alerts.Saved{Clock: w.at, Event: func(seq uint64) *schema.AlertEvent { return w.events[seq] }}
	for _, r := range w.records {
		s.Alerts = append(s.Alerts, r)
	}
	for _, r := range w.states {
		s.States = append(s.States, r)
	}
	for _, r := range w.hosts {
		s.Hosts = append(s.Hosts, r)
	}
	w.Restore(s)
	w.SetHorizon(w.horizon)
	w.SetSilences(w.at, w.silences)
	w.take()
}

// flush stores the records, as JSON does.
func (w *world) flush() {
	w.Helper()
	var keys []string
	for _, c := range w.Changed() {
		keys = append(keys, c.Key)
		if c.Record == nil {
			delete(w.records, c.Key)
			continue
		}
		w.records[c.Key] = copied(w, c.Record)
	}
	w.orders = append(w.orders, keys)
}

func (w *world) take() {
	for _, n := range w.Take() {
		w.notes = append(w.notes, n)
		w.got = append(w.got, describe(n))
	}
}

// describe writes a notification in a line: when, type, id, whose, count, events.
func describe(n alerts.Notification) string {
	var events []string
	for _, e := range n.Alert.Events {
		events = append(events, strings.TrimPrefix(e.Event, "PROCESS_STATE_")+"#"+strconv.FormatUint(e.Seq, 10))
	}
	who := n.Alert.Host
	for _, s := range []string{n.Alert.Group, n.Alert.Process} {
		if s != "" {
			who += "/" + s
		}
	}
	i := strings.LastIndex(n.ID, "/")
	return fmt.Sprintf("%v %s %s%s %s count %d [%s]", n.At.Sub(t0), strings.TrimPrefix(n.Type, "supernats.alert."), n.Alert.Rule, n.ID[i:], who, n.Alert.Count, strings.Join(events, " "))
}

// meta is the next message, stored some time after the last one.
func (w *world) meta(after time.Duration) alerts.Meta {
	if w.restarts {
		w.restart()
	}
	w.seq++
	w.at = w.at.Add(after)
	return alerts.Meta{Seq: w.seq, Stored: w.at}
}

func (w *world) hostSeen(host string) {
	h := w.hosts[host]
	h.Host, h.LastSeen, h.Seq = host, schema.Time{Time: w.at}, w.seq
	w.hosts[host] = h
}

// restarting notes what supervisord says of itself, as the daemon does.
func (w *world) restarting(e *schema.Event) {
	h := w.hosts[e.Host]
	switch e.Event {
	case schema.SupervisorStateChangeStopping:
		h.Stopping = &schema.Time{Time: w.at}
	case schema.SupervisorStateChangeRunning:
		h.Stopping = nil
	}
	w.hosts[e.Host] = h
}

// event hands in an event of web1's api:api_00, and the state after it.
func (w *world) event(after time.Duration, name string, edit ...func(*schema.Event)) uint64 {
	w.Helper()
	m := w.meta(after)
	e := &schema.Event{
		Event: "PROCESS_STATE_" + name, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: m.Seq,
		Group: "api", Process: "api_00", FromState: "RUNNING",
	}
	if name == "EXITED" {
		e.Expected = p(false)
	}
	for _, f := range edit {
		f(e)
	}
	ce := e.Envelope(w.at)
	return w.deliver(m, ce)
}

func (w *world) deliver(m alerts.Meta, ce *schema.CloudEvent[*schema.Event]) uint64 {
	e := ce.Data
	w.events[m.Seq] = alerts.EventOf(m, ce)
	w.hostSeen(e.Host)
	w.restarting(e)
	msg := alerts.Message{Meta: m, Host: e.Host, Event: ce, Horizon: w.horizon}
	if state, ok := strings.CutPrefix(e.Event, "PROCESS_STATE_"); ok {
		w.serial = e.Serial
		msg.Processes = []*schema.ProcessRecord{w.processRecord(m, e.Host, e.Group, e.Process, state, e.Expected, ce)}
	}
	w.Apply(msg)
	w.take()
	return m.Seq
}

func (w *world) applyEvent(m alerts.Meta, ce *schema.CloudEvent[*schema.Event], horizon time.Time) (tooOld bool) {
	return w.Apply(alerts.Message{Meta: m, Host: ce.Data.Host, Event: ce, Horizon: horizon})
}

func (w *world) applyProcess(m alerts.Meta, s *schema.ProcessRecord) {
	w.Apply(alerts.Message{Meta: m, Host: s.Host, Processes: []*schema.ProcessRecord{s}})
}

func (w *world) state(m alerts.Meta, host, group, process, state string, expected *bool) {
	w.applyProcess(m, w.processRecord(m, host, group, process, state, expected, nil))
}

// processRecord is that of a process after a message, which may be an event.
func (w *world) processRecord(
	m alerts.Meta, host, group, process, state string, expected *bool, ce *schema.CloudEvent[*schema.Event],
) *schema.ProcessRecord {
	old := w.states[host+"/"+group+"/"+process]
	s := schema.ProcessRecord{
		Host: host, Group: group, Process: process, State: state, Since: schema.Time{Time: m.Stored}, Expected: expected,
		Seq: m.Seq, Updated: schema.Time{Time: m.Stored}, Boot: "4f0c6d1e2a90b7c3", Serial: w.serial, Snapshot: w.shown,
	}
	if state == "GONE" {
		s.State, s.Gone = "RUNNING", &schema.Time{Time: m.Stored}
	}
	s.Crashes = old.Crashes
	if ce != nil && ce.Data.IsCrash() {
		s.Crashes = crashes.Add(s.Crashes, ce.Time.Time, t0.Add(-48*time.Hour))
	}
	w.states[host+"/"+group+"/"+process] = s
	return &s
}

// snapshot hands in a state that no event has shown.
func (w *world) snapshot(after time.Duration, process, state string) {
	m := w.meta(after)
	w.hostSeen("web1")
	w.shown = &schema.SnapshotMark{Serial: w.serial, Time: schema.Time{Time: w.at}}
	w.state(m, "web1", "api", process, state, p(false))
	w.shown = nil
	w.take()
}

// beat is any message of a host.
func (w *world) beat(after time.Duration, host string) {
	m := w.meta(after)
	w.hostSeen(host)
	w.Apply(alerts.Message{Meta: m, Host: host})
	w.take()
}

// pass lets time go by, as when everything is read.
func (w *world) pass(d time.Duration) {
	if w.restarts {
		w.restart()
	}
	w.at = w.at.Add(d)
	w.Advance(w.at)
	w.take()
}

// want compares what came out since the last call.
func (w *world) want(lines ...string) {
	w.Helper()
	got := strings.Join(w.got, "\n")
	if want := strings.Join(lines, "\n"); got != want {
		w.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w.got = nil
}

func process(name string) func(*schema.Event) {
	return func(e *schema.Event) { e.Process = name }
}

func onHost(name string) func(*schema.Event) {
	return func(e *schema.Event) { e.Host = name }
}

// copied sends a value through JSON, as a bucket does.
func copied[V any](t tester, v V) V {
	t.Helper()
	b, err := schema.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var c V
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) bridge(after time.Duration, host, kind string) {
	m := w.meta(after)
	w.hostSeen(host)
	w.Apply(alerts.Message{Meta: m, Host: host, Bridge: kind})
	w.take()
}

func (w *world) loss(after time.Duration, host string, age time.Duration) {
	m := w.meta(after)
	w.hostSeen(host)
	ce := (&schema.Loss{Host: host, Boot: "b", Cause: "spool-full", Count: 7}).Envelope(w.at.Add(-age))
	w.events[m.Seq] = alerts.LossOf(m, ce)
	w.Apply(alerts.Message{Meta: m, Host: host, Loss: ce, Horizon: w.horizon})
	w.take()
}
