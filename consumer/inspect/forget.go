package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// forgetInterval is how often the bucket is asked whether a host is forgotten.
const forgetInterval = 100 * time.Millisecond

// WaitForgotten returns when the record of a host is gone. A host that was not silent may
// have another record by then. It is an error if the timeout passes before that.
func (r *Reader) WaitForgotten(ctx context.Context, h *schema.HostRecord, silent bool, timeout time.Duration) error {
	kv, err := r.OpenBucket(ctx, stream.HostsBucket)
	if err != nil {
		return err
	}

	for end := time.Now().Add(timeout); ; {
		e, err := kv.Get(ctx, schema.Token(h.Host))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read bucket %s: %w", stream.HostsBucket, err)
		}
		if !silent && isNewRecord(e.Value(), h) {
			return nil
		}

		if time.Now().After(end) {
			return fmt.Errorf("that host %s is gone is recorded, but nobody has dropped it within %v: "+
				"is `supernats consume` running? It does so when it runs",
				h.Host, timeout)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(forgetInterval):
		}
	}
}

// isNewRecord reports whether a record is of a host that was forgotten and has reported
// again: its lives have begun again.
func isNewRecord(record []byte, before *schema.HostRecord) bool {
	var now schema.HostRecord
	if err := json.Unmarshal(record, &now); err != nil || len(now.Lives) == 0 || len(before.Lives) == 0 {
		return false
	}
	return now.Lives[0].FirstSeen.After(before.LastSeen.Time)
}
