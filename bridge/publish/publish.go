// Package publish moves records from a spool to JetStream: in order, pipelined,
// each acknowledged. A first message goes alone and shows that the stream is
// there; then a window of messages is in flight, and the oldest is waited for.
// After any error everything in flight is let go, and publishing starts again at
// the first record that is not acknowledged: this is the one loop that keeps
// order and doubles nothing while a server comes and goes (the id of each
// message lets the stream refuse what it has).
//
// It never gives up and never drops: while NATS is away, records stay in the
// spool, which bounds them. Memory is the window: 2048 messages or 8 MiB of them,
// whichever is less, and the messages of one more record.
package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/bridge/publish/acks"
	"supernats/schema/repeat"
)

// Source is the reading side of a spool. Its methods are called from one
// goroutine.
type Source interface {
	// Next returns the record behind the last one returned; ok is false if there
	// is none yet. io.EOF: there will never be one again. The record is valid
	// until the next call.
	Next() (rec []byte, ok bool, err error)
	// More receives a value when Next may have something again.
	More() <-chan struct{}
	// Ack says that JetStream has the oldest n records that were not yet
	// acknowledged, the last of them under the sequence seq.
	Ack(n int, seq uint64) error
	// Rewind makes Next go on at the oldest record not acknowledged.
	Rewind() error
}

// Config is what a Publisher needs.
type Config struct {
	Source Source
	// Connect makes a connection that reconnects for ever, with the options
	// given; it is called again if that one ends all the same.
	Connect func(more ...nats.Option) (*nats.Conn, error)
	// JetStream is what a connection is used with; nil: that of its server.
	JetStream func(nc *nats.Conn) (jetstream.JetStream, error)
	// Ensure creates the stream if it is missing. Its error is no obstacle to
	// publishing: the bridge may not have the right to look.
	Ensure func(ctx context.Context, js jetstream.JetStream) error
	// Stream is whose acknowledgements count.
	Stream string
	// Encode makes the messages of a record, none larger than maxPayload, or says
	// ErrTooLarge. They are sent before the next call, and then no more of use: it may
	// use their memory. A record without messages counts as stored.
	Encode func(rec []byte, maxPayload int) ([]*nats.Msg, error)
	// GiveWay reports whether others need the processor more at the moment. Then
	// publishing waits, for giveWayMost at most until the source is empty; may be nil.
	GiveWay func() bool
	// Lost is called for a record that cannot be encoded; it is skipped.
	Lost func(rec []byte, err error)
	// Resent is called when a message was stored under another message id than its
	// own, which somebody else had used; may be nil.
	Resent func(id, messageID string)
	// Raise reports that something keeps messages from the stream, Clear that it has
	// ended. Either may be called again with the same cause, from any goroutine, and
	// may be nil.
	Raise func(cause, text, fix string)
	Clear func(cause string)
	// Duplicate is told of a message that the stream refused as one that it has,
	// although it was sent for the first time; may be nil.
	Duplicate func()
	// Left is how many records of the source an earlier run may have sent, Seq the
	// stream's sequence of its last acknowledgement, 0 if it is not known.
	Left int
	Seq  uint64
	// Fence tells which of them the stream has; without one the stream's duplicate
	// window has to.
	Fence *Fence
	Log   zerolog.Logger
}

const (
	window      = acks.Window
	windowBytes = 8 << 20
	// gather is how long records come together once the source was read to its end.
	gather = 20 * time.Millisecond
	// giveWayMost bounds how long a record waits since others need the processor, and
	// giveWayLook is how often it is asked whether they do.
	giveWayMost = 500 * time.Millisecond
	giveWayLook = 10 * time.Millisecond
	ackTimeout  = 5 * time.Second
	minBackoff  = 100 * time.Millisecond
	maxBackoff  = 5 * time.Second
	// minPayload is the least that is made of our messages. Where even that is too
	// much, next to nothing of ours can be stored: then records wait.
	minPayload = 1 << 10
	// largerEvery is how often it is tried what the stream refused: messages of the
	// server's max_payload, and a time to live.
	largerEvery = 10 * time.Minute
)

// Publisher is one loop from one source to one stream.
type Publisher struct {
	cfg     Config
	trouble trouble
	// reported are errors that the connection reports.
	reported repeat.Errors
	backoff  time.Duration
	// doubt is how many of the source's oldest records may have been sent before,
	// seq the sequence of the last acknowledgement.
	doubt int
	seq   uint64
	// begun says that there was a session, so the next one is a reconnect.
	begun bool
	// left is how many records of an earlier run are not acknowledged.
	left   int
	rivals rivals
	// sent says over which connection the last session was, away that it ended since
	// the stream did not answer.
	sent connection
	made uint64 // how many connections were made
	away bool
	// progress says that a record of the source was stored since the last fence.
	progress bool
	// divided is into how many parts records were divided that are not acknowledged, by
	// the id of their first part.
	divided map[messageID]int
	// known is what the stream has of what is to be sent again, if sure says that no
	// answer is missing.
	known map[messageID]struct{}
	sure  bool
	// noTTL says since when the stream takes no time to live.
	noTTL   time.Time
	saidTTL bool
	sizes   sizes
	taken   taken

	// What was said once, or how often it was to be said.
	saidNoRight bool
	duplicates  uint64

	aside      aside
	asideNoTTL bool // of the goroutine that publishes aside
}

