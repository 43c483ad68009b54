// Package aside publishes messages past the source: reports that must get out although the
// source waits, is refused, or cannot be read. There is no order between them and the
// source's records.
//
// Under pressure: up to Max messages wait, one of each key. Beyond that the oldest are
// dropped, counted and logged. Put never blocks. A message is sent until the stream has
// stored it; one that is refused goes to the end of the line.
package aside

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/bridge/publish/refusal"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// Max bounds how many messages wait.
	Max = 64
	// flushLimit is how long Flush waits.
	flushLimit = time.Second

	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// errTaken says that somebody else has used the message id.
var errTaken = errors.New("the message id was used by somebody else")

// Config is what a Lane needs.
type Config struct {
	// Stream is whose acknowledgements count.
	Stream string
	// AckTimeout bounds the wait for one acknowledgement.
	AckTimeout time.Duration
	// OtherID returns the id to use if somebody else has used id. It may be called from any
	// goroutine.
	OtherID func(id string) string
	Log     zerolog.Logger
}

// Lane holds what is published past the source, and publishes it.
type Lane struct {
	cfg  Config
	more chan struct{} // holds one value
	// noTTL says that the stream refuses a time to live. It belongs to the goroutine of
	// Run.
	noTTL bool

	mu      sync.Mutex // guards what follows
	waiting []entry    // oldest first
	// sending says that another message, no longer in waiting, is being sent on subject;
	// cancel ends the wait for its answer.
	sending bool
	subject string
	cancel  context.CancelCauseFunc
	dropped uint64
	idle    chan struct{} // of Flush: closed when nothing waits or is sent; nil without a Flush
}

// entry is one message.
type entry struct {
	key     string
	msg     *nats.Msg
	sent    bool   // it may have reached the stream already
	otherID string // the id to send it under, if not that of msg
}

// New returns a lane with nothing in it.
func New(cfg Config) *Lane { return &Lane{cfg: cfg, more: make(chan struct{}, 1)} }

// Put adds a message, in place of one of the same key that is not sent yet. It never
// blocks and may be called from any goroutine, also before Run. The message must not be
// changed afterwards.
func (l *Lane) Put(key string, m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if i := slices.IndexFunc(l.waiting, func(e entry) bool { return e.key == key }); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	if len(l.waiting) == Max {
		l.drop(l.waiting[0].msg, errors.New("too many messages wait"))
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
	l.waiting = append(l.waiting, entry{key: key, msg: m})

	select {
	case l.more <- struct{}{}:
	default:
	}
}

// drop notes a message that will not be published. l.mu is held.
func (l *Lane) drop(m *nats.Msg, why error) {
	l.dropped++
	if n := l.dropped; n&(n-1) == 0 {
		l.cfg.Log.Error().Err(why).Str("subject", m.Subject).Uint64("dropped", n).
			Msg("a record of the bridge is dropped")
	}
}

// Run publishes over a connection until ctx ends.
func (l *Lane) Run(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) {
	status := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(status)

	backoff := time.Duration(0)
	for {
		if nc.IsConnected() {
			sent, err := l.sendNext(ctx, js)
			switch {
			case !sent:
				backoff = 0
			case err == nil:
				backoff = 0
				continue
			default:
				backoff = min(maxBackoff, max(minBackoff, 2*backoff))
			}
		}

		// Without a connection or a message, status or more ends the wait. A message that
		// was refused is tried again after a while.
		var retry <-chan time.Time
		if backoff > 0 {
			retry = time.After(backoff)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.more:
		case <-status:
		case <-retry:
		}
	}
}

// sendNext sends the oldest message; false if there is none.
func (l *Lane) sendNext(ctx context.Context, js jetstream.JetStream) (bool, error) {
	e, ok := l.take()
	if !ok {
		return false, nil
	}

	var err error
	e.sent, err = l.send(ctx, js, e)
	if errors.Is(err, errTaken) {
		e.otherID = l.cfg.OtherID(e.msg.Header.Get(nats.MsgIdHdr))
		e.sent = true
	}
	l.settle(e, err)
	return true, err
}

// take returns the message to send next.
func (l *Lane) take() (entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return entry{}, false
	}

	e := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	l.sending = true
	return e, true
}

// send sends a message once. sent says that it may have reached the stream.
func (l *Lane) send(ctx context.Context, js jetstream.JetStream, e entry) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.AckTimeout)
	defer cancel()
	ctx = l.untilDenied(ctx, e.msg.Subject)

	ack, err := js.PublishMsg(ctx, l.stamped(e), jetstream.WithRetryAttempts(0))
	switch {
	case refusal.IsTTLDisabled(err):
		l.noTTL = true // the next attempt is without
		return false, err
	case errors.Is(context.Cause(ctx), nats.ErrPermissionViolation):
		return e.sent, context.Cause(ctx)
	case err != nil:
		return e.sent || refusal.Code(err) == 0, err
	case ack.Stream != l.cfg.Stream:
		return e.sent, &refusal.Foreign{Subject: e.msg.Subject, Got: ack.Stream, Want: l.cfg.Stream}
	case ack.Duplicate && !e.sent:
		return false, errTaken
	}
	return true, nil
}

// stamped returns a copy of a message with the headers that it is sent with.
func (l *Lane) stamped(e entry) *nats.Msg {
	m := &nats.Msg{Subject: e.msg.Subject, Data: e.msg.Data, Header: nats.Header{}}
	for k, v := range e.msg.Header {
		m.Header[k] = v
	}
	m.Header[stream.HeaderSent] = []string{schema.Stamp(time.Now())}

	if e.otherID != "" {
		m.Header[nats.MsgIdHdr] = []string{e.otherID}
	}
	if l.noTTL {
		m.Header.Del(jetstream.MsgTTLHeader)
	}
	return m
}

// settle notes what became of a message. One that could not be published goes to the end of
// the line, so that it does not hold up the others.
func (l *Lane) settle(e entry, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending = false
	l.subject = ""
	if l.cancel != nil {
		l.cancel(nil)
	}

	switch {
	case err == nil:
	case errors.Is(err, nats.ErrMaxPayload), refusal.IsTooBig(err):
		l.drop(e.msg, err)
	case slices.ContainsFunc(l.waiting, func(w entry) bool { return w.key == e.key }): // replaced
	case len(l.waiting) == Max:
		l.drop(e.msg, err)
	default:
		l.waiting = append(l.waiting, e)
	}

	if l.idle != nil && len(l.waiting) == 0 {
		close(l.idle)
		l.idle = nil
	}
}

// untilDenied returns the context of one message, which ends when its subject is denied.
func (l *Lane) untilDenied(ctx context.Context, subject string) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subject = subject
	l.cancel = cancel
	return ctx
}

// Denied reports whether a denial concerns the message that is being sent, and ends the wait
// for its answer.
func (l *Lane) Denied(err error) bool {
	subject := refusal.DeniedSubject(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sending || subject == "" || subject != l.subject {
		return false
	}
	l.cancel(err)
	return true
}

// Flush returns when nothing waits to be published, at the latest after flushLimit.
func (l *Lane) Flush(ctx context.Context) {
	l.mu.Lock()
	if len(l.waiting) == 0 && !l.sending {
		l.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	l.idle = idle
	l.mu.Unlock()

	t := time.NewTimer(flushLimit)
	defer t.Stop()
	select {
	case <-idle:
	case <-ctx.Done():
	case <-t.C:
	}
}
