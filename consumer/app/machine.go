package app

import (
	"bytes"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/alerts"
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
	engine *alerts.Engine
	tooOld int // events that matched a rule and were behind the horizon
	// repeatsUntil is up to when the stream may get events that an earlier stream had:
	// nobody is notified twice of one. The zero time: of none.
	repeatsUntil time.Time

	// What changed since it was last taken: by key, so each once; nil is to be deleted.
	states map[string]*schema.ProcessRecord
	hosts  map[string]*schema.HostRecord
	// forgotten are the hosts that are gone for good, whose consumers are to be
	// deleted too.
	forgotten map[string]bool
	// records is the list of the message that is applied, whose memory is used again.
	records []*schema.ProcessRecord
	// worth says that it is more than the times at which hosts were seen.
	worth bool
}

// unreadable is a message that no program of ours has written, or not in the name
// of its host.
type unreadable struct{ error }

func (e unreadable) Unwrap() error { return e.error }

func newMachine(set *rules.Set, limits state.Limits) *machine {
	m := &machine{
		fleet: state.NewFleet(), engine: alerts.New(set),
		states: map[string]*schema.ProcessRecord{}, hosts: map[string]*schema.HostRecord{}, forgotten: map[string]bool{},
	}
	m.fleet.Limit(limits)
	return m
}

// apply takes in a message. What is older than the horizon is state, and nobody is
// notified of it. The error is unreadable.
func (m *machine) apply(in *consumer.Message, horizon time.Time) error {
	switch {
	case strings.HasPrefix(in.Subject, schema.EventPrefix):
		return m.event(in, horizon)
	case strings.HasPrefix(in.Subject, schema.SnapshotPrefix):
		ce, err := read(in, schema.SnapshotPrefix, func(s *schema.Snapshot) string { return s.Host })
		if err != nil {
			return err
		}
		if err := m.admit(ce.Data.Host); err != nil {
			return err
		}
		at := correct(m.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
		m.changed(alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host}, m.fleet.Snapshot(at, ce))
	case strings.HasPrefix(in.Subject, schema.BridgePrefix):
		return m.bridge(in, horizon)
	}
	return nil
}

func (m *machine) event(in *consumer.Message, horizon time.Time) error {
	token, _, _, name, ok := schema.SubjectEvent(in.Subject)
	if ok && !state.Tells(name) && !m.engine.Wants(name) {
		host := m.fleet.Named(token)
		if host != "" && m.fleet.Alone(token, bootOf(in.Data, host)) {
			at := state.Meta{Seq: in.Seq, Stored: in.Stored, Sent: in.Sent}
			m.sawHost(alerts.Message{Meta: ruleMeta(at), Host: host}, m.fleet.Seen(at, token))
			return nil
		}
	}
	ce, err := eventOf(in)
	if err != nil {
		return unreadable{err}
	}
	if err := m.admit(ce.Data.Host); err != nil {
		return err
	}
	at := correct(m.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
	msg := alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host, Horizon: horizon}
	if !m.isRepeat(in, ce.Data) {
		msg.Event = ce
	}
	m.changed(msg, m.fleet.Event(at, ce))
	return nil
}

// isRepeat reports whether an event is one that the record of its process knows: of
// one process they come in the order of their serials. It is not asked for the whole
// time, since a change of leader may swap neighbours in a replicated stream.
func (m *machine) isRepeat(in *consumer.Message, e *schema.Event) bool {
	if e.Process == "" || in.Stored.After(m.repeatsUntil) {
		return false
	}
	s := m.fleet.State(e.Host, e.Group, e.Process)
	return s != nil && s.Boot == e.Boot && e.Serial > 0 && e.Serial <= s.Serial
}

// bootOf returns the boot in the id of an event that is not decoded, "" if it is not
// where the bridge writes it. The id is host/boot/serial.
func bootOf(payload []byte, host string) string {
	const head = `{"specversion":"1.0","id":"`
	rest, ok := bytes.CutPrefix(payload, []byte(head))
	if !ok || len(rest) <= len(host) || string(rest[:len(host)]) != host || rest[len(host)] != '/' {
		return ""
	}
	boot, _, _ := bytes.Cut(rest[len(host)+1:], []byte{'/'})
	return string(boot[:min(len(boot), maxBoot)])
}

