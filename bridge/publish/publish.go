// Package publish moves records from a spool to JetStream: in order, pipelined,
// each acknowledged. A first message goes alone and shows that the stream is
// there; then a window of messages is in flight, and the oldest is waited for.
// After any error nothing in flight counts any more, and publishing starts again at
// the first record that is not acknowledged: this is the one loop that keeps
// order and doubles nothing while a server comes and goes (the id of each
// message lets the stream refuse what it has).
//
// Under pressure: it never gives up and never drops. While NATS is away, records stay
// in the spool, which bounds them. Memory is the window: 2048 messages or 8 MiB of
// them, whichever is less, and the messages of one more record.
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
	"supernats/bridge/publish/aside"
	"supernats/bridge/publish/ids"
	"supernats/bridge/publish/rivals"
	"supernats/schema/repeat"
)

// Source is the reading side of a spool. Its methods, and those of its records, are
// called from one goroutine.
type Source interface {
	// Next returns the record after the last one returned; ok is false if there
	// is none yet. io.EOF: there will never be one again. The record is valid
	// until the next call of Next or Rewind.
	Next() (rec Record, ok bool, err error)
	// More receives a value when Next may have something again.
	More() <-chan struct{}
	// Ack says that JetStream has the oldest n records that were not yet
	// acknowledged, the last of them under the sequence seq.
	Ack(n int, seq uint64) error
	// Rewind makes Next continue at the oldest record not acknowledged.
	Rewind() error
}

