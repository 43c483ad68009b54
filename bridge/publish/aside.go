package publish

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/refusal"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// asideMax bounds how many messages wait to be published past the source.
	asideMax = 64
	// asideLast is how long they are waited for when the source has ended.
	asideLast = time.Second
)

// aside is what is published past the source: what is to be said although the
// source waits, is refused, or cannot be read. There is no order between it and
// the source's records.
type aside struct {
	more chan struct{} // holds one value

	mu      sync.Mutex
	waiting []asideMsg // oldest first
	sending bool       // one more is on its way, on subject; cancel ends the wait for its answer
	subject string
	cancel  context.CancelCauseFunc
	dropped uint64
	idle    chan struct{} // closed when nothing waits or is sent; nil if nobody waits for that
}

// asideMsg is one message; sent says that it may have reached the stream before.
type asideMsg struct {
	key  string
	msg  *nats.Msg
	sent bool
	as   string // its message id, where that is another one, see taken
}

// Aside publishes a message past the source, over the same connection, as soon as
// there is one, and tries again until the stream has it: also while the source
// waits or its records are refused. It never blocks and may be called from any
// goroutine, before Run too. The message is not to be changed any more.
//
// A message of the same key that is not sent yet is replaced. At most asideMax
// messages wait: of more, the oldest are dropped, counted and logged.
func (p *Publisher) Aside(key string, m *nats.Msg) {
	a := &p.aside
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.IndexFunc(a.waiting, func(w asideMsg) bool { return w.key == key }); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	}
	if len(a.waiting) == asideMax {
		p.dropAside(a.waiting[0].msg, errors.New("too many wait"))
		a.waiting = slices.Delete(a.waiting, 0, 1)
	}
	a.waiting = append(a.waiting, asideMsg{key: key, msg: m})
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// dropAside notes a message that will not be published. p.aside.mu is held.
func (p *Publisher) dropAside(m *nats.Msg, why error) {
	n := p.aside.dropped + 1
	p.aside.dropped = n
	if n&(n-1) == 0 {
		p.cfg.Log.Error().Err(why).Str("subject", m.Subject).Uint64("dropped", n).Msg("a record of the bridge is dropped")
	}
}

// publishAside publishes what Aside was given until ctx ends.
func (p *Publisher) publishAside(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) {
	status := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(status)
	backoff := time.Duration(0)
	for {
		if nc.IsConnected() {
			next, ok := p.aside.take()
			if ok {
				var err error
				next.sent, err = p.sendAside(ctx, js, next)
				if errors.Is(err, errTaken) {
					next.as, next.sent = p.taken.again(next.msg.Header.Get(nats.MsgIdHdr)), true
				}
				p.settleAside(next, err)
				if err == nil {
					backoff = 0
					continue
				}
				backoff = min(maxBackoff, max(minBackoff, 2*backoff))
			} else {
				backoff = 0
			}
		}

		// Without a connection, or a message, there is something to wait for; a message
		// that was refused is tried again after a while.
		var again <-chan time.Time
		if backoff > 0 {
			again = time.After(backoff)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.aside.more:
		case <-status:
		case <-again:
		}
	}
}

// sendAside sends a message once. sent says that the stream may have it.
func (p *Publisher) sendAside(ctx context.Context, js jetstream.JetStream, next asideMsg) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	ctx = p.aside.awaits(ctx, next.msg.Subject)
	m := &nats.Msg{Subject: next.msg.Subject, Data: next.msg.Data, Header: nats.Header{}}
	for k, v := range next.msg.Header {
		m.Header[k] = v
	}
	m.Header[stream.HeaderSent] = []string{schema.Stamp(time.Now())}
	if next.as != "" {
		m.Header[nats.MsgIdHdr] = []string{next.as}
	}
	if p.asideNoTTL {
		m.Header.Del(jetstream.MsgTTLHeader)
	}

	ack, err := js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	switch {
	case refusal.IsTTLDisabled(err):
		p.asideNoTTL = true // it is tried again without
		return false, err
	case errors.Is(context.Cause(ctx), nats.ErrPermissionViolation):
		return next.sent, context.Cause(ctx)
	case err != nil:
		return next.sent || refusal.Code(err) == 0, err
	case ack.Stream != p.cfg.Stream:
		return next.sent, &refusal.Foreign{Subject: m.Subject, Got: ack.Stream, Want: p.cfg.Stream}
	case ack.Duplicate && !next.sent:
		return false, errTaken
	}
	return true, nil
}

// settleAside puts a message that could not be published at the end of those that
// wait, so that none holds up the others.
func (p *Publisher) settleAside(m asideMsg, err error) {
	a := &p.aside
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sending, a.subject = false, ""
	if a.cancel != nil {
		a.cancel(nil)
	}
	switch {
	case err == nil:
	case errors.Is(err, nats.ErrMaxPayload), refusal.IsTooBig(err):
		p.dropAside(m.msg, err)
	case slices.ContainsFunc(a.waiting, func(w asideMsg) bool { return w.key == m.key }): // replaced
	case len(a.waiting) == asideMax:
		p.dropAside(m.msg, err)
	default:
		a.waiting = append(a.waiting, m)
	}
	if a.idle != nil && len(a.waiting) == 0 {
		close(a.idle)
		a.idle = nil
	}
}

// awaits makes the context of one message, which a denial of its subject ends.
func (a *aside) awaits(ctx context.Context, subject string) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subject, a.cancel = subject, cancel
	return ctx
}

// denied reports whether a denial is of what is sent here, and ends the wait for it.
func (a *aside) denied(err error) bool {
	subject := refusal.DeniedSubject(err)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sending || subject == "" || subject != a.subject {
		return false
	}
	a.cancel(err)
	return true
}

// take returns the message to send next.
func (a *aside) take() (asideMsg, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return asideMsg{}, false
	}
	m := a.waiting[0]
	a.waiting = slices.Delete(a.waiting, 0, 1)
	a.sending = true
	return m, true
}

// flush waits until nothing waits to be published, for asideLast at most.
func (a *aside) flush(ctx context.Context) {
	a.mu.Lock()
	if len(a.waiting) == 0 && !a.sending {
		a.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	a.idle = idle
	a.mu.Unlock()
	t := time.NewTimer(asideLast)
	defer t.Stop()
	select {
	case <-idle:
	case <-ctx.Done():
	case <-t.C:
	}
}
