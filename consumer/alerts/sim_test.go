package alerts_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/consumer/alerts"
	"supernats/consumer/crashes"
	"supernats/consumer/rules"
	"supernats/schema"
)

// step is something that happens: a message of the stream, or time that goes by
// without one.
type step struct {
	at      time.Time
	seq     uint64 // 0: time goes by
	host    string
	event   *schema.CloudEvent[*schema.Event]
	loss    *schema.CloudEvent[*schema.Loss]
	trouble string // that begins or ends
	bridge  string
	forget  bool
	ack     *ack
	table   map[string]string // a snapshot: states by process
	// counted is an event that a snapshot before it had shown already.
	counted bool
}

// ack is what somebody says of an alert.
type ack struct {
	// which of the alerts that are open; the run that is never killed chooses it.
	which int
	typ   string
	data  schema.Ack
}

// choose makes it about one of the alerts of records.
func (a *ack) choose(records []alerts.Change) {
	slices.SortFunc(records, func(a, b alerts.Change) int { return strings.Compare(a.Key, b.Key) })
	records = slices.DeleteFunc(records, func(c alerts.Change) bool { return c.Record.Phase == schema.PhasePending })
	if len(records) == 0 {
		return
	}
	r := records[a.which%len(records)].Record
	a.data.Incident, a.data.Rule, a.data.Host, a.data.Group, a.data.Process = r.Incident, r.Rule, r.Host, r.Group, r.Process
}

// history is what the stream stores.
type history struct {
	steps   []step
	mutes   []schema.Mute
	horizon time.Time
}

func (s step) String() string {
	what := fmt.Sprint(s.bridge, s.table)
	switch {
	case s.event != nil:
		what = s.event.Data.Event + " " + s.event.Data.Process
	case s.loss != nil:
		what = "loss"
	case s.forget:
		what = "forget"
	case s.ack != nil:
		what = fmt.Sprintf("%s %+v", s.ack.typ, s.ack.data)
	}
	return fmt.Sprintf("%v #%d %s %s", s.at.Sub(t0), s.seq, s.host, what)
}

