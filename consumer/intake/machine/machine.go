// Package machine turns the messages of the stream of events into states and alerts. The
// daemon, a back-test and a rebuild all use it, and so come to the same result: it reads no
// clock, and its output follows from the messages, from when the stream stored them, and
// from the rules. It knows neither NATS nor disk.
//
// state.Limits bounds what hosts can make it hold, and messages.go what a message may hold.
// A message beyond those bounds is Unreadable and changes nothing.
package machine

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

// Machine applies the messages of the stream of events, in their order. It belongs to one
// goroutine.
type Machine struct {
	// Fleet has the records of processes and hosts, Engine the alerts. Only Machine applies
	// messages to them.
	Fleet  *state.Fleet
	Engine *alerts.Engine
	// Changes collects what changed since Clear.
	Changes Changes
	// TooOld counts the events that matched a rule and were older than the horizon.
	TooOld int
	// RepeatsUntil is until when the stream may receive events that an earlier stream had;
	// the zero time means never. Such an event makes no second notification.
	RepeatsUntil time.Time

	// records is the list of changed processes, whose memory is reused.
	records []*schema.ProcessRecord
}

// Changes are the records that changed, by key. A nil record has to be deleted.
type Changes struct {
	States map[string]*schema.ProcessRecord
	Hosts  map[string]*schema.HostRecord
	// Forgotten holds the hosts that are gone for good. Their consumers have to be deleted
	// too.
	Forgotten map[string]bool
	// Urgent is set if more changed than the times at which hosts were seen.
	Urgent bool
}

// Clear forgets what changed.
func (c *Changes) Clear() {
	clear(c.States)
	clear(c.Hosts)
	c.Urgent = false
}

// Unreadable is the error of a message that is not ours, or not from the host of its
// subject.
type Unreadable struct{ error }

func (e Unreadable) Unwrap() error { return e.error }

// New returns a machine without any hosts.
func New(set *rules.Set, limits state.Limits) *Machine {
	m := &Machine{
		Fleet: state.NewFleet(), Engine: alerts.New(set),
		Changes: Changes{
			States:    map[string]*schema.ProcessRecord{},
			Hosts:     map[string]*schema.HostRecord{},
			Forgotten: map[string]bool{},
		},
	}
	m.Fleet.Limit(limits)
	return m
}

// IsDirty reports whether anything changed that has to be stored soon.
func (m *Machine) IsDirty() bool { return m.Changes.Urgent || m.Engine.IsDirty() }

// Apply applies a message. An event older than the horizon changes states only, and makes no
// notification. The error is Unreadable.
func (m *Machine) Apply(in *consumer.Message, horizon time.Time) error {
	switch {
	case strings.HasPrefix(in.Subject, schema.EventPrefix):
		return m.applyEvent(in, horizon)
	case strings.HasPrefix(in.Subject, schema.SnapshotPrefix):
		return m.applySnapshot(in)
	case strings.HasPrefix(in.Subject, schema.BridgePrefix):
		return m.applyBridge(in, horizon)
	case strings.HasPrefix(in.Subject, schema.AckPrefix):
		return m.applyAck(in)
	}
	return nil
}

func (m *Machine) applyEvent(in *consumer.Message, horizon time.Time) error {
	token, _, _, name, ok := schema.SubjectEvent(in.Subject)
	if ok && !state.Wants(name) && !m.Engine.Wants(name) {
		// Most events only show that the host is alive: they need not be decoded.
		host := m.Fleet.Named(token)
		if host != "" && m.Fleet.Alone(token, bootOf(in.Data, host)) {
			at := state.Meta{Seq: in.Seq, Stored: in.Stored, Sent: in.Sent}
			m.changedHost(alerts.Message{Meta: ruleMeta(at), Host: host}, m.Fleet.Seen(at, token))
			return nil
		}
	}

	ce, err := decodeEvent(in)
	if err != nil {
		return Unreadable{err}
	}
	at, err := admit(m, in, ce.Data.Host, ce.Data.Boot, ce)
	if err != nil {
		return err
	}
	msg := alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host, Horizon: horizon}
	if !m.isRepeat(in, ce.Data) {
		msg.Event = ce
	}
	m.changed(msg, m.Fleet.Event(at, ce))
	return nil
}