// Record is one record of a Source.
type Record interface {
	// Messages makes the record's messages, none larger than maxPayload bytes. All are sent
	// before the next record is asked for, which may use their memory again; so may another
	// call, with a larger maxPayload. A record without messages counts as stored.
	//
	// Errors: ErrPartly, with messages, which are sent; ErrTooLarge; with any other one the
	// record is lost.
	Messages(maxPayload int) ([]*nats.Msg, error)
	// Size is how large the record is in the source, in bytes.
	Size() int
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
	// GiveWay reports whether others need the processor more at the moment. Then
	// publishing waits, for giveWayMost at most until the source is empty; may be nil.
	GiveWay func() bool
	// Lost is called for a record of which no messages can be made; it is skipped.
	Lost func(rec Record, err error)
	// Resent is called when a message was stored under another message id than its
	// own, which somebody else had used; may be nil.
	Resent func(id, messageID string)
	// Raise reports that something keeps messages from the stream, Clear that it has
	// ended. Either may be called again with the same cause, from any goroutine, and
	// may be nil.
	Raise func(cause, text, fix string)
	Clear func(cause string)
	// Duplicate is called for a message that the stream refused as one that it has,
	// although it was sent for the first time; may be nil.
	Duplicate func()
	// Left is how many records of the source an earlier run may have sent, Seq the
	// stream's sequence of its last acknowledgement, 0 if it is not known.
	Left int
	Seq  uint64
	// Fence is how to find out which of them the stream has; without one the stream's
	// duplicate window has to do.
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

// Publisher is one loop from one source to one stream. What has no other owner in its
// comment belongs to the goroutine of Run.
type Publisher struct {
	cfg     Config
	trouble trouble
	// reported are errors that the connection reports. It is of the library's goroutine.
	reported repeat.Errors
	backoff  time.Duration
	noRight  bool // that we may not read the stream is reported
	// duplicates is how many messages another listener of ours had published before.
	duplicates uint64

	// inDoubt is how many of the source's oldest records may have been sent before,
	// lastSeq the sequence of the last acknowledgement.
	inDoubt int
	lastSeq uint64
	// known is what the stream has of what is to be sent again, if sure says that no
	// answer is missing.
	known ids.Set
	sure  bool
	// leftOver is how many records of an earlier run are not acknowledged.
	leftOver int
	// divisions is kept from one session to the next.
	divisions ids.Divisions

	// begun says that there was a session in which the stream answered, so the next one
	// may be a reconnect. lastUsed is its connection; connections is how many were made.
	begun       bool
	lastUsed    connection
	connections uint64
	// streamAway says that the last session ended since the stream did not answer.
	streamAway bool
	// progress says that a record of the source was stored since the last fence.
	progress bool

	ttl    ttl
	sizes  sizes
	taken  taken
	rivals *rivals.Watch
	aside  *aside.Lane // has a goroutine and a lock of its own
}

// connection distinguishes connections.
type connection struct{ made, reconnects uint64 }

// New checks the configuration. Nothing happens before Run.
func New(cfg Config) (*Publisher, error) {
	if cfg.Source == nil || cfg.Connect == nil || cfg.Ensure == nil || cfg.Lost == nil || cfg.Stream == "" {
		return nil, errors.New("publish: Source, Connect, Ensure, Lost and Stream must be set")
	}
	if f := cfg.Fence; f != nil && (f.Record == nil || f.Consumer == "" || f.Filter == "" ||
		f.Replaced == nil || f.Passed == nil || f.Boot == nil) {
		return nil, errors.New("publish: Record, Consumer, Filter, Replaced, Passed and Boot of Fence must be set")
	}

	p := &Publisher{
		cfg: cfg, inDoubt: cfg.Left, leftOver: cfg.Left, lastSeq: cfg.Seq,
		trouble: trouble{log: cfg.Log}, taken: taken{others: ids.NewOthers()}, divisions: ids.Divisions{},
	}
	p.sizes.every.Store(int64(largerEvery))
	p.trouble.raise = p.raise
	p.trouble.clear = p.clear
	p.rivals = rivals.New(p.rivalsConfig())
	p.aside = aside.New(aside.Config{
		Stream: cfg.Stream, AckTimeout: ackTimeout, OtherID: p.taken.others.Make, Log: cfg.Log,
	})
	return p, nil
}

// rivalsConfig returns what a watch for rivals needs.
func (p *Publisher) rivalsConfig() rivals.Config {
	c := rivals.Config{Log: p.cfg.Log, Clear: func() { p.clear(CauseConflict) }}
	if p.cfg.Raise != nil {
		c.Raise = func(text, fix string) { p.raise(CauseConflict, text, fix) }
	}
	if f := p.cfg.Fence; f != nil {
		c.Boot = f.Boot
		c.Ours = f.Ours
		c.Processes = f.Processes
		c.Listener = f.Listener
	}
	return c
}

// Aside publishes a message past the source, over the same connection, as soon as there is
// one, and tries again until the stream has it: also while the source waits or its records
// are refused. It never blocks and may be called from any goroutine, before Run too. The
// message must not be changed any more.
//
// A message of the same key that is not sent yet is replaced. At most aside.Max messages
// wait: of more, the oldest are dropped, counted and logged.
func (p *Publisher) Aside(key string, m *nats.Msg) { p.aside.Put(key, m) }

// Run publishes until the source ends and all is acknowledged (nil) or ctx ends
// (its error).
func (p *Publisher) Run(ctx context.Context) error {
	for {
		err := p.publishOver(ctx)
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

// natsLink is one connection and what belongs to it.
type natsLink struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	acks   *acks.Ring
	dial   *dialer
	denied chan error         // what the server did not permit; holds a few
	status <-chan nats.Status // of the connection
}

// publishOver publishes over one connection, until that is closed for good.
func (p *Publisher) publishOver(ctx context.Context) error {
	l := natsLink{dial: &dialer{}, denied: make(chan error, 16)}
	var err error
	l.nc, err = p.cfg.Connect(nats.SetCustomDialer(l.dial.until(ctx)), nats.ErrorHandler(p.errorHandler(l.denied)))
	if err != nil {
		return err
	}
	defer l.nc.Close()
	l.js, err = p.jetStream(l.nc)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}

	// The end is in the opposite order: the connection is closed last.
	l.acks = acks.New(l.nc, p.cfg.Stream, ackTimeout)
	defer l.acks.Close()
	defer p.startAside(ctx, l.nc, l.js)()
	p.connections++
	l.status = l.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	for {
		if err := p.waitConnected(ctx, l); err != nil {
			return err
		}

		changed, err := p.publishOnce(ctx, l)
		if err == nil {
			p.aside.Flush(ctx)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, nats.ErrPermissionViolation) {
			return err // another connection reads the files of our credentials again
		}

		if changed {
			continue // what is sent now is something else
		}
		if err := p.pause(ctx, l.status); err != nil {
			return err
		}
	}
}

// publishOnce makes one attempt over a connection. changed says that the next one sends
// something else than what was refused.
func (p *Publisher) publishOnce(ctx context.Context, l natsLink) (changed bool, err error) {
	connected := connection{made: p.connections, reconnects: l.nc.Stats().Reconnects}
	s := p.newSession(l, connected)
	err = s.ensure(ctx)
	if err == nil {
		err = s.run(ctx) // it has reported its error
	}

	if s.proven {
		p.begun = true
		p.lastUsed = connected
	}
	return s.changed, err
}

// errorHandler returns what takes the errors that a connection reports. Denials go to
// denied.
func (p *Publisher) errorHandler(denied chan<- error) nats.ErrHandler {
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if !errors.Is(err, nats.ErrPermissionViolation) {
			if p.reported.Failed(err) {
				p.cfg.Log.Warn().Err(err).Msg("NATS reports an error")
			}
			return
		}

		if p.aside.Denied(err) {
			return // it is no obstacle to the source's records
		}
		select {
		case denied <- err:
		default: // so many say enough
		}
	}
}

// startAside publishes over a connection what Aside was given, until the function that it
// returns is called.
func (p *Publisher) startAside(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.aside.Run(ctx, nc, js)
	}()

	return func() {
		cancel()
		<-done
	}
}

// waitConnected returns nil as soon as there is a server.
func (p *Publisher) waitConnected(ctx context.Context, l natsLink) error {
	for !l.nc.IsConnected() {
		if l.nc.IsClosed() {
			return errClosed(l.nc)
		}

		// Without an error the first attempt is under way, or the library forgot why
		// it failed.
		if err := cmp.Or(l.nc.LastError(), l.dial.lastError()); err != nil {
			p.trouble.report(fmt.Errorf("connect to NATS: %w", err))
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.status:
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
