// Package publish moves records from a spool to JetStream: in order, pipelined, each
// acknowledged. The first message goes alone and shows that the stream is there. Then a
// window of messages is in flight, and the publisher waits for the oldest of them. After any
// error nothing in flight counts, and publishing starts again at the first record that is
// not acknowledged. So order is kept while servers come and go, and nothing is stored twice:
// by a message's id the stream refuses one that it already holds.
//
// Under pressure: it never gives up and never drops. While NATS is away, records stay in the
// spool, which bounds them. Memory is the window, 2048 messages or 8 MiB of them, whichever
// is less, and the messages of one more record.
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
	// Next returns the record after the last one returned; ok is false if there is none
	// yet. io.EOF: there will never be another. The record is valid until the next call
	// of Next or Rewind.
	Next() (rec Record, ok bool, err error)
	// More receives a value when Next may have something again.
	More() <-chan struct{}
	// Ack reports that JetStream has stored the oldest n records that were not yet
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
	// Connect returns a connection that reconnects for ever, with the options given. It is
	// called again if that connection is closed all the same.
	Connect func(more ...nats.Option) (*nats.Conn, error)
	// JetStream returns the JetStream to use over a connection; nil: that of its server.
	JetStream func(nc *nats.Conn) (jetstream.JetStream, error)
	// Ensure creates the stream if it is missing. After an error publishing continues: the
	// bridge may not have the right to look.
	Ensure func(ctx context.Context, js jetstream.JetStream) error
	// Stream is whose acknowledgements count.
	Stream string
	// GiveWay reports whether others need the processor more at the moment; may be nil.
	// Then publishing waits, but until the source is empty no longer than giveWayMost.
	GiveWay func() bool
	// Lost is called for a record of which no messages can be made, and which is skipped.
	Lost func(rec Record, err error)
	// Resent is called when a message was stored under another message id, since somebody
	// else had used its own; may be nil.
	Resent func(id, messageID string)
	// Raise reports that something keeps messages from the stream, Clear that this has
	// ended. Both may be called from any goroutine, and again with the same cause. Either
	// may be nil.
	Raise func(cause, text, fix string)
	Clear func(cause string)
	// Duplicate is called for a message that the stream refused as a duplicate although it
	// was sent for the first time; may be nil.
	Duplicate func()
	// Left is how many of the source's oldest records an earlier run may have sent, Seq the
	// stream's sequence of that run's last acknowledgement, 0 if it is not known.
	Left int
	Seq  uint64
	// Fence is how to find out which of them the stream already holds. Without one only the
	// stream's duplicate window keeps them from being stored twice.
	Fence *Fence
	Log   zerolog.Logger
}

const (
	window      = acks.Window
	windowBytes = 8 << 20
	// gather is how long the publisher lets records accumulate once the source was empty.
	gather = 20 * time.Millisecond
	// giveWayMost bounds how long a record waits while others need the processor, and
	// giveWayLook is how often Config.GiveWay is called meanwhile.
	giveWayMost = 500 * time.Millisecond
	giveWayLook = 10 * time.Millisecond
	ackTimeout  = 5 * time.Second
	minBackoff  = 100 * time.Millisecond
	maxBackoff  = 5 * time.Second
	// minPayload is the smallest limit that messages are made for, in bytes. Where even that
	// is too large, hardly anything of ours can be stored: then records wait.
	minPayload = 1 << 10
	// largerEvery is how often the publisher tries again what the stream refused: messages
	// of the server's max_payload, and a time to live.
	largerEvery = 10 * time.Minute
)

