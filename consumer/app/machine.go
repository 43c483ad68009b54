package app

import (
	"fmt"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/consumer/rules"
	"supernats/consumer/state"
	"supernats/schema"
)

// machine makes states and alerts of the messages of the stream of events. It is
// fed by the daemon and by a backtest alike, and reads no clock: what it makes
// follows from the messages, from when the stream got them, and from the rules.
type machine struct {
	fleet  *state.Fleet
	engine *rules.Engine
	tooOld int // events that matched a rule and were behind the horizon

	// What changed since it was last taken: by key, so each once.
	states map[string]*schema.State
	hosts  map[string]*schema.Host
	// worth says that it is more than the times at which hosts were seen.
	worth bool
}

// unreadable is a message that no program of ours has written, or not in the name
// of its host.
type unreadable struct{ error }

func (e unreadable) Unwrap() error { return e.error }

func newMachine(set *rules.Set) *machine {
	return &machine{
		fleet: state.NewFleet(), engine: rules.New(set),
		states: map[string]*schema.State{}, hosts: map[string]*schema.Host{},
	}
}

// apply takes in a message. What is older than the horizon is state, and told to
// nobody. The error is unreadable.
func (m *machine) apply(in *consumer.Message, horizon time.Time) error {
	switch {
	case strings.HasPrefix(in.Subject, schema.EventPrefix):
		return m.event(in, horizon)
	case strings.HasPrefix(in.Subject, schema.SnapshotPrefix):
		ce, err := read(in, schema.SnapshotPrefix, func(s *schema.Snapshot) string { return s.Host })
		if err != nil {
			return err
		}
		m.seen(in, ce.Data.Host)
		m.changed(in, m.fleet.Snapshot(state.Meta{Seq: in.Seq, Stored: in.Stored}, ce))
	case strings.HasPrefix(in.Subject, schema.BridgePrefix):
		return m.bridge(in, horizon)
	}
	return nil
}

func (m *machine) event(in *consumer.Message, horizon time.Time) error {
	token, _, _, name, ok := schema.SubjectEvent(in.Subject)
	if ok && !state.Tells(name) && !m.engine.Wants(name) {
		if host := m.fleet.Named(token); host != "" {
			m.seen(in, host)
			m.sawHost(m.fleet.Seen(state.Meta{Seq: in.Seq, Stored: in.Stored}, token))
			return nil
		}
	}
	ce, err := in.Event()
	if err != nil {
		return unreadable{err}
	}
	m.seen(in, ce.Data.Host)
	if m.engine.Event(rules.Meta{Seq: in.Seq, Stored: in.Stored}, ce, horizon) {
		m.tooOld++
	}
	m.changed(in, m.fleet.Event(state.Meta{Seq: in.Seq, Stored: in.Stored}, ce))
	return nil
}

func (m *machine) bridge(in *consumer.Message, horizon time.Time) error {
	at := state.Meta{Seq: in.Seq, Stored: in.Stored}
	kind := in.Subject[strings.LastIndexByte(in.Subject, '.')+1:]
	if kind == schema.BridgeLoss {
		ce, err := read(in, schema.BridgePrefix, func(l *schema.Loss) string { return l.Host })
		if err != nil {
			return err
		}
		m.seen(in, ce.Data.Host)
		m.engine.Loss(rules.Meta(at), ce, horizon)
		m.changed(in, m.fleet.Loss(at, ce))
		m.worth = true
		return nil
	}
	ce, err := read(in, schema.BridgePrefix, func(b *schema.Bridge) string { return b.Host })
	if err != nil {
		return err
	}
	m.engine.Bridge(rules.Meta(at), ce.Data.Host, kind)
	m.seen(in, ce.Data.Host)
	m.changed(in, m.fleet.Bridge(at, kind, ce))
	m.worth = true
	return nil
}

// read decodes a record of a bridge, which must be of the host of its subject.
func read[T any](in *consumer.Message, prefix string, host func(*T) string) (*schema.CloudEvent[*T], error) {
	ce, err := schema.Unmarshal[*T](in.Data)
	switch {
	case err != nil:
	case ce.Data == nil || host(ce.Data) == "":
		err = fmt.Errorf("record %q has no host", ce.ID)
	case !schema.OfHost(in.Subject, prefix, host(ce.Data)):
		err = fmt.Errorf("record %q of host %q was published on %s, by another host", ce.ID, host(ce.Data), in.Subject)
	}
	if err != nil {
		return nil, unreadable{err}
	}
	return ce, nil
}

func (m *machine) seen(in *consumer.Message, host string) {
	m.engine.Seen(rules.Meta{Seq: in.Seq, Stored: in.Stored}, host)
}

// changed tells the rules of processes whose state changed, and keeps in mind what
// has to be stored.
func (m *machine) changed(in *consumer.Message, c state.Changes) {
	m.sawHost(c)
	for _, s := range c.States {
		m.states[s.Key] = s.State
		m.engine.Process(rules.Meta{Seq: in.Seq, Stored: in.Stored}, s.State)
		m.worth = true
	}
}

func (m *machine) sawHost(c state.Changes) {
	if c.Host != nil {
		m.hosts[c.HostKey] = c.Host
	}
}

// take returns the notifications made since the last call.
func (m *machine) take() []rules.Notification {
	notes := m.engine.Take()
	for _, n := range notes {
		// An address is what people log in at.
		if h := m.fleet.Host(n.Alert.Host); h != nil && h.Address != "" && n.Alert.Labels[notify.LabelAddress] == "" {
			if n.Alert.Labels == nil {
				n.Alert.Labels = map[string]string{}
			}
			n.Alert.Labels[notify.LabelAddress] = h.Address
		}
	}
	return notes
}

// compile makes rules of a configuration; its error is a *rules.ConfigError.
func compile(c Config) (*rules.Set, error) {
	configs := c.Rules
	if configs == nil {
		configs = rules.Defaults()
	}
	// What is wrong with these is told by their own keys.
	span := func(d schema.Duration) time.Duration { return max(0, time.Duration(d)) }
	return rules.Compile(configs, rules.Options{
		Groups:    c.Groups,
		GroupWait: span(c.GroupWait), GroupInterval: span(c.GroupInterval), RepeatInterval: span(c.RepeatInterval),
		ResolveAfter: span(c.ResolveAfter), SendResolved: c.SendResolved, MuteRestarts: span(c.MuteRestarts),
	})
}
