package bridge

import (
	"context"
	"io"
	"time"

	"supernats/bridge/publish"
	"supernats/schema/stream"
)

// earlyAfter is how long the spool may take to open before troubles are published
// without it.
const earlyAfter = 2 * time.Second

// publishEarly publishes troubles until the function that it returns is called: the
// publisher of events needs an open spool. It is begun only if that takes long.
func (b *Bridge) publishEarly(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	source := &nothing{end: make(chan struct{})}
	begin := time.AfterFunc(earlyAfter, func() {
		defer cancel()
		p, err := publish.New(publish.Config{
			Source: source, Connect: b.connect, Ensure: ensure, Stream: stream.Events,
			Encode: b.encoder.Encode, Lost: b.lost, Log: b.log,
		})
		if err != nil {
			b.log.Error().Err(err).Msg("troubles cannot be published")
			return
		}
		b.troubles.attach(p.Aside, true)
		_ = p.Run(ctx) // its error is that of ctx
	})
	return func() {
		// What it still has to say, that a trouble is over, it says beside the other one.
		close(source.end)
		if begin.Stop() {
			cancel()
		} else {
			time.AfterFunc(earlyAfter, cancel)
		}
	}
}

// nothing is a source of no records.
type nothing struct{ end chan struct{} }

// Next implements publish.Source.
func (n *nothing) Next() ([]byte, bool, error) {
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