func drawHistory(t *rapid.T) history {
	h := history{horizon: t0.Add(-time.Hour)}
	at, seq := t0, uint64(0)
	truth := map[string]map[string]string{"web1": {}, "web2": {}}
	pauses := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, 7 * time.Second, 31 * time.Second, 100 * time.Second, 4 * time.Minute, 20 * time.Minute})
	kinds := rapid.SampledFrom([]string{"event", "event", "event", "event", "event", "event", "log", "snapshot", "beat", "pass", "pass", "loss", "bridge", "supervisor", "trouble", "trouble", "forget", "ack", "ack", "ack"})
	for range rapid.IntRange(5, 120).Draw(t, "steps") {
		at = at.Add(pauses.Draw(t, "pause")).Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
		host := rapid.SampledFrom([]string{"web1", "web1", "web2"}).Draw(t, "host")
		s := step{at: at, host: host}
		kind := kinds.Draw(t, "kind")
		if kind != "pass" {
			seq++
			s.seq = seq
		}
		e := &schema.Event{Host: host, Boot: "4f0c6d1e2a90b7c3", Serial: seq, Group: "api"}
		happened := at.Add(-rapid.SampledFrom([]time.Duration{time.Millisecond, time.Millisecond, 10 * time.Second, 2 * time.Minute, 2 * time.Hour}).Draw(t, "delay"))
		switch kind {
		case "event", "log":
			e.Process = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "process")
			state := rapid.SampledFrom([]string{"EXITED", "EXITED", "BACKOFF", "FATAL", "RUNNING", "RUNNING", "STARTING", "STOPPED", "STOPPING"}).Draw(t, "state")
			e.Event = "PROCESS_STATE_" + state
			e.Log = &schema.Log{Stderr: strings.Repeat("x", rapid.SampledFrom([]int{1, 100, 70_000, 200_000}).Draw(t, "log"))}
			if state == "EXITED" {
				e.Expected = p(rapid.SampledFrom([]bool{false, false, true}).Draw(t, "expected"))
			}
			if kind == "log" {
				e.Event = schema.ProcessLogStderr
			} else {
				s.counted = truth[host][e.Process] != "" && rapid.IntRange(0, 5).Draw(t, "counted") == 0
				if !s.counted {
					truth[host][e.Process] = state
				}
			}
			s.event = e.Envelope(happened)
		case "snapshot":
			for _, name := range slices.Sorted(maps.Keys(truth[host])) {
				if truth[host][name] == "RUNNING" && rapid.Bool().Draw(t, "lost") {
					truth[host][name] = "FATAL"
				}
				if rapid.IntRange(0, 9).Draw(t, "gone") == 0 {
					delete(truth[host], name)
				}
			}
			s.table = maps.Clone(truth[host])
		case "loss":
			s.loss = (&schema.Loss{Host: host, Boot: "b", Cause: "spool-full", Count: 3}).Envelope(happened)
		case "trouble":
			s.trouble = rapid.SampledFrom([]string{"disk-full", "disk-slow", "clock", "nats-rights"}).Draw(t, "trouble")
		case "bridge":
			s.bridge = rapid.SampledFrom([]string{schema.BridgeStarted, schema.BridgeReconnect, schema.BridgeStopping}).Draw(t, "record")
			// Nobody asks a server for the time while it is away.
			for len(h.steps) > 0 && h.steps[len(h.steps)-1].seq == 0 {
				h.steps = h.steps[:len(h.steps)-1]
			}
		case "ack":
			s.ack = &ack{which: rapid.IntRange(0, 20).Draw(t, "which"), typ: rapid.SampledFrom([]string{schema.TypeAck, schema.TypeAck, schema.TypeUnack}).Draw(t, "what")}
			s.ack.data.By = rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "by")
			s.ack.data.For = schema.Duration(rapid.SampledFrom([]time.Duration{0, time.Second, 5 * time.Minute}).Draw(t, "for"))
		case "forget":
			s.forget = true
			truth[host] = map[string]string{}
		case "supervisor":
			e.Event, e.Group = rapid.SampledFrom([]string{schema.SupervisorStateChangeStopping, schema.SupervisorStateChangeRunning}).Draw(t, "change"), ""
			s.event = e.Envelope(happened)
		}
		h.steps = append(h.steps, s)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "mutes") {
		from := t0.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "from")) * time.Second)
		h.mutes = append(h.mutes, schema.Mute{
			ID: fmt.Sprint("mute", i), Hosts: rapid.SampledFrom([][]string{nil, {"web1"}, {"web*"}}).Draw(t, "hosts"),
			Rules:   rapid.SampledFrom([][]string{nil, {"exit"}, {"host-silent"}}).Draw(t, "rules"),
			Created: schema.Time{Time: from}, Expires: schema.Time{Time: from.Add(time.Duration(rapid.IntRange(1, 1800).Draw(t, "for")) * time.Second)},
		})
	}
	return h
}

// simRules have one rule of each kind, in all combinations that matter.
func simRules() []rules.Config {
	exits := rules.List{schema.ProcessStateExited}
	ops := rules.List{"ops"}
	boss := []rules.Escalation{{After: schema.Duration(2 * time.Minute), Notify: rules.List{"boss"}}, {After: schema.Duration(20 * time.Minute), Notify: rules.List{"all"}}}
	return []rules.Config{
		{Name: "exit", Event: exits, Expected: p(false), Notify: ops, Escalate: boss, Annotations: map[string]string{"text": "{{.Process}} {{.Event.FromState}} {{.Count}} {{len .Events}}"}},
		{Name: "host-silent", Silent: schema.Duration(3 * time.Minute), Notify: ops, Escalate: boss},
		{Name: "group", Event: append(rules.List{schema.ProcessStateFatal}, exits...), GroupBy: rules.List{"host", "group"}, GroupWait: dur(10 * time.Second), InhibitedBy: rules.List{"loss"}, Notify: ops, Escalate: boss},
		{Name: "loop", Event: append(rules.List{schema.ProcessStateBackoff}, exits...), Count: 3, Within: schema.Duration(2 * time.Minute), RepeatInterval: dur(time.Hour)},
		{Name: "down", State: rules.List{"FATAL", "BACKOFF"}, For: schema.Duration(20 * time.Second), InhibitedBy: rules.List{"host-silent", "exit"}, Notify: ops, Escalate: boss},
		{Name: "down-group", State: rules.List{"FATAL", "EXITED"}, GroupBy: rules.List{"group"}, SendResolved: p(false)},
		{Name: "quorum", Quorum: 2, For: schema.Duration(10 * time.Second), InhibitedBy: rules.List{"host-silent"}},
		{Name: "now", Quorum: 1},
		{Name: "loss", Loss: true},
		{Name: "trouble", Trouble: rules.List{"true"}, InhibitedBy: rules.List{"host-silent"}},
		{Name: "disk", Trouble: rules.List{"disk-*", "clock"}, For: schema.Duration(time.Minute), GroupBy: rules.List{"host"}},
		{Name: "log", Event: rules.List{"PROCESS_LOG"}, MuteDuring: []rules.Interval{{Times: []rules.TimeRange{{Start: "19:10", End: "19:30"}, {Start: "19:50", End: "24:00"}}}}},
	}
}

