package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// Queue is the place of a receiver, or of one of its addresses, in the stream of
// notifications: a durable consumer.
type Queue struct {
	// Durable is the name of the consumer.
	Durable string
	// Receiver is the receiver with its address: "mail/ops@example.com".
	Receiver string
	Info     *jetstream.ConsumerInfo
	Progress Progress
}

// Progress is the record that `supernats consume` keeps of a queue; zero if there is none.
type Progress struct {
	// Ahead are the sequences that were delivered or parked before their turn. Begin is
	// the last sequence before the queue existed.
	Ahead []uint64 `json:"ahead"`
	Begin uint64   `json:"begin"`
	// Late says when notifications were taken that waited for some time. Up to the
	// sequence Forgot that is not known of those that are not in it.
	Late   []LateBatch `json:"late"`
	Forgot uint64      `json:"forgot"`
	// Error is why the last of so many Tries failed, Since when the first of them did.
	Error string       `json:"error"`
	Tries int          `json:"tries"`
	Since *schema.Time `json:"since"`
}

// LateBatch is a range of sequences that were taken together.
type LateBatch struct {
	From uint64      `json:"from"`
	To   uint64      `json:"to"`
	At   schema.Time `json:"at"`
}

// Took reports whether the receiver has taken what has a sequence, or was not meant to get
// it. It may be parked.
func (q *Queue) Took(seq uint64) bool {
	return q.Info.AckFloor.Stream >= seq || slices.Contains(q.Progress.Ahead, seq)
}

// TookAt returns when the receiver took what has a sequence and was made at a time, nil if
// that is not known.
func (q *Queue) TookAt(seq uint64, made *schema.Time) *schema.Time {
	// A notification that was taken before its turn, or parked, has a batch of its own
	// within the one around it, which did not have it: the smallest batch counts.
	var smallest *LateBatch
	for i := range q.Progress.Late {
		l := &q.Progress.Late[i]
		if l.From <= seq && seq <= l.To && (smallest == nil || l.To-l.From < smallest.To-smallest.From) {
			smallest = l
		}
	}

	switch {
	case smallest != nil:
		return &smallest.At
	case seq <= q.Progress.Forgot:
		return nil
	}
	return made
}

// BelongsTo reports whether the queue is one of a receiver's, by the receiver's name, or
// the one of that name and address.
func (q *Queue) BelongsTo(receiver string) bool {
	name, _, _ := strings.Cut(q.Receiver, "/")
	return strings.EqualFold(name, receiver) || strings.EqualFold(q.Receiver, receiver)
}

// IsAmong reports whether the queue is that of one of the receivers, named with their
// addresses.
func (q *Queue) IsAmong(receivers []string) bool {
	return slices.ContainsFunc(receivers, func(name string) bool {
		return stream.ReceiverConsumer(name) == q.Durable
	})
}

// Waiting returns how many notifications the receiver has not taken yet.
func (q *Queue) Waiting() uint64 {
	n := q.Info.NumPending + uint64(q.Info.NumAckPending)
	return n - min(n, uint64(len(q.Progress.Ahead)))
}

// Failure returns why what waits is not delivered, "" if the last try succeeded.
func (q *Queue) Failure() string {
	if q.Waiting() == 0 {
		return ""
	}
	return q.Progress.Error
}

// Queues returns those of all receivers, sorted by receiver.
func (r *Reader) Queues(ctx context.Context) ([]Queue, error) {
	s, err := r.JS.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w (it is created by `supernats consume`)", stream.Alerts, err)
	}

	var queues []Queue
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		if receiver, ok := stream.ReceiverOf(info.Name); ok {
			queues = append(queues, Queue{Durable: info.Name, Receiver: receiver, Info: info})
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the consumers of stream %s: %w", stream.Alerts, err)
	}

	if err := r.readProgress(ctx, queues); err != nil {
		return nil, err
	}
	slices.SortFunc(queues, func(a, b Queue) int { return strings.Compare(a.Receiver, b.Receiver) })
	return queues, nil
}

// Queue returns the queue of a receiver whose name is known.
func (r *Reader) Queue(ctx context.Context, durable string) (*Queue, error) {
	receiver, _ := stream.ReceiverOf(durable)
	c, err := r.JS.Consumer(ctx, stream.Alerts, durable)
	if err != nil {
		return nil, fmt.Errorf("look up the queue of %s: %w", receiver, err)
	}

	queues := []Queue{{Durable: durable, Receiver: receiver, Info: c.CachedInfo()}}
	return &queues[0], r.readProgress(ctx, queues)
}

// readProgress reads the records of queues. One that is missing or malformed is no error:
// its queue has the zero Progress.
func (r *Reader) readProgress(ctx context.Context, queues []Queue) error {
	if len(queues) == 0 {
		return nil
	}
	kv, err := r.openLeases(ctx)
	if err != nil {
		return err
	}

	for i := range queues {
		value, err := readKey(ctx, kv, queues[i].Durable)
		if err != nil {
			return err
		}
		var p Progress
		if json.Unmarshal(value, &p) == nil {
			queues[i].Progress = p
		}
	}
	return nil
}
