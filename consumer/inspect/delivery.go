package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/history"
	"supernats/schema"
	"supernats/schema/stream"
)

// What became of a notification at a receiver.
const (
	DeliveryTaken   = "taken"
	DeliveryWaiting = "waiting"
	DeliveryParked  = "parked"
)

// Delivery is how far the last notification of an alert has come at a receiver.
type Delivery struct {
	Receiver string `json:"receiver"`
	// Status is taken, waiting or parked.
	Status string `json:"status"`
	// Taken is when it was, left out where that is not known any more.
	Taken *schema.Time `json:"taken,omitempty"`
	// Error is why it was not taken, Since when the receiver has been failing, and
	// Tries how often.
	Error string       `json:"error,omitempty"`
	Since *schema.Time `json:"since,omitempty"`
	Tries int          `json:"tries,omitempty"`
}

// Reach says whom the notifications of an alert have reached.
type Reach int

// Reaches.
const (
	ReachUnknown    Reach = iota // nobody has looked, or nothing was to be sent
	ReachLost                    // the stream that held the last notification is gone
	ReachTaken                   // a receiver has taken the last notification
	ReachNoReceiver              // there is no receiver for it
	ReachEarlier                 // a receiver took the first notification, none the last
	ReachNobody                  // no receiver has taken any
)

// Deliveries is what every receiver in use has taken.
type Deliveries struct {
	Queues []Queue

	reader *Reader
	// parked are the reasons, by queue and sequence of the notification.
	parked map[string]map[uint64]string
	// last is the last sequence of the stream: alerts of a former stream may know higher
	// ones.
	last uint64
	// asked counts the alerts whose last notification the stream was asked for.
	asked int
}

// Deliveries reads what the receivers in use have taken.
func (r *Reader) Deliveries(ctx context.Context) (*Deliveries, error) {
	s, err := r.JS.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w (it is created by `supernats consume`)", stream.Alerts, err)
	}
	d := &Deliveries{reader: r, parked: map[string]map[uint64]string{}, last: s.CachedInfo().State.LastSeq}

	if d.Queues, err = r.Queues(ctx); err != nil {
		return nil, err
	}
	roster, err := r.Roster(ctx)
	if err != nil {
		return nil, err
	}
	if roster.Known {
		d.Queues = slices.DeleteFunc(d.Queues, func(q Queue) bool { return !q.IsAmong(roster.Receivers) })
	}

	parked, err := r.readParked(ctx, history.Position{})
	for _, p := range parked {
		if d.parked[p.durable] == nil {
			d.parked[p.durable] = map[uint64]string{}
		}
		d.parked[p.durable][p.AlertSeq] = p.Reason
	}
	return d, err
}

// Held returns the queues in which something waits, and why is known: their receivers do not
// take it, or their rate limits hold it.
func (d *Deliveries) Held(now time.Time) (list []*Queue) {
	for i := range d.Queues {
		if q := &d.Queues[i]; q.Failure() != "" || q.Hold(now) != "" {
			list = append(list, &d.Queues[i])
		}
	}
	return list
}

// Complete fills in what became of the last notification of an alert, and when a receiver
// first took it.
func (d *Deliveries) Complete(ctx context.Context, a *Alert) error {
	if a.Notifications == 0 {
		return nil
	}
	first, last, err := d.sequences(ctx, a)
	if err != nil {
		return err
	}
	if last == 0 {
		a.Reach = ReachLost
		return nil
	}

	if a.Heard != nil { // what came after it is for the record
		a.Notified = a.Heard
	}
	a.Receivers = d.deliveriesOf(a.Notify, last, a.Notified)
	a.Taken = anyTook(a.Receivers)
	var made *schema.Time
	if first == last {
		made = a.Notified
	}
	began := d.deliveriesOf(a.Notify, cmp.Or(first, last), made)

	// The record says when the notification was made, which nobody may have seen by then.
	if a.Notified = firstTook(a.Receivers); !a.Taken {
		a.Notified = firstTook(began)
	}
	switch {
	case a.Taken:
		a.Reach = ReachTaken
	case len(a.Receivers) == 0:
		a.Reach = ReachNoReceiver
	case anyTook(began):
		a.Reach = ReachEarlier
	default:
		a.Reach = ReachNobody
	}
	return nil
}

// sequences returns where the stream holds the first and the last notification of an
// alert, 0 for the last one if it does not hold it. Of a record without sequences, or of
// another life of the stream, the stream says which notification was the last.
func (d *Deliveries) sequences(ctx context.Context, a *Alert) (first, last uint64, err error) {
	s, err := d.reader.JS.Stream(ctx, stream.Alerts)
	if err != nil {
		return 0, 0, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	holds, err := d.streamHolds(ctx, s, a)
	if err != nil {
		return 0, 0, err
	}
	if holds {
		return a.FirstSeq, a.LastSeq, nil
	}

	m, err := s.GetLastMsgForSubject(ctx, schema.AlertSubject(a.Host, a.Group, a.Process, a.Rule))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, 0, nil
	case err != nil:
		return 0, 0, fmt.Errorf("read stream %s: %w", stream.Alerts, err)
	case !isNotificationOf(m, a):
		return 0, 0, nil
	}
	return m.Sequence, m.Sequence, nil
}

// maxAsked bounds the requests to the stream about what records of alerts say of it.
const maxAsked = 1000

// streamHolds reports whether the stream has the last notification of an alert where its
// record says. A stream that was created again, or restored from a backup, has another one
// there.
func (d *Deliveries) streamHolds(ctx context.Context, s jetstream.Stream, a *Alert) (bool, error) {
	if a.LastSeq == 0 || a.LastSeq > d.last {
		return false, nil
	}
	if d.asked++; d.asked > maxAsked {
		return true, nil
	}

	m, err := s.GetMsg(ctx, a.LastSeq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil // it was removed since
	}
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", stream.Alerts, err)
	}
	return isNotificationOf(m, a), nil
}

func isNotificationOf(m *jetstream.RawStreamMsg, a *Alert) bool {
	n, err := schema.Unmarshal[*schema.Notification](m.Data)
	return err == nil && n.Data != nil && n.Data.Incident == a.Incident
}

// deliveriesOf says what became of the notification with a sequence at the receivers that
// it is for, all if notify is empty. made is when the notification was made, nil where that
// is not known.
func (d *Deliveries) deliveriesOf(notify []string, seq uint64, made *schema.Time) []Delivery {
	list := []Delivery{}
	for i := range d.Queues {
		q := &d.Queues[i]
		if len(notify) > 0 && !slices.ContainsFunc(notify, q.BelongsTo) || seq <= q.Position.Begin {
			continue
		}

		delivery := Delivery{Receiver: q.Receiver, Status: DeliveryWaiting}
		reason, parked := d.parked[q.Durable][seq]
		switch {
		case parked:
			delivery.Status, delivery.Error = DeliveryParked, reason
		case q.Took(seq):
			delivery.Status, delivery.Taken = DeliveryTaken, q.TookAt(seq, made)
		default:
			delivery.Error, delivery.Since, delivery.Tries = q.Position.Error, q.Position.Since, q.Position.Tries
		}
		list = append(list, delivery)
	}
	return list
}

// firstTook returns when the first of the receivers took something, nil if none did or
// that is not known any more.
func firstTook(list []Delivery) (at *schema.Time) {
	for _, d := range list {
		if d.Taken != nil && (at == nil || d.Taken.Before(at.Time)) {
			at = d.Taken
		}
	}
	return at
}

func anyTook(list []Delivery) bool {
	return slices.ContainsFunc(list, func(d Delivery) bool { return d.Status == DeliveryTaken })
}