// daemon is what consumer/app does around an engine.
type daemon struct {
	h      *history
	set    *rules.Set
	engine *alerts.Engine
	states map[string]schema.ProcessRecord
	hosts  map[string]schema.HostRecord
	clock  time.Time
	dirty  map[string]bool
	disk   *disk
}

// disk is what survives a kill.
type disk struct {
	alerts map[string]*schema.Alert
	states map[string]schema.ProcessRecord
	hosts  map[string]schema.HostRecord
	next   int // the first step that was not acknowledged
	clock  time.Time
	sent   map[string]string
	order  []string
}

func newDisk() *disk {
	return &disk{alerts: map[string]*schema.Alert{}, states: map[string]schema.ProcessRecord{}, hosts: map[string]schema.HostRecord{}, clock: t0, sent: map[string]string{}}
}

func start(t tester, h *history, set *rules.Set, d *disk) *daemon {
	x := &daemon{h: h, set: set, engine: alerts.New(set), disk: d, states: maps.Clone(d.states), hosts: maps.Clone(d.hosts), clock: d.clock, dirty: map[string]bool{}}
	s := alerts.Saved{Clock: d.clock, Event: x.lookUp}
	for _, r := range d.alerts {
		s.Alerts = append(s.Alerts, copied(t, r))
	}
	s.States, s.Hosts = slices.Collect(maps.Values(d.states)), slices.Collect(maps.Values(d.hosts))
	x.engine.Restore(s)
	x.engine.SetSilences(t0, h.mutes)
	return x
}

func (x *daemon) lookUp(seq uint64) *schema.AlertEvent {
	for _, s := range x.h.steps {
		switch m := (alerts.Meta{Seq: s.seq, Stored: s.at}); {
		case s.seq != seq:
		case s.event != nil:
			return alerts.EventOf(m, s.event)
		case s.loss != nil:
			return alerts.LossOf(m, s.loss)
		}
	}
	return nil
}

func (x *daemon) apply(s step) {
	if s.seq == 0 {
		x.engine.Advance(s.at)
		return
	}
	m := alerts.Meta{Seq: s.seq, Stored: s.at}
	x.clock = s.at
	if s.forget {
		x.forget(m, s.host)
		return
	}
	if s.ack != nil {
		x.engine.Apply(alerts.Message{Meta: m, Ack: s.ack.data.Envelope("ack", s.ack.typ, s.at)})
		return
	}
	msg := alerts.Message{Meta: m, Host: s.host, Bridge: s.bridge, Loss: s.loss, Event: s.event, Horizon: x.h.horizon}
	if s.event != nil {
		if state, ok := strings.CutPrefix(s.event.Data.Event, "PROCESS_STATE_"); ok {
			if old := x.states[s.host+" "+s.event.Data.Process]; s.counted && old.Gone == nil {
				state = old.State
			}
			x.process(&msg, s.event.Data.Process, state, s.event.Data.Expected, false)
		}
	}
	if s.table != nil {
		for _, name := range []string{"a", "b", "c"} {
			state, ok := s.table[name]
			x.process(&msg, name, state, p(false), !ok)
		}
	}
	host := x.hosts[s.host]
	if s.seq > host.Seq {
		host.Host, host.Seq, host.LastSeen = s.host, s.seq, schema.Time{Time: s.at}
		if s.event != nil {
			switch s.event.Data.Event {
			case schema.SupervisorStateChangeStopping:
				host.Stopping = &schema.Time{Time: s.at}
			case schema.SupervisorStateChangeRunning:
				host.Stopping = nil
			}
		}
		host.Troubles = toggle(host.Troubles, s)
		x.hosts[s.host] = host
		x.dirty["host "+s.host] = true
		msg.HostRecord = &host
	}
	x.engine.Apply(msg)
}

// forget drops what is known of a host, unless that is of a later message.
func (x *daemon) forget(m alerts.Meta, host string) {
	x.engine.Apply(alerts.Message{Meta: m, Forgotten: host})
	if h, ok := x.hosts[host]; !ok || h.Seq >= m.Seq {
		return
	}
	delete(x.hosts, host)
	x.dirty["host "+host] = true
	for key, s := range x.states {
		if s.Host == host {
			delete(x.states, key)
			x.dirty[key] = true
		}
	}
}