// Publisher is one loop from one source to one stream. It holds what outlives a session.
// Fields belong to the goroutine of Run, unless their comment names another owner.
//
// In doubt are the inDoubt oldest records of the source: each of them may have been sent
// before. They are what an earlier run left (Config.Left), what has come to light since
// (Doubter), and what a session had sent when it ended. Acknowledgements make inDoubt
// smaller, in session.end.
type Publisher struct {
	cfg     Config
	trouble trouble
	// reported is the errors that the connection reports. It belongs to the library's
	// goroutine.
	reported repeat.Errors
	backoff  time.Duration // of the last pause; reset by each acknowledged record
	noRight  bool          // it is reported that we may not read the stream
	// duplicates is how many messages another listener of this supervisord had published
	// before us.
	duplicates uint64

	// What the next session begins with. Each session sets it when it ends.
	inDoubt int
	lastSeq uint64  // the stream's sequence of the last acknowledgement
	known   ids.Set // what the stream holds of the records in doubt, if sure
	sure    bool    // no answer is missing, so there is nothing to find out

	leftOver  int           // records of an earlier run that are not acknowledged
	divisions ids.Divisions // of the records that are not acknowledged

	// Whether the next session is a reconnect, see newSession.
	begun       bool       // the stream has answered in a session
	lastUsed    connection // of the last such session
	connections uint64     // how many were made
	streamAway  bool       // the last session ended because the stream did not answer
	progress    bool       // a record of the source was stored since the last fence

	ttl    ttl
	sizes  sizes
	taken  taken
	rivals *rivals.Watch
	aside  *aside.Lane // has a goroutine and a lock of its own
}

// connection identifies a connection: the number of the nats.Conn, and how often that one
// has reconnected.
type connection struct{ made, reconnects uint64 }

// New returns a publisher, or an error if the configuration is incomplete. Nothing happens
// before Run.
func New(cfg Config) (*Publisher, error) {
	if cfg.Source == nil || cfg.Connect == nil || cfg.Ensure == nil || cfg.Lost == nil || cfg.Stream == "" {
		return nil, errors.New("publish: Source, Connect, Ensure, Lost and Stream must be set")
	}
	if f := cfg.Fence; f != nil && (f.Record == nil || f.Consumer == "" || f.Filter == "" ||
		f.Replaced == nil || f.Passed == nil || f.Self.BootOf == nil) {
		return nil, errors.New(
			"publish: Record, Consumer, Filter, Replaced, Passed and Self.BootOf of Fence must be set")
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

// rivalsConfig returns the settings of the watch for rivals.
func (p *Publisher) rivalsConfig() rivals.Config {
	c := rivals.Config{Log: p.cfg.Log, Clear: func() { p.clear(CauseConflict) }}
	if p.cfg.Raise != nil {
		c.Raise = func(text, fix string) { p.raise(CauseConflict, text, fix) }
	}
	if f := p.cfg.Fence; f != nil {
		c.Self = f.Self
	}
	return c
}

// Aside publishes a message past the source, over the same connection, as soon as there is
// one. It tries again until the stream has stored the message, also while the source waits
// or its records are refused. It never blocks and may be called from any goroutine, also
// before Run. The message must not be changed afterwards.
//
// The message replaces one of the same key that is not sent yet. At most aside.Max messages
// wait; beyond that the oldest are dropped, counted and logged.
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
	denied chan error         // what the server did not permit; further denials are dropped
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

	// They end in the opposite order: the connection is closed last.
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
			return err // the next connection reads the credential files again
		}

		if changed {
			continue
		}
		if err := p.pause(ctx, l.status); err != nil {
			return err
		}
	}
}

// publishOnce makes one attempt over a connection. changed says that the next attempt sends
// something other than what was refused, so there is nothing to wait for.
func (p *Publisher) publishOnce(ctx context.Context, l natsLink) (changed bool, err error) {
	connected := connection{made: p.connections, reconnects: l.nc.Stats().Reconnects}
	s := p.newSession(l, connected)
	err = s.ensure(ctx)
	if err == nil {
		err = s.run(ctx) // it reports its error
	}

	if s.proven {
		p.begun = true
		p.lastUsed = connected
	}
	return s.changed, err
}

// errorHandler returns the handler of the errors that a connection reports. Denials go to
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
		default: // those in the channel are enough
		}
	}
}

// startAside publishes the messages of Aside over a connection until the returned function
// is called.
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

// waitConnected returns nil as soon as the connection has a server.
func (p *Publisher) waitConnected(ctx context.Context, l natsLink) error {
	for !l.nc.IsConnected() {
		if l.nc.IsClosed() {
			return errClosed(l.nc)
		}

		// Without an error the first attempt is under way, or the library no longer knows
		// why it failed; what it knows may be of the connection before.
		if err := cmp.Or(l.dial.lastError(), l.nc.LastError()); err != nil {
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

// pause waits until a server is back, or for about backoff, which
// doubles each time.
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
