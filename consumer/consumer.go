// Package consumer reads the streams of supernats for programs that do something with each
// message: write your own by implementing Handler.
//
// A message is acknowledged after the Handler has returned nil, not before. So each one is
// handled at least once, in the order of the stream except for those that are tried again.
// A message that keeps failing is parked: copied with its reason to the stream
// SUPERVISOR_PARKED, from where it can be read. None is dropped. One message is handled at
// a time, and Prefetch are held in memory. While NATS is away, Run waits for it.
//
// At least once becomes exactly once if a Handler stores the sequence of the message
// together with its effect, in one transaction, and skips a message whose sequence is
// stored. The last sequence alone is not enough: a message that is tried again comes after
// younger ones. examples/03-go-sqlite does it, and consumer/consumertest checks whether
// yours does.
package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema/repeat"
	"supernats/schema/stream"
)

// Handler does something with a message.
type Handler interface {
	// Handle returns nil when its effect is stored: the message never comes again then. It
	// may be called again with the same message, known by its Seq, after an error or a
	// crash. After an error it is tried again, and after Config.MaxTries the message is
	// parked; see Park. When ctx ends, Handle returns soon, with an error if the effect is
	// not stored. One Consumer never calls it twice at the same time.
	Handle(ctx context.Context, m *Message) error
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, m *Message) error

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, m *Message) error { return f(ctx, m) }

// Config is what a Consumer needs. JetStream, Durable and Handler must be set.
type Config struct {
	JetStream jetstream.JetStream
	// Stream to read; SUPERVISOR if empty.
	Stream string
	// Durable is the name under which the server remembers what was handled: letters,
	// digits, '_', '-' and '='. schema.Token makes such a name of any other.
	Durable string
	// Subjects to read; all of the stream's if empty.
	Subjects []string
	// NewOnly makes a durable that does not exist begin with the messages that are stored
	// from now on. Otherwise it begins with the oldest message.
	NewOnly bool
	Handler Handler
	// MaxTries is how often a message is handled before it is parked; 10 if 0. If it is
	// negative, only an error wrapped by Park parks a message: for Handlers that depend on
	// a server which may be down.
	MaxTries int
	// BackOff is how long to wait after the first, second … try. Its last entry is used
	// for all further ones. 1s to 5m if empty.
	BackOff []time.Duration
	// AckWait is how long the server waits for a client that has fallen silent; 30s if 0. A
	// Handler may take longer.
	AckWait time.Duration
	// Prefetch is how many messages are asked for at a time; 1 if 0. All of them must be
	// handled within AckWait.
	Prefetch int
	Log      zerolog.Logger
}

const (
	// heartbeat is how often the server confirms that a request for messages stands. If two
	// are missing the request was lost: it was sent while the consumer or a leader was away.
	heartbeat = 5 * time.Second
	// graceTries is how many deliveries do not count as tries: a client may have stopped in
	// the middle, an acknowledgement may have been lost.
	graceTries = 3
	// ackTimeout bounds how long a stop waits for an acknowledgement.
	ackTimeout = 5 * time.Second
	// openTimeout bounds how long it takes to find or create the durable.
	openTimeout = 10 * time.Second
	// maxPending bounds the messages that wait for their next try. They must not block others.
	maxPending = 10_000
)

var defaultBackOff = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

func (c *Config) setDefaults() error {
	if c.JetStream == nil || c.Handler == nil || c.Durable == "" {
		return errors.New("consumer: JetStream, Durable and Handler must be set")
	}
	if !isDurableName(c.Durable) {
		return fmt.Errorf("consumer: invalid durable %q: want up to 200 letters, digits, '_', '-' and '='", c.Durable)
	}
	if c.AckWait < 0 || c.Prefetch < 0 || slices.ContainsFunc(c.BackOff, func(d time.Duration) bool { return d < 0 }) {
		return errors.New("consumer: AckWait, Prefetch and BackOff must not be negative")
	}

	if c.Stream == "" {
		c.Stream = stream.Events
	}
	if c.MaxTries == 0 {
		c.MaxTries = 10
	}
	if len(c.BackOff) == 0 {
		c.BackOff = defaultBackOff
	}
	if c.AckWait == 0 {
		c.AckWait = 30 * time.Second
	}
	if c.Prefetch == 0 {
		c.Prefetch = 1
	}
	return nil
}

func isDurableName(name string) bool {
	isForbidden := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-=", r)
	}
	return len(name) <= 200 && !strings.ContainsFunc(name, isForbidden)
}

// Consumer runs one Handler on one durable pull consumer.
type Consumer struct {
	cfg Config
	log zerolog.Logger

	// What follows belongs to the goroutine of Run.

	// failing are the errors of the Handler since it succeeded with a message that had
	// failed before.
	failing  repeat.Errors
	progress progress
}

// New checks the configuration. Nothing happens before Run.
func New(cfg Config) (*Consumer, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	return &Consumer{cfg: cfg, log: cfg.Log.With().Str("consumer", cfg.Durable).Logger()}, nil
}

