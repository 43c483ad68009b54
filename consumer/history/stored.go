package history

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

const (
	// readAhead and readAheadBytes are how much is requested before it is wanted. Half of it
	// is requested again when half of it was handled, so that the server never waits.
	readAhead      = 8192
	readAheadBytes = 32 << 20
)

// readStored handles what the stream holds now.
func (e *EventReader) readStored(ctx context.Context, handle func(*Event) error, idle func() error) error {
	if e.pending == 0 {
		return nil
	}
	// A request must have room for the largest message.
	most := max(readAheadBytes, 2*int(e.reader.JS.Conn().MaxPayload()))
	msgs, err := e.events.Messages(jetstream.PullMaxMessagesWithBytesLimit(readAhead, most))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	defer msgs.Stop()
	defer context.AfterFunc(ctx, msgs.Stop)() // cheaper than to hand ctx to each Next

	handled := 0
	for {
		raw, err := msgs.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream.Events, err)
		}
		done, err := e.take(raw, &handled, handle, idle)
		if err != nil || done {
			return err
		}

		if e.query.Progress != nil {
			e.query.Progress(e.total-min(e.total, e.pending), e.total)
		}
	}
}
