package inspect

import (
	"context"
	"strconv"
	"strings"

	"supernats/consumer"
	"supernats/consumer/history"
	"supernats/schema"
	"supernats/schema/stream"
)

// Parked is a notification that a receiver did not take and that was given up.
type Parked struct {
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

// Parked returns the notifications that were given up and that a filter passes, oldest
// first.
func (r *Reader) Parked(ctx context.Context, f *AlertFilter) ([]Parked, error) {
	all, err := r.readParked(ctx, history.Position{Time: f.Period.Since})

	var list []Parked
	for _, p := range all {
		if f.matches(p.Rule, p.Host, p.Group, p.Process) && f.hasEvent(p.events...) && f.Period.Contains(p.Parked) {
			list = append(list, p)
		}
	}
	return list, err
}

// ParkedReasons returns why the notification with a sequence in SUPERVISOR_ALERTS was
// given up, by receiver. It reads SUPERVISOR_PARKED from a sequence on.
func (r *Reader) ParkedReasons(ctx context.Context, alertSeq, from uint64) (map[string]string, error) {
	all, err := r.readParked(ctx, history.Position{Seq: from})

	reasons := map[string]string{}
	for _, p := range all {
		if p.AlertSeq == alertSeq {
			reasons[p.Receiver] = p.Reason
		}
	}
	return reasons, err
}

// severityCritical is the severity of what nobody may miss.
const severityCritical = "critical"

// CriticalParked counts by queue the parked notifications that are critical, or too
// damaged to say that they are not.
func (r *Reader) CriticalParked(ctx context.Context) (map[string]int, error) {
	all, err := r.readParked(ctx, history.Position{})

	counts := map[string]int{}
	for _, p := range all {
		if p.Severity == severityCritical || p.ID == "" {
			counts[p.durable]++
		}
	}
	return counts, err
}

func (r *Reader) readParked(ctx context.Context, from history.Position) ([]Parked, error) {
	var list []Parked
	err := r.History().Scan(ctx, stream.Parked, from, func(m *history.Message) error {
		durable := strings.TrimPrefix(m.Subject, stream.ParkedSubject(""))
		if receiver, ok := stream.ReceiverOf(durable); ok {
			list = append(list, parseParked(m, durable, receiver))
		}
		return nil
	})
	return list, err
}

// parseParked reads what was parked. If its payload was cut, or could not be delivered just
// because nobody can read it, its subject says what it is about.
func parseParked(m *history.Message, durable, receiver string) Parked {
	p := Parked{
		Kind: KindParked, Receiver: receiver, Reason: m.Header.Get(consumer.HeaderParkedReason),
		Seq: m.Seq, Parked: schema.Time{Time: m.Stored}, durable: durable,
	}
	p.Tries, _ = strconv.ParseUint(m.Header.Get(consumer.HeaderParkedTries), 10, 64)
	p.AlertSeq, _ = strconv.ParseUint(m.Header.Get(consumer.HeaderParkedSeq), 10, 64)

	if n, err := schema.Unmarshal[*schema.Notification](m.Data); err == nil && n.Data != nil {
		a := n.Data
		p.ID, p.Severity, p.events = n.ID, a.Severity, a.Events
		p.Rule, p.Host, p.Group, p.Process = a.Rule, a.Host, a.Group, a.Process
		return p
	}

	subject, ok := strings.CutPrefix(m.Header.Get(consumer.HeaderParkedSubject), schema.AlertPrefix)
	tokens := strings.Split(subject, ".")
	if !ok || len(tokens) != 4 {
		return p
	}
	for i, field := range []*string{&p.Host, &p.Group, &p.Process, &p.Rule} {
		name, err := schema.ParseToken(tokens[i])
		if err != nil {
			name = tokens[i]
		}
		*field = name
	}
	return p
}
