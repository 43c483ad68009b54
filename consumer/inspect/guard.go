package inspect

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"supernats/consumer/wording"
)

// Guard ends what waits for an answer that the server denies: nats.go alone would only see
// that no answer comes. Its HandleError is the error handler of the connection.
type Guard struct {
	mu sync.Mutex
	// cancel ends the innermost Run, nil if none is under way. mu guards it.
	cancel context.CancelCauseFunc
}

// DeniedError is a right that the NATS user does not have.
type DeniedError struct {
	// Verb is publish or subscribe.
	Verb    string
	Subject string
}

// Error says which right is missing and where to add it.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("this NATS user may not %s %s: add %q to its %s permissions "+
		"(examples/02-secure has the rights of each user)",
		e.Verb, replaceInvisible(e.Subject), e.Right(), e.Verb)
}

// Right returns the right that a user who may do this usually has.
func (e *DeniedError) Right() string {
	tokens := strings.Split(replaceInvisible(e.Subject), ".")
	for prefix, keep := range map[string]int{
		"$KV.": 2, "$JS.API.CONSUMER.CREATE.": 5, "$JS.API.DIRECT.GET.": 5, "supervisor.alert.": 2,
		"supervisor.ack.": 2, "_INBOX": 1,
	} {
		if strings.HasPrefix(e.Subject, prefix) && len(tokens) > keep {
			return strings.Join(tokens[:keep], ".") + ".>"
		}
	}
	return strings.Join(tokens, ".")
}

// replaceInvisible replaces what may not stand in a message.
func replaceInvisible(s string) string {
	return strings.Map(func(r rune) rune {
		if !wording.Visible(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

var violation = regexp.MustCompile(`(?i)Permissions Violation for (Publish|Subscription) to "([^"]*)"`)

// HandleError is the connection's handler of errors that belong to no call.
func (g *Guard) HandleError(_ *nats.Conn, _ *nats.Subscription, err error) {
	m := violation.FindStringSubmatch(err.Error())
	// A consumer that may not be deleted expires by itself.
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
		g.cancel(&DeniedError{verb, m[2]})
	}
}

// Run calls do. If the server denies something meanwhile, the context of do is canceled
// and Run returns a DeniedError. One Run may stand inside of another.
func (g *Guard) Run(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	g.mu.Lock()
	outer := g.cancel
	g.cancel = cancel
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cancel = outer
	}()

	err := do(ctx)
	denied := new(DeniedError)
	if errors.As(context.Cause(ctx), &denied) {
		return denied
	}
	return err
}
