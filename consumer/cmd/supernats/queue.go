package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/config"
	"supernats/schema"
	"supernats/schema/stream"
)

// queue is the place of a receiver, or of one of its addresses, in the stream of
// notifications: a durable consumer.
type queue struct {
	durable string
	// receiver and its address: "mail/ops@example.com".
	receiver string
	info     *jetstream.ConsumerInfo
	at       position
}

// position is the record of a queue, by which `supernats consume` says how it
// stands; zero if there is none.
type position struct {
	// Ahead are the sequences that were delivered or parked before their turn, Begin
	// is the last one before there was the queue.
	Ahead []uint64 `json:"ahead"`
	Begin uint64   `json:"begin"`
	// Late is when what was taken some time after it was made; up to Forgot that is not
	// known any more of what is not in it.
	Late   []lateBatch `json:"late"`
	Forgot uint64      `json:"forgot"`
	// Error is why the last of so many Tries failed, since when none has succeeded, and
	// Trying up to which sequence that was.
	Error  string       `json:"error"`
	Tries  int          `json:"tries"`
	Since  *schema.Time `json:"since"`
	Tried  *schema.Time `json:"tried"`
	Trying uint64       `json:"trying"`
}

// lateBatch is when notifications were taken, by their sequences.
type lateBatch struct {
	From uint64      `json:"from"`
	To   uint64      `json:"to"`
	At   schema.Time `json:"at"`
}

// took reports whether the receiver has taken, or was not meant to get, what has a
// sequence. It may be parked.
func (q *queue) took(seq uint64) bool {
	return q.info.AckFloor.Stream >= seq || slices.Contains(q.at.Ahead, seq)
}

// tookAt is when the receiver took what has a sequence and was made at a time, nil if
// that is not known.
func (q *queue) tookAt(seq uint64, made *schema.Time) *schema.Time {
	found := -1
	for i, l := range q.at.Late {
		// One that was taken before its turn, or parked, stands alone: the batch around it
		// did not have it.
		if l.From <= seq && seq <= l.To && (found < 0 || l.To-l.From < q.at.Late[found].To-q.at.Late[found].From) {
			found = i
		}
	}
	switch {
	case found >= 0:
		return &q.at.Late[found].At
	case seq <= q.at.Forgot:
		return nil
	}
	return made
}

// of reports whether a queue is one of a receiver's, by its name, or the one that
// has that name with its address.
func (q *queue) of(receiver string) bool {
	name, _, _ := strings.Cut(q.receiver, "/")
	return strings.EqualFold(name, receiver) || strings.EqualFold(q.receiver, receiver)
}

// isIn reports whether the queue is that of one of the receivers.
func (q *queue) isIn(receivers []string) bool {
	return slices.ContainsFunc(receivers, func(name string) bool {
		return schema.Token(queuePrefix+strings.ToLower(name)) == q.durable
	})
}

// waiting is how many notifications the receiver has not taken yet.
func (q *queue) waiting() uint64 {
	n := q.info.NumPending + uint64(q.info.NumAckPending)
	return n - min(n, uint64(len(q.at.Ahead)))
}

// failure is why what waits is not delivered, "" if the last try succeeded.
func (q *queue) failure() string {
	if q.waiting() == 0 {
		return ""
	}
	return q.at.Error
}

// readQueues returns those of all receivers.
func readQueues(ctx context.Context, js jetstream.JetStream) ([]queue, error) {
	s, err := js.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w (it is created by `supernats consume`)", stream.Alerts, err)
	}
	list := s.ListConsumers(ctx)
	var queues []queue
	for info := range list.Info() {
		if strings.HasPrefix(info.Name, queuePrefix) {
			queues = append(queues, queue{durable: info.Name, receiver: receiverOf(info.Name), info: info})
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the consumers of stream %s: %w", stream.Alerts, err)
	}
	if err := readPositions(ctx, js, queues); err != nil {
		return nil, err
	}
	slices.SortFunc(queues, func(a, b queue) int { return strings.Compare(a.receiver, b.receiver) })
	return queues, nil
}

// readPositions reads the records of queues. One that is missing or malformed is no
// error: a version before wrote none.
func readPositions(ctx context.Context, js jetstream.JetStream, queues []queue) error {
	if len(queues) == 0 {
		return nil
	}
	kv, err := js.KeyValue(ctx, stream.LeasesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	for i := range queues {
		e, err := kv.Get(ctx, queues[i].durable)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read bucket %s: %w", stream.LeasesBucket, err)
		}
		var at position
		if json.Unmarshal(e.Value(), &at) == nil {
			queues[i].at = at
		}
	}
	return nil
}

// rosterKey is that of the receivers of the active `supernats consume`.
const rosterKey = "receivers"

// readRoster returns the receivers, with their addresses, that the active `supernats
// consume` delivers to; known is false if it is one of a version before.
func readRoster(ctx context.Context, js jetstream.JetStream) (receivers []string, known bool, err error) {
	kv, err := js.KeyValue(ctx, stream.LeasesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	e, err := kv.Get(ctx, rosterKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read bucket %s: %w", stream.LeasesBucket, err)
	}
	var r struct {
		Receivers []string `json:"receivers"`
	}
	if err := json.Unmarshal(e.Value(), &r); err != nil {
		return nil, false, nil
	}
	return r.Receivers, true, nil
}

// receivers names those that a configuration has.
func receivers(cfg config.Config) []string {
	var names []string
	for _, r := range cfg.AllReceivers() {
		names = append(names, r.Name)
	}
	return names
}

// leaseKey is that of the lease of the active `supernats consume`.
const leaseKey = "consume"

// lease says which of several `supernats consume` is the active one.
type lease struct {
	Instance string      `json:"instance"`
	Since    schema.Time `json:"since"`
}

// readLease returns nil if nobody holds it.
func readLease(ctx context.Context, js jetstream.JetStream) (*lease, error) {
	kv, err := openBucket(ctx, js, stream.LeasesBucket)
	if err != nil {
		return nil, err
	}
	e, err := kv.Get(ctx, leaseKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", stream.LeasesBucket, err)
	}
	var l lease
	if err := json.Unmarshal(e.Value(), &l); err != nil {
		return nil, fmt.Errorf("lease %s is malformed: %w", leaseKey, err)
	}
	return &l, nil
}