// toggle begins or ends the trouble of a step.
func toggle(list []schema.HostTrouble, s step) []schema.HostTrouble {
	is := func(t schema.HostTrouble) bool { return t.Cause == s.trouble }
	switch {
	case s.trouble == "":
		return list
	case slices.ContainsFunc(list, is):
		return slices.DeleteFunc(slices.Clone(list), is)
	}
	return append(slices.Clone(list), schema.HostTrouble{Cause: s.trouble, Text: "text", Fix: "fix", Since: schema.Time{Time: s.at}})
}

// process adds the record of a process to a message that changes it.
func (x *daemon) process(msg *alerts.Message, name, state string, expected *bool, gone bool) {
	m, host := msg.Meta, msg.Host
	key := host + " " + name
	old, known := x.states[key]
	if known && m.Seq <= old.Seq || gone && (!known || old.Gone != nil) || state == "" {
		return
	}
	s := schema.ProcessRecord{
		Host: host, Group: "api", Process: name, State: state, Expected: expected,
		Since: schema.Time{Time: m.Stored}, Updated: schema.Time{Time: m.Stored}, Seq: m.Seq, Boot: "4f0c6d1e2a90b7c3", Serial: m.Seq,
	}
	if known && !gone && old.State == state && old.Gone == nil {
		s.Since, s.Updated, s.Expected = old.Since, old.Updated, old.Expected
	}
	if gone {
		s.State, s.Gone = old.State, &schema.Time{Time: m.Stored}
	}
	s.Crashes = old.Crashes
	if e := msg.Event; e != nil && e.Data.IsCrash() {
		s.Crashes = crashes.Add(s.Crashes, e.Time.Time, t0.Add(-48*time.Hour))
	}
	x.states[key] = s
	x.dirty[key] = true
	msg.Processes = append(msg.Processes, &s)
}

// flush stores what there is to be stored, in its order, and stops after a number
// of writes.
func (x *daemon) flush(t tester, next, writes int) {
	var todo []func()
	for _, n := range x.engine.Take() {
		todo = append(todo, func() {
			text := asJSON(t, n)
			if old, ok := x.disk.sent[n.ID]; ok && old != text {
				t.Fatal(fmt.Sprintf("one id, two contents:\n%s\n%s", old, text))
			} else if !ok {
				x.disk.order = append(x.disk.order, n.ID)
			}
			x.disk.sent[n.ID] = text
		})
	}
	for _, c := range x.engine.Changed() {
		todo = append(todo, func() {
			if c.Record == nil {
				delete(x.disk.alerts, c.Key)
			} else {
				x.disk.alerts[c.Key] = copied(t, c.Record)
			}
		})
	}
	for _, key := range slices.Sorted(maps.Keys(x.dirty)) {
		if host, ok := strings.CutPrefix(key, "host "); ok {
			todo = append(todo, func() { put(x.disk.hosts, host, x.hosts) })
		} else {
			todo = slices.Insert(todo, len(todo), func() { put(x.disk.states, key, x.states) })
		}
	}
	x.dirty = map[string]bool{}
	todo = append(todo, func() { x.disk.next, x.disk.clock = next, x.clock })
	for _, do := range todo[:min(writes, len(todo))] {
		do()
	}
}

// put copies a record, or that there is none.
func put[V any](to map[string]V, key string, from map[string]V) {
	if v, ok := from[key]; ok {
		to[key] = v
	} else {
		delete(to, key)
	}
}

