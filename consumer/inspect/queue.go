package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/wording"
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
	// Position is what `supernats consume` has recorded; zero if nothing is.
	Position stream.Position
}

// Took reports whether the receiver has taken what has a sequence, or was not meant to get
// it. It may be parked.
func (q *Queue) Took(seq uint64) bool {
	return q.Info.AckFloor.Stream >= seq || slices.Contains(q.Position.Ahead, seq)
}

// TookAt returns when the receiver took what has a sequence and was made at a time, nil if
// that is not known.
func (q *Queue) TookAt(seq uint64, made *schema.Time) *schema.Time {
	// A notification that was taken before its turn, or parked, has a batch of its own
	// within the one around it, which did not have it: the smallest batch counts.
	var smallest *stream.LateBatch
	for i := range q.Position.Late {
		l := &q.Position.Late[i]
		if l.From <= seq && seq <= l.To && (smallest == nil || l.To-l.From < smallest.To-smallest.From) {
			smallest = l
		}
	}

	switch {
	case smallest != nil:
		return &smallest.At
	case seq <= q.Position.Forgot:
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
	return n - min(n, uint64(len(q.Position.Ahead)))
}

// Failure returns why what waits is not delivered, "" if the last try succeeded.
func (q *Queue) Failure() string {
	if q.Waiting() == 0 {
		return ""
	}
	return q.Position.Error
}

// Hold returns which rate limit holds what waits and until when, "" if none does.
func (q *Queue) Hold(now time.Time) string {
	until := q.Position.LimitedUntil
	if q.Waiting() == 0 || until == nil || until.Before(now) {
		return ""
	}

	limit := "mail.rate_limit" // of the section mail
	if name, _, _ := strings.Cut(q.Receiver, "/"); name != "mail" {
		limit = "the rate_limit of " + name
	}
	return "held by " + limit + " until " + wording.Date(until)
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

	if err := r.readPositions(ctx, queues); err != nil {
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
	return &queues[0], r.readPositions(ctx, queues)
}

// readPositions reads the records of queues. One that is missing or malformed is no error:
// its queue has the zero Position.
func (r *Reader) readPositions(ctx context.Context, queues []Queue) error {
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
		var p stream.Position
		if json.Unmarshal(value, &p) == nil {
			queues[i].Position = p
		}
	}
	return nil
}
