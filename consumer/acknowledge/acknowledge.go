// Package acknowledge says to the active consumer that somebody takes care of an alert, or
// no longer does: a message in the stream of events, so that it has one place among what
// happens, is read again after a kill, and is there in a back-test. Then it waits until the
// record of the alert shows that the consumer has taken it.
//
// Nothing is kept here. A message that is stored is not lost, even if nobody waits for it.
package acknowledge

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/stream"
)

var (
	// ErrNone says that there is no alert with an id, or no more.
	ErrNone = errors.New("no alert with this id is known: `supernats alerts` lists them")
	// ErrOver says that an alert is not open.
	ErrOver = errors.New("the alert is not open: nothing needs to be acknowledged")
	// ErrNotAcknowledged says that nobody has acknowledged it.
	ErrNotAcknowledged = errors.New("nobody has acknowledged the alert")
	// ErrPending says that the message is stored, and no consumer has taken it yet.
	ErrPending = errors.New("it is stored, but no active `supernats consume` has taken it yet; " +
		"it has effect as soon as one does: `supernats doctor` says what is wrong")
)

const (
	// MaxReason and MaxAuthor are how long a reason and the name of who gives it may be, in
	// bytes.
	MaxReason = 1 << 10
	MaxAuthor = 256
	// publishWithin is how long the stream may take to store the message, takenWithin how
	// long the consumer may take to read it.
	publishWithin = 3 * time.Second
	takenWithin   = 8 * time.Second
	lookEvery     = 50 * time.Millisecond
)

// Request is what somebody says of an alert.
type Request struct {
	// Incident is the id of the alert.
	Incident string
	// By is who says so. Reason is why; only Withdraw needs none.
	By, Reason string
	// For is how long it holds; 0: until the alert is over or gets worse.
	For time.Duration
	// Withdraw says that nobody takes care of it any more.
	Withdraw bool
}

// Invalid is the error of a request that says too little or too much.
type Invalid struct{ error }

// Check returns what is wrong with a request, an Invalid.
func (q *Request) Check() error {
	if err := q.check(); err != nil {
		return Invalid{err}
	}
	return nil
}

func (q *Request) check() error {
	switch reason := strings.TrimSpace(q.Reason); {
	case reason == "" && !q.Withdraw:
		return errors.New("reason: missing: say who does what, for those who wonder why it is not repeated")
	case len(reason) > MaxReason:
		return fmt.Errorf("reason: %d bytes: want at most %d", len(reason), MaxReason)
	case q.By == "":
		return errors.New("author: missing: say who takes care of it")
	case len(q.By) > MaxAuthor:
		return fmt.Errorf("author: %d bytes: want at most %d", len(q.By), MaxAuthor)
	case q.For < 0 || q.For > schema.MaxAckFor:
		return fmt.Errorf("for: invalid value %v: want a duration above zero and at most %v; "+
			"without it, until the alert is over", schema.Duration(q.For), schema.Duration(schema.MaxAckFor))
	}
	return nil
}

// Send stores a request, waits until the consumer has taken it, and returns the record of the
// alert then: if somebody else has said something of it since, that stands there. The errors
// are those above, that of Check, or one of NATS.
func Send(ctx context.Context, r *inspect.Reader, q Request) (*schema.Alert, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	alert, err := find(ctx, r, q.Incident)
	if err != nil {
		return nil, err
	}
	if q.Withdraw && !alert.IsAcknowledged() {
		return nil, ErrNotAcknowledged
	}

	a := &schema.Ack{
		Incident: alert.Incident, Rule: alert.Rule, Host: alert.Host, Group: alert.Group, Process: alert.Process,
		By: q.By, Reason: strings.TrimSpace(q.Reason), For: schema.Duration(q.For),
	}
	typ := schema.TypeAck
	if q.Withdraw {
		typ = schema.TypeUnack
	}
	seq, err := publish(ctx, r.JS, a, typ, time.Now())
	if err != nil {
		return nil, err
	}
	return wait(ctx, r, alert, seq)
}

// find returns the record of an open alert.
func find(ctx context.Context, r *inspect.Reader, incident string) (*schema.Alert, error) {
	records, err := r.AlertRecords(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(records, func(a schema.Alert) bool { return a.Incident == incident })
	switch {
	case i < 0:
		return nil, ErrNone
	case records[i].Phase != schema.PhaseFiring:
		return nil, ErrOver
	}
	return &records[i], nil
}

// publish stores the message, and returns its sequence.
func publish(
	ctx context.Context, js jetstream.JetStream, a *schema.Ack, typ string, at time.Time,
) (seq uint64, err error) {
	ce := a.Envelope("ack/"+rand.Text(), typ, at)
	data, err := schema.Marshal(ce)
	if err != nil {
		return 0, err
	}
	m := nats.NewMsg(a.Subject())
	m.Data = data
	m.Header.Set(stream.HeaderContentType, schema.ContentType)
	m.Header.Set(jetstream.MsgIDHeader, ce.ID)

	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	stored, err := js.PublishMsg(ctx, m)
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return 0, notStored(ctx, js, m.Subject)
	case err != nil:
		return 0, fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return stored.Sequence, nil
}

// notStored says why a stream that somebody else has made, which nothing of ours changes, does
// not store a message, and what to do about it.
func notStored(ctx context.Context, js jetstream.JetStream, subject string) error {
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return fmt.Errorf("publish %s: no stream stores it; look up stream %s: %w", subject, stream.Events, err)
	}
	fix := stream.EditSubjects(stream.Events, s.CachedInfo().Config.Subjects, []string{stream.AllAcks})
	return fmt.Errorf("publish %s: stream %s does not store %s: `%s` changes that",
		subject, stream.Events, stream.AllAcks, fix)
}

// wait returns the record of an alert when it has seen the message with a sequence.
func wait(ctx context.Context, r *inspect.Reader, before *schema.Alert, seq uint64) (*schema.Alert, error) {
	kv, err := r.OpenBucket(ctx, stream.AlertsBucket)
	if err != nil {
		return nil, err
	}
	key := schema.AlertKey(before.Rule, before.Host, before.Group, before.Process)
	for end := time.Now().Add(takenWithin); ; {
		record, err := read(ctx, kv, key)
		switch {
		case err != nil:
			return nil, err
		case record == nil || record.Incident != before.Incident || record.Phase != schema.PhaseFiring:
			return nil, ErrOver
		case hasSeen(record, before, seq):
			return record, nil
		case time.Now().After(end):
			return nil, ErrPending
		}

		select {
		case <-ctx.Done():
			return nil, ErrPending
		case <-time.After(lookEvery):
		}
	}
}

// read returns a record of the bucket of alerts, nil if there is none.
func read(ctx context.Context, kv jetstream.KeyValue, key string) (*schema.Alert, error) {
	e, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of bucket %s: %w", key, stream.AlertsBucket, err)
	}
	var a schema.Alert
	if err := json.Unmarshal(e.Value(), &a); err != nil {
		return nil, fmt.Errorf("read %s of bucket %s: %w", key, stream.AlertsBucket, err)
	}
	return &a, nil
}

// hasSeen reports whether a record has seen the message with a sequence. In a stream that was
// created again sequences are lower than what the record has seen in the one before.
func hasSeen(record, before *schema.Alert, seq uint64) bool {
	return record.Seq >= seq && (record.Seq > before.Seq || record.Clock.After(before.Clock.Time))
}