func asJSON(t tester, n alerts.Notification) string {
	ce := n.Alert.Envelope(n.ID, n.Type, n.At)
	for i := range ce.Data.Events {
		if l := ce.Data.Events[i].Log; l != nil {
			ce.Data.Events[i].Log = &schema.Log{Stderr: fmt.Sprint(len(l.Stderr))}
		}
	}
	b, err := schema.Marshal(ce)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const all = 1 << 30

func TestKilledAnywhereItNotifiesTheSame(t *testing.T) {
	set := compile(t, simRules(), rules.Options{
		GroupInterval: 5 * time.Minute, RepeatInterval: 4 * time.Hour, ResolveAfter: 30 * time.Second, SendResolved: true, MuteRestarts: 2 * time.Minute,
	})
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		end := h.steps[len(h.steps)-1].at.Add(5 * time.Hour)
		steady := newDisk()
		x := start(t, &h, set, steady)
		for i, s := range h.steps {
			if s.ack != nil {
				s.ack.choose(x.engine.Records())
			}
			x.apply(s)
			if rapid.IntRange(0, 5).Draw(t, "flush") == 0 {
				x.flush(t, i+1, all)
			}
		}
		x.engine.Advance(end)
		x.flush(t, len(h.steps), all)
		complete(t, &h, x)

		for _, s := range h.steps {
			t.Log(s)
		}
		killed := newDisk()
		x = start(t, &h, set, killed)
		for kills := 0; killed.next < len(h.steps); {
			for i := killed.next; i < len(h.steps); i++ {
				if h.steps[i].seq == 0 && rapid.Bool().Draw(t, "nobody asked") {
					continue
				}
				if h.steps[i].forget { // the daemon acknowledges what was before
					x.flush(t, i, all)
				}
				x.apply(h.steps[i])
				if h.steps[i].forget {
					x.flush(t, i+1, all)
					continue
				}
				switch do := rapid.IntRange(0, 7).Draw(t, "what now"); {
				case do < 2 || kills > 30:
					x.flush(t, i+1, all)
				case do == 2:
					x.flush(t, i+1, rapid.IntRange(0, 15).Draw(t, "writes"))
					fallthrough
				case do == 3:
					kills++
					t.Logf("killed at %d, continues at %d; alerts %s hosts %+v", i, killed.next, keysOf(killed.alerts), killed.hosts)
					x = start(t, &h, set, killed)
					i = killed.next - 1
				}
			}
			x.flush(t, len(h.steps), all)
		}
		x.engine.Advance(end)
		x.flush(t, len(h.steps), all)
		if d := cmp.Diff(steady.sent, killed.sent); d != "" {
			t.Fatalf("-never killed +killed:\n%s", d)
		}
	})
}

// ofEvents are the rules that see a message once; a snapshot is of many processes.
var ofEvents = map[string]bool{"exit": true, "group": true, "loop": true, "log": true, "loss": true}

// complete checks that every match is in exactly one notification, or muted, or
// still to be reported.
func complete(t *rapid.T, h *history, x *daemon) {
	listed := map[string]map[uint64]int{}
	for _, text := range x.disk.sent {
		ce, err := schema.Unmarshal[*schema.Notification]([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if ce.Data.Escalation > 0 {
			continue // it reports to others what was reported
		}
		if listed[ce.Data.Rule] == nil {
			listed[ce.Data.Rule] = map[uint64]int{}
		}
		for _, e := range ce.Data.Events {
			if listed[ce.Data.Rule][e.Seq]++; listed[ce.Data.Rule][e.Seq] > 1 && ofEvents[ce.Data.Rule] {
				t.Fatalf("rule %s lists %d twice", ce.Data.Rule, e.Seq)
			}
		}
	}
	for _, s := range x.engine.Stats() {
		muted := int(s.Muted)
		for _, r := range x.disk.alerts {
			if r.Rule == s.Rule && r.Phase == schema.PhaseFiring {
				muted += len(r.Unsent)
			}
			if r.Rule == s.Rule && r.Phase == schema.PhaseResolved {
				muted += len(r.Unsent)
			}
		}
		matching := map[string]int{}
		for _, step := range h.steps {
			if step.event == nil || step.event.Time.Before(h.horizon) {
				if step.loss != nil && !step.loss.Time.Before(h.horizon) {
					matching["loss"]++
				}
				continue
			}
			switch e := step.event.Data; {
			case e.UnexpectedExit():
				matching["exit"]++
				matching["group"]++
			case e.Event == schema.ProcessStateExited, e.Event == schema.ProcessStateFatal:
				matching["group"]++
			case e.Event == schema.ProcessLogStderr:
				matching["log"]++
			}
		}
		if want, ok := matching[s.Rule]; ok && len(listed[s.Rule])+muted != want {
			t.Fatalf("rule %s: %d events match, %d are listed and %d muted or kept", s.Rule, want, len(listed[s.Rule]), muted)
		}
	}
	if len(x.disk.sent) != len(x.disk.order) {
		t.Fatalf("%d ids of %d notifications", len(x.disk.sent), len(x.disk.order))
	}
}

func keysOf(m map[string]*schema.Alert) string {
	out := ""
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out += fmt.Sprintf("\n   %s %s seq %d clock %v due %v held %v", k, m[k].Phase, m[k].Seq, m[k].Clock.Sub(t0), m[k].Due, m[k].HeldUntil)
	}
	return out
}
