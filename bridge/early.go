package bridge

import (
	"context"
	"fmt"
	"io"
	"time"

	"supernats/bridge/publish"
	"supernats/schema/stream"
)

// causeSlow is the cause of the trouble that the spool takes long to open.
const causeSlow = "spool-slow"

const (
	// earlyAfter is how long the spool may take to open before that is a trouble. A
	// file system may not answer, or there is much to read.
	earlyAfter = 5 * time.Second
	// earlyEnd is how long what is left to say then may take.
	earlyEnd = 2 * time.Second
)

// publishEarly publishes troubles while the spool is being opened, if that takes long,
// until the function that it returns is called: the publisher of events needs an open
// spool.
func (b *Bridge) publishEarly(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	from := &nothing{end: make(chan struct{})}
	begin := time.AfterFunc(earlyAfter, func() {
		defer cancel()
		b.troubles.Raise(causeSlow,
			fmt.Sprintf("opening the spool takes more than %v; until it is open no event is accepted", earlyAfter),
			"check that the file system of --spool-dir answers, or set --spool-dir")

		p, err := publish.New(publish.Config{
			Source: from, Stream: stream.Events,
			Connect: b.nats.connect, JetStream: b.nats.jetStream, Ensure: ensureStream,
			Lost: b.reportLost, Log: b.log,
		})
		if err != nil {
			b.log.Error().Err(err).Msg("troubles cannot be published")
			return
		}
		b.troubles.Attach(p.Aside, true)
		_ = p.Run(ctx) // its error is that of ctx
	})

	return func() {
		if begin.Stop() {
			cancel()
			return
		}
		// That it is over is reported by the other publisher too.
		b.troubles.Clear(causeSlow)
		close(from.end)
		time.AfterFunc(earlyEnd, cancel)
	}
}

// nothing is a source of no records.
type nothing struct{ end chan struct{} }

// Next implements publish.Source.
func (n *nothing) Next() (publish.Record, bool, error) {
	select {
	case <-n.end:
		return nil, false, io.EOF
	default:
		return nil, false, nil
	}
}

// More implements publish.Source.
func (n *nothing) More() <-chan struct{} { return n.end }

// Ack implements publish.Source.
func (*nothing) Ack(int, uint64) error { return nil }

// Rewind implements publish.Source.
func (*nothing) Rewind() error { return nil }
