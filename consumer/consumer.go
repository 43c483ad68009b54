// Package consumer reads the streams of supernats for programs that do
// something with each message: write your own by implementing Handler.
//
// A message is acknowledged after the Handler returned nil and not before, so
// each is handled at least once, in the order of the stream but for those that
// are tried again. One that keeps failing is parked: copied with its reason to
// the stream SUPERVISOR_PARKED, from where it can be had back. None is dropped.
// One message is handled at a time and Prefetch are held in memory; while NATS
// is away Run waits for it.
//
// At least once becomes exactly once if a Handler stores the sequence of the message
// together with its effect, in one transaction, and skips one that is stored
// already. To keep the last sequence only is not enough: a message that is tried
// again comes behind younger ones. examples/03-go-sqlite does it, and
// consumer/consumertest tries out whether yours does.
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
	// Handle returns nil when its effect is stored, for the message never comes
	// again then. It may be called again with the same message, after an error or a
	// crash: Seq tells. An error is tried again after a while, and the message is
	// parked after Config.MaxTries; see Park. When ctx ends Handle returns soon,
	// with an error if the effect is not stored. It is never called twice at the
	// same time by one Consumer.
	Handle(ctx context.Context, m *Message) error
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, m *Message) error

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, m *Message) error { return f(ctx, m) }

// Config is what a Consumer needs; JetStream, Durable and Handler must be set.
type Config struct {
	JetStream jetstream.JetStream
	// Stream to read; SUPERVISOR if empty.
	Stream string
	// Durable is the name under which the server remembers what was handled:
	// letters, digits, '_', '-' and '='; schema.Token makes one of any name.
	Durable string
	// Subjects to read; all of the stream's if empty.
	Subjects []string
	// NewOnly makes a durable that does not exist yet begin with what is stored
	// from now on; else it begins with the oldest message.
	NewOnly bool
	Handler Handler
	// MaxTries is how often a message is handled before it is parked; 10 if 0. If
	// it is negative, only an error wrapped by Park parks one: for Handlers whose
	// errors are a server's that is down, not the message's.
	MaxTries int
	// BackOff is how long to wait after the first, second … try; its last entry
	// goes on. 1s to 5m if empty.
	BackOff []time.Duration
	// AckWait is how long the server waits for a client that has gone silent; 30s
	// if 0. A Handler may take longer.
	AckWait time.Duration
	// Prefetch is how many messages are asked for at a time; 1 if 0. All of them
	// must be handled within AckWait.
	Prefetch int
	Log      zerolog.Logger
}

var defaultBackOff = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

