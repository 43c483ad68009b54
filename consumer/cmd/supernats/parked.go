package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
)

// shownParked is a notification that a receiver did not take, as it is printed.
type shownParked struct {
	Kind     string `json:"kind"`
	Receiver string `json:"receiver"`
	Reason   string `json:"reason"`
	// Tries is how often it was tried, Seq its sequence in SUPERVISOR_PARKED.
	Tries  uint64      `json:"tries"`
	Seq    uint64      `json:"seq"`
	Parked schema.Time `json:"parked"`
	// AlertSeq is its sequence in SUPERVISOR_ALERTS.
	AlertSeq uint64 `json:"alert_seq"`
	ID       string `json:"id,omitempty"`
	Severity string `json:"severity,omitempty"`
	Rule     string `json:"rule"`
	Host     string `json:"host,omitempty"`
	Group    string `json:"group,omitempty"`
	Process  string `json:"process,omitempty"`

	events  []schema.AlertEvent
	durable string
}

// queuePrefix begins the names of the durable consumers of the receivers.
const queuePrefix = "notify_"

// receiverOf is the receiver, with its address, whose queue has a name.
func receiverOf(durable string) string {
	name, err := schema.ParseToken(durable)
	if err != nil { // a long one
		name = durable
	}
	return strings.TrimPrefix(name, queuePrefix)
}

// parked are the notifications that were given up, oldest first.
func (w *alertFilter) parked(ctx context.Context, js jetstream.JetStream) ([]shownParked, error) {
	all, err := readParked(ctx, js, start{time: w.Since.Time})
	var list []shownParked
	for _, p := range all {
		if w.match(p.Rule, p.Host, p.Group, p.Process) && w.hasEvent(p.events...) && w.inTime(p.Parked) {
			list = append(list, p)
		}
	}
	return list, err
}

func readParked(ctx context.Context, js jetstream.JetStream, from start) ([]shownParked, error) {
	var list []shownParked
	err := scan(ctx, js, stream.Parked, from, func(m *scanned) error {
		durable := strings.TrimPrefix(m.subject, stream.ParkedSubject(""))
		if strings.HasPrefix(durable, queuePrefix) {
			list = append(list, parkedOf(m, durable))
		}
		return nil
	})
	return list, err
}

// parkedOf reads what was parked. Its payload may have been cut, or be what could
// not be delivered just because nobody can read it: then its subject tells.
func parkedOf(m *scanned, durable string) shownParked {
	p := shownParked{
		Kind: kindParked, Receiver: receiverOf(durable), Reason: m.header.Get(consumer.HeaderParkedReason),
		Seq: m.seq, Parked: schema.Time{Time: m.stored}, durable: durable,
	}
	p.Tries, _ = strconv.ParseUint(m.header.Get(consumer.HeaderParkedTries), 10, 64)
	p.AlertSeq, _ = strconv.ParseUint(m.header.Get(consumer.HeaderParkedSeq), 10, 64)
	if n, err := schema.Unmarshal[*schema.Notification](m.data); err == nil && n.Data != nil {
		a := n.Data
		p.ID, p.Severity, p.events = n.ID, a.Severity, a.Events
		p.Rule, p.Host, p.Group, p.Process = a.Rule, a.Host, a.Group, a.Process
		return p
	}
	subject, ok := strings.CutPrefix(m.header.Get(consumer.HeaderParkedSubject), schema.AlertPrefix)
	tokens := strings.Split(subject, ".")
	if !ok || len(tokens) != 4 {
		return p
	}
	for i, to := range []*string{&p.Host, &p.Group, &p.Process, &p.Rule} {
		name, err := schema.ParseToken(tokens[i])
		if err != nil {
			name = tokens[i]
		}
		*to = name
	}
	return p
}
