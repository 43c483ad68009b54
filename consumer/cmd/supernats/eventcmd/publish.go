package eventcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/history"
	"supernats/schema/stream"
)

// parsePrefix returns what subjects are to begin with, its last dot included.
func parsePrefix(s string) (string, error) {
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

// newPublisher returns a publisher. Its error says that one of our streams would store what
// it publishes, as if it had happened again.
func newPublisher(ctx context.Context, js jetstream.JetStream, prefix string) (*publisher, error) {
	all := prefix + stream.AllEvents
	for _, name := range []string{stream.Events, stream.Alerts, stream.Parked} {
		s, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up stream %s: %w", name, err)
		}
		for _, subject := range s.CachedInfo().Config.Subjects {
			if server.SubjectsCollide(all, subject) {
				return nil, frame.UsageError{Err: fmt.Errorf("--publish: stream %s stores %s, and would take past "+
					"events for new ones: want another prefix, such as replay", name, subject)}
			}
		}
	}
	return &publisher{nc: js.Conn(), prefix: prefix}, nil
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

// End waits until the server has taken everything.
func (p *publisher) End() error {
	if err := p.nc.Flush(); err != nil {
		return fmt.Errorf("publish below %s: %w", p.prefix, err)
	}
	return p.nc.LastError()
}