func ruleMeta(at state.Meta) alerts.Meta {
	return alerts.Meta{Seq: at.Seq, Stored: at.Stored, Shift: at.Shift}
}

func (m *machine) bridge(in *consumer.Message, horizon time.Time) error {
	var err error
	switch kind := in.Subject[strings.LastIndexByte(in.Subject, '.')+1:]; kind {
	case schema.BridgeLoss:
		err = m.loss(in, horizon)
	case schema.BridgeForgotten:
		err = m.forget(in)
	case schema.BridgeTrouble:
		err = apply(m, in, func(t *schema.Trouble) (string, string) { return t.Host, t.Boot }, m.fleet.Trouble)
	case schema.BridgeResent:
		err = apply(m, in, func(r *schema.Resent) (string, string) { return r.Host, r.Boot }, m.fleet.Resent)
	default:
		err = m.life(in, kind)
	}
	m.worth = m.worth || err == nil
	return err
}

func (m *machine) loss(in *consumer.Message, horizon time.Time) error {
	ce, err := read(in, schema.BridgePrefix, func(l *schema.Loss) string { return l.Host })
	if err != nil {
		return err
	}
	if err := m.admit(ce.Data.Host); err != nil {
		return err
	}
	at := correct(m.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
	msg := alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host, Loss: ce, Horizon: horizon}
	m.changed(msg, m.fleet.Loss(at, ce))
	return nil
}

// life takes a record of a bridge's start, its end or its reconnect.
func (m *machine) life(in *consumer.Message, kind string) error {
	ce, err := read(in, schema.BridgePrefix, func(b *schema.Bridge) string { return b.Host })
	if err != nil {
		return err
	}
	if err := m.admit(ce.Data.Host); err != nil {
		return err
	}
	at := correct(m.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
	m.changed(alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host, Bridge: kind}, m.fleet.Bridge(at, kind, ce))
	return nil
}

// apply takes a record that is about a host alone.
func apply[T any](m *machine, in *consumer.Message, of func(*T) (host, boot string), do func(state.Meta, *schema.CloudEvent[*T]) state.Changes) error {
	ce, err := read(in, schema.BridgePrefix, func(r *T) string { host, _ := of(r); return host })
	if err != nil {
		return err
	}
	host, boot := of(ce.Data)
	if err := m.admit(host); err != nil {
		return err
	}
	at := correct(m.fleet, in, host, boot, ce)
	m.changed(alerts.Message{Meta: ruleMeta(at), Host: host}, do(at, ce))
	return nil
}

// admit refuses hosts that are too many: anybody can invent names where users of NATS
// have no permissions.
func (m *machine) admit(host string) error {
	if err := m.fleet.Admits(host); err != nil {
		return unreadable{err}
	}
	return nil
}

// refused notes that a message on the subject of a host was none of ours.
func (m *machine) refused(in *consumer.Message, reason string, n, dropped int) {
	at := state.Meta{Seq: in.Seq, Stored: in.Stored}
	if c := m.fleet.Refused(at, hostToken(in.Subject), reason, n, dropped); c.Host != nil {
		m.sawHost(alerts.Message{Meta: ruleMeta(at)}, c)
		m.worth = true
	}
}

// hostToken is the third token of each of our subjects.
func hostToken(subject string) string {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) < 3 {
		return ""
	}
	return tokens[2]
}

// changed applies a message to the rules, with the records that it changed, and keeps in
// mind what has to be stored.
func (m *machine) changed(msg alerts.Message, c state.Changes) {
	m.records = m.records[:0]
	for _, s := range c.States {
		m.states[s.Key] = s.State
		m.worth = true
		if s.State != nil {
			m.records = append(m.records, s.State)
		}
	}
	msg.Processes = m.records
	m.sawHost(msg, c)
	clear(m.records)
}

// sawHost is changed for a message that changes no process.
func (m *machine) sawHost(msg alerts.Message, c state.Changes) {
	if c.Host != nil {
		m.hosts[c.HostKey] = c.Host
		msg.HostRecord = c.Host
	}
	if m.engine.Apply(msg) {
		m.tooOld++
	}
}

// take returns the notifications made since the last call.
func (m *machine) take() []alerts.Notification {
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