// Create makes the durable consumer if it is missing. Run does so too: call Create before
// you publish something that a NewOnly consumer must not miss.
func (c *Consumer) Create(ctx context.Context) error {
	_, err := c.openDurable(ctx)
	return err
}

// Run handles messages until ctx ends and returns its error. Other errors are logged and
// tried again: a durable that was deleted begins where it was, a stream that was created
// again is read from its beginning. The exception is a connection that nats.go has closed
// for good, as after credentials that were refused twice: make another one (or connect with
// nats.IgnoreAuthErrorAbort).
func (c *Consumer) Run(ctx context.Context) error {
	wait := time.Duration(0)
	var failing repeat.Errors
	for {
		err := c.readStream(ctx, func() {
			wait = 0
			failing.LogOver(c.log).Msg("reading the stream works again")
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if conn := c.cfg.JetStream.Conn(); conn.IsClosed() {
			return fmt.Errorf("connection to NATS was closed: %w", cmp.Or(conn.LastError(), nats.ErrConnectionClosed))
		} else if !conn.IsConnected() {
			err = fmt.Errorf("NATS is not connected: %w", cmp.Or(conn.LastError(), err))
		}

		if failing.Failed(err) {
			c.log.Warn().Err(err).Msg("reading the stream was interrupted; trying again")
		}
		wait = min(5*time.Second, max(100*time.Millisecond, 2*wait))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// readStream handles messages until something fails. It calls received for each message.
func (c *Consumer) readStream(ctx context.Context, received func()) error {
	durable, err := c.openDurable(ctx)
	if err != nil {
		return err
	}
	msgs, err := durable.Messages(jetstream.PullMaxMessages(c.cfg.Prefetch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("pull from consumer %s: %w", c.cfg.Durable, err)
	}
	defer returnUnhandled(msgs)

	for {
		m, err := nextMessage(ctx, msgs)
		if err != nil {
			return fmt.Errorf("wait for a message: %w", err)
		}
		received()
		if err := c.handleMessage(ctx, m); err != nil {
			return err
		}
	}
}

// nextMessage waits for a message. It calls Next twice: nats.go asks for no further message
// while its last request is under way, and checks that only at the beginning of Next
// (jetstream/pull.go fetchInProgress). If that request ends just then, nothing comes for
// two heartbeats.
func nextMessage(ctx context.Context, msgs jetstream.MessagesContext) (jetstream.Msg, error) {
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	m, err := msgs.Next(jetstream.NextContext(soon))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return msgs.Next(jetstream.NextContext(ctx))
	}
	return m, err
}

// returnUnhandled ends reading. What was not handled goes to the next reader at once, and not
// only after AckWait.
func returnUnhandled(msgs jetstream.MessagesContext) {
	msgs.Drain()
	defer msgs.Stop()
	for {
		m, err := msgs.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			return
		}
		_ = m.Nak()
	}
}

// handleMessage handles a message and answers the server.
func (c *Consumer) handleMessage(ctx context.Context, raw jetstream.Msg) error {
	m, err := NewMessage(raw)
	if err != nil {
		return err
	}
	if c.cfg.MaxTries > 0 && m.Tries > c.cfg.MaxTries+graceTries {
		// There was not even an error: each program that had it crashed.
		return c.park(ctx, raw, m, fmt.Errorf("handled %d times without an answer", m.Tries-1))
	}

	stop := c.keepAlive(raw)
	err = c.cfg.Handler.Handle(ctx, m)
	stop()

	switch {
	case err == nil:
		return c.acknowledge(ctx, raw, m)
	case ctx.Err() != nil:
		_ = raw.Nak() // for the next one, at once
		return ctx.Err()
	case isPark(err) || c.cfg.MaxTries > 0 && m.Tries >= c.cfg.MaxTries:
		return c.park(ctx, raw, m, err)
	}

	c.progress.note(m, false)
	wait := c.cfg.BackOff[min(m.Tries, len(c.cfg.BackOff))-1]
	c.failing.Log(c.log, err).Uint64("seq", m.Seq).Str("subject", m.Subject).Int("try", m.Tries).
		Dur("again_in_ms", wait.Round(time.Millisecond)).Msg("message could not be handled")
	if err := raw.NakWithDelay(wait); err != nil {
		return fmt.Errorf("postpone message %d: %w", m.Seq, err)
	}
	return nil
}

// acknowledge takes a message that was handled from the consumer: also if ctx has ended
// meanwhile, because it would be handled again.
func (c *Consumer) acknowledge(ctx context.Context, raw jetstream.Msg, m *Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	c.progress.note(m, true)
	if err := raw.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge message %d: %w", m.Seq, err)
	}

	if m.Tries > 1 { // the first try of a message says nothing about others that fail
		c.failing.LogOver(c.log).Uint64("seq", m.Seq).Msg("messages are handled again")
	}
	return nil
}

// keepAlive tells the server at intervals that the message is being handled.
func (c *Consumer) keepAlive(m jetstream.Msg) (stop func()) {
	done := make(chan struct{})
	every := max(c.cfg.AckWait/3, time.Millisecond)
	t := time.AfterFunc(every, func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			_ = m.InProgress()
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})

	return func() {
		t.Stop()
		close(done)
	}
}
