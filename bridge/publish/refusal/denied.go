package refusal

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrNoRight says that we may not look at the stream. To publish, that right is not needed.
var ErrNoRight = errors.New("not allowed to read what the stream already holds")

// DeniedSubject returns the subject that the server did not permit to publish on, empty
// for any other error: Permissions Violation for Publish to "subject" (nats-server
// client.go, pubPermissionViolation).
func DeniedSubject(err error) string {
	_, rest, ok := strings.Cut(err.Error(), `Publish to "`)
	if !ok {
		return ""
	}
	subject, _, _ := strings.Cut(rest, `"`)
	return subject
}

// ConcernsPublishing distinguishes a denial of what a publisher needs from one of what
// is only of use to it.
func ConcernsPublishing(err error) bool { return !strings.Contains(err.Error(), `"$JS.API.`) }

// UntilDenied returns a context that ends when the server denies something, since a denied
// request gets no answer. Its cause is the denial, with ErrNoRight if it is not one of what
// a publisher needs.
func UntilDenied(ctx context.Context, denied <-chan error) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case err := <-denied:
			if !ConcernsPublishing(err) {
				err = fmt.Errorf("%w: %w", ErrNoRight, err)
			}
			cancel(err)
		}
	}()
	return ctx, cancel
}