func (c *Config) setDefaults() error {
	if c.JetStream == nil || c.Handler == nil || c.Durable == "" {
		return errors.New("consumer: JetStream, Durable and Handler must be set")
	}
	if !legalDurable(c.Durable) {
		return fmt.Errorf("consumer: durable %q: allowed are up to 200 letters, digits, '_', '-' and '='", c.Durable)
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

func legalDurable(name string) bool {
	return len(name) <= 200 && !strings.ContainsFunc(name, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-=", r)
	})
}

// Consumer runs one Handler on one durable pull consumer.
type Consumer struct {
	cfg Config
	log zerolog.Logger
	// failing are the errors of the handler since a message was handled that had failed.
	failing repeat.Errors
	at      progress
}

// New checks the configuration. Nothing happens before Run.
func New(cfg Config) (*Consumer, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	return &Consumer{cfg: cfg, log: cfg.Log.With().Str("consumer", cfg.Durable).Logger()}, nil
}

// Create makes the durable consumer if it is missing. Run does so too; call it
// before something is published that must not be missed by a NewOnly consumer.
func (c *Consumer) Create(ctx context.Context) error {
	_, err := c.durable(ctx)
	return err
}

// Run handles messages until ctx ends and returns its error. Whatever else goes
// wrong is logged and tried again: a durable that was deleted begins where it was, a
// stream that was made again is read from its beginning. Only a connection that nats.go
// has closed for good, as after credentials that were refused twice, is an error: make
// another one (or connect with nats.IgnoreAuthErrorAbort).
func (c *Consumer) Run(ctx context.Context) error {
	wait := time.Duration(0)
	var failing repeat.Errors
	for {
		err := c.read(ctx, func() {
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

// heartbeat is how often the server says that a request for messages still
// stands. Two that are missing tell of one that was lost: sent while its consumer
// or a leader was away.
const heartbeat = 5 * time.Second

// durable finds or creates the consumer on the server.
func (c *Consumer) durable(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	want := jetstream.ConsumerConfig{
		Durable: c.cfg.Durable, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		FilterSubjects: c.cfg.Subjects, AckWait: c.cfg.AckWait,
		// What is given up is ours to say: the server would forget it silently.
		MaxDeliver: -1,
		// Messages that wait for their next try count, and must not block others.
		MaxAckPending: 10_000,
	}
	if c.cfg.NewOnly {
		want.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	have, err := c.cfg.JetStream.Consumer(ctx, c.cfg.Stream, c.cfg.Durable)
	if err == nil {
		// Where it began cannot be changed, and need not be.
		was := have.CachedInfo().Config
		want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = was.DeliverPolicy, was.OptStartSeq, was.OptStartTime
		if info := have.CachedInfo(); info.Paused {
			want.PauseUntil = was.PauseUntil // it is not for us to end that
			c.log.Warn().Time("until", info.TimeStamp.Add(info.PauseRemaining)).
				Msg("consumer is paused; nats consumer resume " + c.cfg.Stream + " " + c.cfg.Durable)
		}
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("look up consumer %s of stream %s: %w", c.cfg.Durable, c.cfg.Stream, err)
	} else if err := c.resume(ctx, &want); err != nil {
		return nil, err
	}
	have, err = c.cfg.JetStream.CreateOrUpdateConsumer(ctx, c.cfg.Stream, want)
	if err != nil {
		return nil, fmt.Errorf("create consumer %s of stream %s: %w", c.cfg.Durable, c.cfg.Stream, err)
	}
	c.at.opened(have.CachedInfo())
	return have, nil
}

// read handles messages until something goes wrong; ok is called whenever a
// message was had.
func (c *Consumer) read(ctx context.Context, ok func()) error {
	durable, err := c.durable(ctx)
	if err != nil {
		return err
	}
	msgs, err := durable.Messages(jetstream.PullMaxMessages(c.cfg.Prefetch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("pull from consumer %s: %w", c.cfg.Durable, err)
	}
	defer giveBack(msgs)
	for {
		m, err := next(ctx, msgs)
		if err != nil {
			return fmt.Errorf("wait for a message: %w", err)
		}
		ok()
		if err := c.one(ctx, m); err != nil {
			return err
		}
	}
}

// next waits for a message. It begins twice: nats.go asks for no further message
// while its last request has not returned, and only looks when Next is called; a
// message that was answered before that (jetstream/pull.go fetchInProgress) would
// be followed by silence for two heartbeats.
func next(ctx context.Context, msgs jetstream.MessagesContext) (jetstream.Msg, error) {
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	m, err := msgs.Next(jetstream.NextContext(soon))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return msgs.Next(jetstream.NextContext(ctx))
	}
	return m, err
}

// giveBack ends reading, and what was not handled yet comes to the next reader at
// once: it would have to wait for AckWait if it were on its way to nobody.
func giveBack(msgs jetstream.MessagesContext) {
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

// one handles a message and tells the server how it went.
func (c *Consumer) one(ctx context.Context, raw jetstream.Msg) error {
	m, err := NewMessage(raw)
	if err != nil {
		return err
	}
	if c.cfg.MaxTries > 0 && m.Tries > c.cfg.MaxTries+graceTries {
		// Not even an error came back: whoever had it crashed.
		return c.park(ctx, raw, m, fmt.Errorf("handled %d times without an answer", m.Tries-1))
	}
	stop := c.keepAlive(raw)
	err = c.cfg.Handler.Handle(ctx, m)
	stop()
	switch {
	case err == nil:
		// Also when ctx has ended meanwhile: what is done would be done again.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
		defer cancel()
		c.at.seen(m, true)
		if err := raw.DoubleAck(ctx); err != nil {
			return fmt.Errorf("acknowledge message %d: %w", m.Seq, err)
		}
		if m.Tries == 1 {
			return nil // says nothing of one that fails
		}
		c.failing.LogOver(c.log).Uint64("seq", m.Seq).Msg("messages are handled again")
		return nil
	case ctx.Err() != nil:
		_ = raw.Nak() // for the next one, at once
		return ctx.Err()
	case isPark(err) || c.cfg.MaxTries > 0 && m.Tries >= c.cfg.MaxTries:
		return c.park(ctx, raw, m, err)
	}
	c.at.seen(m, false)
	wait := c.cfg.BackOff[min(m.Tries, len(c.cfg.BackOff))-1]
	c.failing.Log(c.log, err).Uint64("seq", m.Seq).Str("subject", m.Subject).Int("try", m.Tries).Dur("again_in_ms", wait.Round(time.Millisecond)).Msg("message could not be handled")
	if err := raw.NakWithDelay(wait); err != nil {
		return fmt.Errorf("postpone message %d: %w", m.Seq, err)
	}
	return nil
}

// graceTries are deliveries that do not count: a client that stopped in the
// middle, an acknowledgement that was lost.
const graceTries = 3

// ackTimeout bounds how long the end of ctx has to wait for an acknowledgement.
const ackTimeout = 5 * time.Second

// keepAlive tells the server now and then that the message is being handled.
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