// isRepeat reports whether the record of a process has the event already: the events of one
// process arrive in the order of their serials. That holds only until RepeatsUntil, since a
// change of leader may swap neighbours in a replicated stream.
func (m *Machine) isRepeat(in *consumer.Message, e *schema.Event) bool {
	if e.Process == "" || in.Stored.After(m.RepeatsUntil) {
		return false
	}
	s := m.Fleet.State(e.Host, e.Group, e.Process)
	return s != nil && s.Boot == e.Boot && e.Serial > 0 && e.Serial <= s.Serial
}

// bootOf returns the boot in the id of an event without decoding it, "" if it is not where
// the bridge writes it. The id is host/boot/serial.
func bootOf(payload []byte, host string) string {
	const head = `{"specversion":"1.0","id":"`
	rest, ok := bytes.CutPrefix(payload, []byte(head))
	if !ok || len(rest) <= len(host) || string(rest[:len(host)]) != host || rest[len(host)] != '/' {
		return ""
	}
	boot, _, _ := bytes.Cut(rest[len(host)+1:], []byte{'/'})
	return string(boot[:min(len(boot), maxBoot)])
}

func (m *Machine) applySnapshot(in *consumer.Message) error {
	ce, err := decodeRecord(in, schema.SnapshotPrefix, func(s *schema.Snapshot) string { return s.Host })
	if err != nil {
		return err
	}
	at, err := admit(m, in, ce.Data.Host, ce.Data.Boot, ce)
	if err != nil {
		return err
	}
	m.changed(alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host}, m.Fleet.Snapshot(at, ce))
	return nil
}

func (m *Machine) applyBridge(in *consumer.Message, horizon time.Time) error {
	var err error
	switch kind := in.Subject[strings.LastIndexByte(in.Subject, '.')+1:]; kind {
	case schema.BridgeLoss:
		err = m.applyLoss(in, horizon)
	case schema.BridgeForgotten:
		err = m.applyForgotten(in)
	case schema.BridgeTrouble:
		of := func(t *schema.Trouble) (host, boot string) { return t.Host, t.Boot }
		err = applyHostRecord(m, in, of, m.Fleet.Trouble)
	case schema.BridgeResent:
		of := func(r *schema.Resent) (host, boot string) { return r.Host, r.Boot }
		err = applyHostRecord(m, in, of, m.Fleet.Resent)
	default:
		err = m.applyLife(in, kind)
	}
	m.Changes.Urgent = m.Changes.Urgent || err == nil
	return err
}

func (m *Machine) applyLoss(in *consumer.Message, horizon time.Time) error {
	ce, err := decodeLoss(in)
	if err != nil {
		return err
	}
	at, err := admit(m, in, ce.Data.Host, ce.Data.Boot, ce)
	if err != nil {
		return err
	}
	msg := alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host, Loss: ce, Horizon: horizon}
	m.changed(msg, m.Fleet.Loss(at, ce))
	return nil
}

// applyLife applies a record of a bridge's start, end or reconnect.
func (m *Machine) applyLife(in *consumer.Message, kind string) error {
	ce, err := decodeRecord(in, schema.BridgePrefix, func(b *schema.Bridge) string { return b.Host })
	if err != nil {
		return err
	}
	at, err := admit(m, in, ce.Data.Host, ce.Data.Boot, ce)
	if err != nil {
		return err
	}
	m.changed(alerts.Message{Meta: ruleMeta(at), Host: ce.Data.Host, Bridge: kind}, m.Fleet.Bridge(at, kind, ce))
	return nil
}

// applyForgotten applies the record that a host is gone for good.
func (m *Machine) applyForgotten(in *consumer.Message) error {
	ce, err := decodeRecord(in, schema.BridgePrefix, func(f *schema.Forgotten) string { return f.Host })
	if err != nil {
		return err
	}
	at := correct(m.Fleet, in, ce.Data.Host, "", ce)
	gone := m.Fleet.Forget(at, ce.Data)
	if gone.HostKey == "" && ce.Data.LastSeen != nil {
		return nil // it has come back, or is gone already
	}
	m.Engine.Apply(alerts.Message{Meta: ruleMeta(at), Forgotten: ce.Data.Host})

	if gone.HostKey == "" {
		return nil
	}
	m.Drop(gone)
	m.Changes.Forgotten[ce.Data.Host] = true
	return nil
}

