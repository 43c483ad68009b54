package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/app"
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
}

// of reports whether a queue is one of a receiver's, by its name, or the one that
// has that name with its address.
func (q *queue) of(receiver string) bool {
	name, _, _ := strings.Cut(q.receiver, "/")
	return strings.EqualFold(name, receiver) || strings.EqualFold(q.receiver, receiver)
}

// waiting is how many notifications the receiver has not taken yet.
func (q *queue) waiting() uint64 { return q.info.NumPending + uint64(q.info.NumAckPending) }

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
			queues = append(queues, queue{info.Name, receiverOf(info.Name), info})
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the consumers of stream %s: %w", stream.Alerts, err)
	}
	slices.SortFunc(queues, func(a, b queue) int { return strings.Compare(a.receiver, b.receiver) })
	return queues, nil
}

// receivers names those that a configuration has.
func receivers(cfg app.Config) []string {
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
