package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// What became of a notification at a receiver.
const (
	toldTaken   = "taken"
	toldWaiting = "waiting"
	toldParked  = "parked"
)

// shownDelivery is how far the last notification of an alert has come at a receiver.
type shownDelivery struct {
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

// told knows what every receiver has taken.
type told struct {
	queues []queue
	// parked are the reasons, by queue and sequence of the notification.
	parked map[string]map[uint64]string
	// last is the last sequence of the stream: alerts of a stream before may know
	// greater ones.
	last  uint64
	asked int // how many alerts the stream was asked about
	// denied says that this user may not look.
	denied bool
}

// lookTold reads what every receiver has taken, and says it of alerts. Who may not see
// the queues sees the alerts all the same.
func lookTold(ctx context.Context, c *common, alerts []shownAlert) (t *told, err error) {
	err = c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		if t, err = readTold(ctx, js); err != nil {
			return err
		}
		for i := range alerts {
			if err := t.fill(ctx, js, &alerts[i]); err != nil {
				return err
			}
		}
		return nil
	})
	var denied *deniedError
	if errors.As(err, &denied) {
		say("supernats: who was notified is not known: %v", err)
		return &told{denied: true}, nil
	}
	return t, err
}

// readTold reads the queues of the receivers that are in use.
func readTold(ctx context.Context, js jetstream.JetStream) (*told, error) {
	s, err := js.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w (it is created by `supernats consume`)", stream.Alerts, err)
	}
	t := &told{parked: map[string]map[uint64]string{}, last: s.CachedInfo().State.LastSeq}
	if t.queues, err = readQueues(ctx, js); err != nil {
		return nil, err
	}
	inUse, known, err := readRoster(ctx, js)
	if err != nil {
		return nil, err
	}
	if known {
		t.queues = slices.DeleteFunc(t.queues, func(q queue) bool { return !q.isIn(inUse) })
	}
	parked, err := readParked(ctx, js, start{})
	for _, p := range parked {
		durable := p.durable
		if t.parked[durable] == nil {
			t.parked[durable] = map[uint64]string{}
		}
		t.parked[durable][p.AlertSeq] = p.Reason
	}
	return t, err
}

// of says what became of the notification with a sequence that is for some
// receivers, or for all; made is when that was, nil where it is not known.
func (t *told) of(notify []string, seq uint64, made *schema.Time) []shownDelivery {
	list := []shownDelivery{}
	for i := range t.queues {
		q := &t.queues[i]
		if len(notify) > 0 && !slices.ContainsFunc(notify, q.of) || seq <= q.at.Begin {
			continue
		}
		d := shownDelivery{Receiver: q.receiver, Status: toldWaiting}
		reason, parked := t.parked[q.durable][seq]
		switch {
		case parked:
			d.Status, d.Error = toldParked, reason
		case q.took(seq):
			d.Status, d.Taken = toldTaken, q.tookAt(seq, made)
		default:
			d.Error, d.Since, d.Tries = q.at.Error, q.at.Since, q.at.Tries
		}
		list = append(list, d)
	}
	return list
}

// fill says of an alert what became of its last notification, and when the first one
// of it was taken by anybody. Of records that a version before has written, or that are
// of another life of the stream, the stream says which notification was the last.
func (t *told) fill(ctx context.Context, js jetstream.JetStream, a *shownAlert) error {
	if a.Notifications == 0 {
		return nil
	}
	s, err := js.Stream(ctx, stream.Alerts)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	first, last := a.FirstSeq, a.LastSeq
	have, err := t.has(ctx, s, a)
	if err != nil {
		return err
	}
	if !have {
		m, err := s.GetLastMsgForSubject(ctx, schema.AlertSubject(a.Host, a.Group, a.Process, a.Rule))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			a.lost = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream.Alerts, err)
		}
		if !isOf(m, a) {
			a.lost = true
			return nil
		}
		first, last = m.Sequence, m.Sequence
	}
	a.known = true
	a.Receivers = t.of(a.Notify, last, a.Notified)
	a.Told = anyTook(a.Receivers)
	var made *schema.Time
	if first == last {
		made = a.Notified
	}
	began := t.of(a.Notify, cmp.Or(first, last), made)
	a.begun = anyTook(began)
	// The record says when it was made, which nobody may have seen by then.
	if a.Notified = firstTook(a.Receivers); !a.Told {
		a.Notified = firstTook(began)
	}
	return nil
}

// firstTook is when the first of the receivers took something, nil if none did or that is
// not known any more.
func firstTook(list []shownDelivery) (at *schema.Time) {
	for _, d := range list {
		if d.Taken != nil && (at == nil || d.Taken.Before(at.Time)) {
			at = d.Taken
		}
	}
	return at
}

// maxAsked bounds the questions to the stream about what alerts know of it.
const maxAsked = 1000

// has reports whether the stream has the last notification of an alert where its record
// says. One that was made again, or restored from a backup, has another one there.
func (t *told) has(ctx context.Context, s jetstream.Stream, a *shownAlert) (bool, error) {
	if a.LastSeq == 0 || a.LastSeq > t.last {
		return false, nil
	}
	if t.asked++; t.asked > maxAsked {
		return true, nil
	}
	m, err := s.GetMsg(ctx, a.LastSeq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil // it was removed since
	}
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", stream.Alerts, err)
	}
	return isOf(m, a), nil
}

// isOf reports whether a message is a notification of an alert.
func isOf(m *jetstream.RawStreamMsg, a *shownAlert) bool {
	n, err := schema.Unmarshal[*schema.Notification](m.Data)
	return err == nil && n.Data != nil && n.Data.Incident == a.Incident
}

func anyTook(list []shownDelivery) bool {
	return slices.ContainsFunc(list, func(d shownDelivery) bool { return d.Status == toldTaken })
}

// notified says in a table when people were last told of an alert.
func (a *shownAlert) notified() string {
	at := date(a.Notified)
	if a.Told && a.Notified == nil {
		at = "yes, its time is not kept"
	}
	if a.Notifications > 1 {
		at += fmt.Sprintf(" (%d)", a.Notifications)
	}
	switch {
	case a.lost:
		return "not known"
	case !a.known || a.Told:
		return at
	case len(a.Receivers) == 0:
		return "nobody: no receiver"
	case a.begun:
		return "not of the last"
	}
	return "nobody yet"
}

// failing are the receivers that do not take what waits for them.
func (t *told) failing() (list []*queue) {
	for i := range t.queues {
		if t.queues[i].failure() != "" {
			list = append(list, &t.queues[i])
		}
	}
	return list
}

// nobody says that nobody is told of anything, and what to do.
const nobody = "NOBODY IS TOLD: `supernats consume` has no receiver (add a section mail: or receivers: to its configuration file, -c FILE)"

func (t *told) warn(w *os.File) {
	if len(t.queues) == 0 && !t.denied {
		fmt.Fprint(w, hanging(nobody, 0, screenWidth(w)))
	}
}