// Drop marks the records of a host for deletion.
func (m *Machine) Drop(gone state.Forgotten) {
	for _, key := range gone.States {
		m.Changes.States[key] = nil
	}
	m.Changes.Hosts[gone.HostKey] = nil
	m.Changes.Urgent = true
}

// applyAck applies that somebody takes care of an alert, or no longer does. It is no sign of
// life of any host.
func (m *Machine) applyAck(in *consumer.Message) error {
	ce, err := decodeAck(in)
	if err != nil {
		return err
	}
	m.Engine.Apply(alerts.Message{Meta: alerts.Meta{Seq: in.Seq, Stored: in.Stored}, Ack: ce})
	return nil
}

// applyHostRecord applies a record that is about a host alone.
func applyHostRecord[T any](
	m *Machine, in *consumer.Message,
	of func(*T) (host, boot string), apply func(state.Meta, *schema.CloudEvent[*T]) state.Changes,
) error {
	ce, err := decodeRecord(in, schema.BridgePrefix, func(r *T) string { host, _ := of(r); return host })
	if err != nil {
		return err
	}
	host, boot := of(ce.Data)
	at, err := admit(m, in, host, boot, ce)
	if err != nil {
		return err
	}
	m.changed(alerts.Message{Meta: ruleMeta(at), Host: host}, apply(at, ce))
	return nil
}

// Refused records, at the host of its subject, that a message is not ours. n counts such
// messages of the host, dropped those that were not parked.
func (m *Machine) Refused(in *consumer.Message, reason string, n, dropped int) {
	at := state.Meta{Seq: in.Seq, Stored: in.Stored}
	if c := m.Fleet.Refused(at, HostToken(in.Subject), reason, n, dropped); c.Host != nil {
		m.changedHost(alerts.Message{Meta: ruleMeta(at)}, c)
		m.Changes.Urgent = true
	}
}

// HostToken returns the third token of a subject, which in all of ours is the host.
func HostToken(subject string) string {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) < 3 {
		return ""
	}
	return tokens[2]
}

func ruleMeta(at state.Meta) alerts.Meta {
	return alerts.Meta{Seq: at.Seq, Stored: at.Stored, Shift: at.Shift}
}

// changed applies a message to the rules, with the records that it changed, and collects
// what has to be stored.
func (m *Machine) changed(msg alerts.Message, c state.Changes) {
	m.records = m.records[:0]
	for _, s := range c.States {
		m.Changes.States[s.Key] = s.State
		m.Changes.Urgent = true
		if s.State != nil {
			m.records = append(m.records, s.State)
		}
	}

	msg.Processes = m.records
	m.changedHost(msg, c)
	clear(m.records)
}

// changedHost is changed for a message that changes no process.
func (m *Machine) changedHost(msg alerts.Message, c state.Changes) {
	if c.Host != nil {
		m.Changes.Hosts[c.HostKey] = c.Host
		msg.HostRecord = c.Host
	}
	if m.Engine.Apply(msg) {
		m.TooOld++
	}
}

// Take returns the notifications made since the last call. Their labels include the address
// of the host: that is where people log in.
func (m *Machine) Take() []alerts.Notification {
	notes := m.Engine.Take()
	for _, n := range notes {
		h := m.Fleet.Host(n.Alert.Host)
		if h == nil || h.Address == "" || n.Alert.Labels[notify.LabelAddress] != "" {
			continue
		}
		if n.Alert.Labels == nil {
			n.Alert.Labels = map[string]string{}
		}
		n.Alert.Labels[notify.LabelAddress] = h.Address
	}
	return notes
}

// AlertEvent describes a message that was applied before as a notification lists it; nil if
// it cannot have matched a rule. Its time is corrected as it was then.
func (m *Machine) AlertEvent(in *consumer.Message) *schema.AlertEvent {
	if strings.HasSuffix(in.Subject, "."+schema.BridgeLoss) && strings.HasPrefix(in.Subject, schema.BridgePrefix) {
		ce, err := decodeLoss(in)
		if err != nil {
			return nil
		}
		at := correct(m.Fleet, in, ce.Data.Host, ce.Data.Boot, ce)
		return alerts.LossOf(ruleMeta(at), ce)
	}

	ce, err := decodeEvent(in)
	if err != nil {
		return nil
	}
	at := correct(m.Fleet, in, ce.Data.Host, ce.Data.Boot, ce)
	return alerts.EventOf(ruleMeta(at), ce)
}