// connection tells connections apart.
type connection struct{ made, reconnects uint64 }

// New checks the configuration. Nothing happens before Run.
func New(cfg Config) (*Publisher, error) {
	if cfg.Source == nil || cfg.Connect == nil || cfg.Ensure == nil || cfg.Encode == nil || cfg.Lost == nil || cfg.Stream == "" {
		return nil, errors.New("publish: Source, Connect, Ensure, Encode, Lost and Stream must be set")
	}
	if f := cfg.Fence; f != nil && (f.Record == nil || f.Consumer == "" || f.Filter == "" || f.Replaced == nil || f.Passed == nil || f.Boot == nil) {
		return nil, errors.New("publish: Record, Consumer, Filter, Replaced, Passed and Boot of Fence must be set")
	}
	p := &Publisher{
		cfg: cfg, doubt: cfg.Left, left: cfg.Left, seq: cfg.Seq,
		rivals: rivals{first: rivalFirst, silence: rivalSilence}, trouble: trouble{log: cfg.Log}, taken: newTaken(),
		divided: map[messageID]int{},
		aside:   aside{more: make(chan struct{}, 1)},
	}
	p.sizes.every.Store(int64(largerEvery))
	p.trouble.raise, p.trouble.clear = p.raise, p.clear
	return p, nil
}

// Run publishes until the source ends and all is acknowledged (nil) or ctx ends
// (its error).
func (p *Publisher) Run(ctx context.Context) error {
	for {
		err := p.connected(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.trouble.report(err)
		if err := p.pause(ctx, nil); err != nil {
			return err
		}
	}
}

// connected publishes over one connection, until that is closed for good.
func (p *Publisher) connected(ctx context.Context) error {
	var dial dialer
	denied := make(chan error, 16)
	nc, err := p.cfg.Connect(nats.SetCustomDialer(dial.until(ctx)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if !errors.Is(err, nats.ErrPermissionViolation) {
				if p.reported.Failed(err) {
					p.cfg.Log.Warn().Err(err).Msg("NATS reports an error")
				}
				return
			}
			if p.aside.denied(err) {
				return // it is no obstacle to the source's records
			}
			select {
			case denied <- err:
			default: // so many say enough
			}
		}))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := p.jetStream(nc)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	ring := acks.New(nc, p.cfg.Stream, ackTimeout)
	defer ring.Close()
	defer p.besides(ctx, nc, js)()
	p.made++
	status := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	for {
		if err := p.waitConnected(ctx, nc, &dial, status); err != nil {
			return err
		}
		over := connection{p.made, nc.Stats().Reconnects}
		s := &session{Publisher: p, nc: nc, js: js, acks: ring, denied: denied, again: p.begun && p.progress && (p.away || over != p.sent)}
		err := s.ensure(ctx)
		if err == nil {
			err = s.run(ctx) // it has reported its error
		}
		if s.proven {
			p.begun, p.sent = true, over
		}
		if err == nil {
			p.aside.flush(ctx)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, nats.ErrPermissionViolation) {
			return err // another connection reads the files of our credentials again
		}
		if s.changed {
			continue // what is sent now is something else
		}
		if err := p.pause(ctx, status); err != nil {
			return err
		}
	}
}

// besides publishes over a connection what Aside was given, until the function that
// it returns is called.
func (p *Publisher) besides(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.publishAside(ctx, nc, js)
	}()
	return func() {
		cancel()
		<-done
	}
}

// waitConnected returns nil as soon as there is a server.
func (p *Publisher) waitConnected(ctx context.Context, nc *nats.Conn, dial *dialer, status <-chan nats.Status) error {
	for !nc.IsConnected() {
		if nc.IsClosed() {
			return errClosed(nc)
		}
		// Without an error the first attempt is under way, or the library forgot why
		// it failed.
		if err := cmp.Or(nc.LastError(), dial.lastError()); err != nil {
			p.trouble.report(fmt.Errorf("connect to NATS: %w", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-status:
		case <-time.After(time.Second): // a status may have been missed
		}
	}
	return nil
}

func errClosed(nc *nats.Conn) error {
	if err := nc.LastError(); err != nil {
		return fmt.Errorf("connection to NATS was closed: %w", err)
	}
	return nats.ErrConnectionClosed
}

// pause waits with growing length, or until a server is back.
func (p *Publisher) pause(ctx context.Context, status <-chan nats.Status) error {
	p.backoff = min(maxBackoff, max(minBackoff, 2*p.backoff))
	t := time.NewTimer(p.backoff/2 + rand.N(p.backoff/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-status:
	case <-t.C:
	}
	return nil
}

func (p *Publisher) jetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	if p.cfg.JetStream == nil {
		return jetstream.New(nc)
	}
	return p.cfg.JetStream(nc)
}
