package records

import (
	"context"
	"reflect"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Replace makes a bucket hold these records and no others, if held returns no error after
// it was read: what another instance writes from then on is not overwritten. It returns
// the bucket as it is then.
func Replace[T any](
	ctx context.Context, js jetstream.JetStream, name string, records map[string]*T,
	room *Share[T], held func() error, log zerolog.Logger,
) (*Bucket[T], error) {
	b, have, err := Open(ctx, js, name, room, log)
	if err != nil {
		return nil, err
	}
	if err := held(); err != nil {
		return nil, err
	}

	var changes []Record[T]
	for key, value := range records {
		if !reflect.DeepEqual(have[key], value) {
			changes = append(changes, Record[T]{key, value})
		}
	}
	for key := range have {
		if records[key] == nil {
			changes = append(changes, Record[T]{key, nil})
		}
	}
	return b, b.Write(ctx, changes)
}
