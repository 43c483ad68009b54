package eventcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/wording"
	"supernats/schema/stream"
)

// parsePrefix returns what subjects are to begin with, its last dot included.
func parsePrefix(s string) (string, error) {
	if s == "" {
		return "", errors.New("the prefix is empty: want tokens of a subject, such as replay or test.replay")
	}
	prefix := strings.TrimSuffix(s, ".") + "."
	wrong := strings.ContainsFunc(prefix, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	if wrong || !server.IsValidLiteralSubject(prefix+"x") {
		return "", fmt.Errorf("invalid prefix %q: want tokens of a subject without wildcards, such as replay or "+
			"test.replay", s)
	}
	if strings.HasPrefix(prefix, "$") || strings.HasPrefix(prefix, "_INBOX.") {
		return "", fmt.Errorf("invalid prefix %q: subjects that begin with $ or _INBOX are those of NATS itself", s)
	}
	return prefix, nil
}

// publisher publishes events again, below a prefix.
type publisher struct {
	nc     *nats.Conn
	prefix string
	count  int
}

// newPublisher returns a publisher below what subjects are to begin with, which has no
// connection yet.
func newPublisher(prefix string) (*publisher, error) {
	parsed, err := parsePrefix(prefix)
	if err != nil {
		return nil, err
	}
	return &publisher{prefix: parsed}, nil
}

// connect sets the connection. Its error says that one of our streams would store what is
// published, as if it had happened again.
func (p *publisher) connect(ctx context.Context, js jetstream.JetStream) error {
	all := p.prefix + stream.AllEvents
	for _, name := range []string{stream.Events, stream.Alerts, stream.Parked} {
		s, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", name, err)
		}
		for _, subject := range s.CachedInfo().Config.Subjects {
			if server.SubjectsCollide(all, subject) {
				return frame.UsageError{Err: fmt.Errorf("--publish: stream %s stores %s, and would take past "+
					"events for new ones: want another prefix, such as replay", name, subject)}
			}
		}
	}
	p.nc = js.Conn()
	return nil
}

// handle publishes an event. Headers by which NATS itself is told what to do, such as the
// id by which a stream drops duplicates, were for the stream that has it.
func (p *publisher) handle(ev *history.Event) error {
	m := &nats.Msg{Subject: p.prefix + ev.Message.Subject(), Data: ev.Message.Data(), Header: nats.Header{}}
	for name, values := range ev.Message.Headers() {
		if !strings.HasPrefix(name, "Nats-") {
			m.Header[name] = values
		}
	}
	if err := p.nc.PublishMsg(m); err != nil {
		return fmt.Errorf("publish on %s: %w", m.Subject, err)
	}
	p.count++
	return nil
}

// Flush sends what is buffered.
func (p *publisher) Flush() error { return p.nc.Flush() }

const (
	// takenWithin is how long the server may take to take everything, interruptedWithin how
	// long somebody who has interrupted it waits for that.
	takenWithin       = 10 * time.Second
	interruptedWithin = 2 * time.Second
)

// finish waits until the server has taken everything.
func (p *publisher) finish(ctx context.Context) error {
	patience := takenWithin
	if ctx.Err() != nil {
		patience = interruptedWithin
	}
	if err := p.nc.FlushTimeout(patience); err != nil {
		return fmt.Errorf("publish below %s: %w", p.prefix, err)
	}
	return p.nc.LastError()
}

// report prints how many events are published. err is what ended that, if anything did: a
// server denies a subject only after it was sent, so nobody knows exactly then.
func (p *publisher) report(err error) error {
	published := wording.Count(p.count, "event is", "events are") + " published below " + p.prefix
	var denied *inspect.DeniedError
	switch {
	case err == nil:
		_, err = fmt.Println(published)
		return err
	case errors.As(err, &denied) && strings.HasPrefix(denied.Subject, p.prefix):
		err = fmt.Errorf("--publish: this NATS user may not publish %s: add %q to its publish permissions",
			denied.Subject, p.prefix+">")
	}
	if p.count > 0 {
		return fmt.Errorf("%w; at most %s", err, published)
	}
	return err
}
