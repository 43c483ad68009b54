package refusal

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrNoRight says that we may not read the stream. Publishing needs no such right.
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

// ConcernsPublishing reports whether a denial is of something that publishing needs, and not
// only of something useful.
func ConcernsPublishing(err error) bool { return !strings.Contains(err.Error(), `"$JS.API.`) }

// UntilDenied returns a context that ends when the server denies something: a denied request
// gets no answer. Its cause is the denial, with ErrNoRight unless it concerns publishing.
// The caller cancels the context when it is done.
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
