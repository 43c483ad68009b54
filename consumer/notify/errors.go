package notify

import (
	"errors"
	"time"
)

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks an error that no other try fixes without a change on one of the two
// sides: a refused recipient, a message too big.
func Permanent(err error) error { return permanentError{err} }

// IsPermanent reports whether err was marked by Permanent.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

type afterError struct {
	error
	wait time.Duration
}

func (e afterError) Unwrap() error { return e.error }

// After marks an error of a side that asks to be left alone for d, which is above zero: a
// rate limit.
func After(d time.Duration, err error) error { return afterError{err, d} }

// RetryAfter is how long to wait before the next try if err was marked by After.
func RetryAfter(err error) (time.Duration, bool) {
	var a afterError
	if !errors.As(err, &a) {
		return 0, false
	}
	return a.wait, true
}

type outageError struct{ error }

func (e outageError) Unwrap() error { return e.error }

// Outage marks an error that came before the other side had seen anything of the batch: no
// connection, no login, a program that cannot be started. It would be the same for any
// other batch, so nobody has to look for a notification that causes it.
func Outage(err error) error { return outageError{err} }

// IsOutage reports whether err was marked by Outage.
func IsOutage(err error) bool {
	var o outageError
	return errors.As(err, &o)
}

type partlyError struct {
	error
	taken []int
}

func (e partlyError) Unwrap() error { return e.error }

// Partly marks an error of a batch of which some notifications were accepted: taken holds
// their indexes. The others were refused, or not tried.
func Partly(err error, taken []int) error {
	if len(taken) == 0 {
		return err
	}
	return partlyError{err, taken}
}

// Taken are the indexes of the notifications that were accepted although there was an
// error.
func Taken(err error) []int {
	var p partlyError
	if !errors.As(err, &p) {
		return nil
	}
	return p.taken
}
