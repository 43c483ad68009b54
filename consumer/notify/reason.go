package notify

import (
	"context"
	"errors"
	"slices"
)

// Reasons of a failed delivery, in a word: what dashboards group by.
const (
	// ReasonAuth: the other side does not accept who we are.
	ReasonAuth = "auth"
	// ReasonRateLimited: it asks to be left alone for a while.
	ReasonRateLimited = "rate_limited"
	// ReasonRefused: it has refused for good, and no other try changes that.
	ReasonRefused = "refused"
	// ReasonTimeout: it has not answered in time.
	ReasonTimeout = "timeout"
	// ReasonOutage: it cannot be reached, or has seen nothing of the notification.
	ReasonOutage = "outage"
	ReasonOther  = "other"
)

var reasons = []string{
	ReasonAuth, ReasonRateLimited, ReasonRefused, ReasonTimeout, ReasonOutage, ReasonOther,
}

// Reasons returns all that ReasonOf returns.
func Reasons() []string { return slices.Clone(reasons) }

// ReasonOf returns the reason of a failed delivery.
func ReasonOf(err error) string {
	var denied deniedError
	_, isLimited := RetryAfter(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	case errors.As(err, &denied):
		return ReasonAuth
	case isLimited:
		return ReasonRateLimited
	case IsPermanent(err):
		return ReasonRefused
	case IsOutage(err):
		return ReasonOutage
	}
	return ReasonOther
}

type deniedError struct{ error }

func (e deniedError) Unwrap() error { return e.error }

// Denied marks an error of a side that does not accept our password, key or token.
func Denied(err error) error { return deniedError{err} }
