package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/config"
)

// with reaches the NATS server of the installation and does something there. What
// the server denies ends it at once, with the right that is missing: nats.go
// would only see that no answer comes.
func (c *common) with(ctx context.Context, do func(ctx context.Context, js jetstream.JetStream) error) error {
	var g guard
	js, closeConn, err := c.connect(&g)
	if err != nil {
		return err
	}
	defer closeConn()
	return g.run(ctx, func(ctx context.Context) error { return do(ctx, js) })
}

// connect reaches the NATS server of the installation, or fails.
func (c *common) connect(g *guard) (jetstream.JetStream, func(), error) {
	cfg, err := c.connection()
	if err != nil {
		return nil, nil, err
	}
	return dial(cfg, g)
}

// dial reaches the NATS server of a configuration, or fails.
func dial(cfg config.Config, g *guard) (jetstream.JetStream, func(), error) {
	settings := cfg.Client()
	nc, err := settings.Connect("supernats", nats.RetryOnFailedConnect(false), nats.IgnoreAuthErrorAbort(), nats.ErrorHandler(g.heard))
	if err != nil {
		return nil, nil, fmt.Errorf("%w (is `supernats consume` or a nats-server running? --nats-url says where)", err)
	}
	js, err := settings.JetStream(nc, jetstream.WithDefaultTimeout(10*time.Second))
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, nc.Close, nil
}

// guard ends what waits for an answer that the server denies.
type guard struct {
	mu     sync.Mutex
	cancel context.CancelCauseFunc
}

// deniedError is a right that the user of a command does not have.
type deniedError struct{ verb, subject string }

var violation = regexp.MustCompile(`(?i)Permissions Violation for (Publish|Subscription) to "([^"]*)"`)

func (e *deniedError) Error() string {
	return fmt.Sprintf("this NATS user may not %s %s: add %q to its %s permissions (examples/02-secure has the rights of each user)",
		e.verb, clean(e.subject), rightTo(e.subject), e.verb)
}

// rightTo is the right that somebody who may do this usually has.
func rightTo(subject string) string {
	tokens := strings.Split(clean(subject), ".")
	for prefix, keep := range map[string]int{
		"$KV.": 2, "$JS.API.CONSUMER.CREATE.": 5, "$JS.API.DIRECT.GET.": 5, "supervisor.alert.": 2, "_INBOX": 1,
	} {
		if strings.HasPrefix(subject, prefix) && len(tokens) > keep {
			return strings.Join(tokens[:keep], ".") + ".>"
		}
	}
	return strings.Join(tokens, ".")
}

// heard is the connection's handler of errors that belong to no call.
func (g *guard) heard(_ *nats.Conn, _ *nats.Subscription, err error) {
	m := violation.FindStringSubmatch(err.Error())
	// A consumer that may not be deleted goes away by itself.
	if !errors.Is(err, nats.ErrPermissionViolation) || m == nil || strings.HasPrefix(m[2], "$JS.API.CONSUMER.DELETE.") {
		return
	}
	verb := "publish"
	if strings.EqualFold(m[1], "Subscription") {
		verb = "subscribe"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cancel != nil {
		g.cancel(&deniedError{verb, m[2]})
	}
}

// run does something and returns what was denied meanwhile, which has ended it.
func (g *guard) run(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g.mu.Lock()
	around := g.cancel // one may run inside of another
	g.cancel = cancel
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cancel = around
	}()
	err := do(ctx)
	denied := new(deniedError)
	if errors.As(context.Cause(ctx), &denied) {
		return denied
	}
	return err
}
