// Package notify turns notifications into messages to people. A receiver sends
// one batch of notifications to one address at a time and says of an error whether trying
// again is of any use; it keeps nothing and never retries by itself. Who calls
// it (consumer/app) reads the stream SUPERVISOR_ALERTS with one durable consumer
// for each address, so that nothing is lost and none waits for another.
//
// Receivers are in the packages below; what those by HTTP share is here: Endpoint
// posts, Incidents folds a batch, and the words are those of wording.go.
package notify

import (
	"context"
	"errors"
	"time"

	"supernats/schema"
)

// Notification is one of a batch.
type Notification = schema.CloudEvent[*schema.Notification]

// LabelAddress is the label of an alert that holds an address of its host.
const LabelAddress = "address"

// Receiver delivers notifications to one address.
type Receiver interface {
	// Name identifies the receiver and its address over restarts:
	// "mail/ops@example.com".
	Name() string
	// Notify returns nil when the other side has accepted all notifications of a
	// batch, which are in the order in which they were made, at least one. It
	// returns within the receiver's time-out, and sooner if ctx ends. An error
	// wrapped by Permanent will come back at every try, at least for one of the
	// batch; any other may pass. One wrapped by Outage has nothing to do with this
	// batch, one wrapped by After says when to try again, and one wrapped by Partly
	// which of the batch were accepted all the same.
	// The same batch may come again: what is sent carries its IDs.
	Notify(ctx context.Context, batch []*Notification) error
}

// Sized is a receiver that makes a request of each incident, and so gains nothing from
// big batches: if it is stopped in the middle of one, what was accepted is sent again.
type Sized interface {
	// MaxBatch is how many notifications a batch may have.
	MaxBatch() int
}

// Identity is who sends.
type Identity struct {
	// Instance is the name of the host on which supernats runs.
	Instance string
	Version  string
	// URL is where people find the web page of this instance, "" if nowhere.
	URL string
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks an error that trying again will not mend without a change on
// one of the two sides: a refused recipient, a message too big.
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

// After marks an error of a side that asks to be left alone for d, which is above
// zero: a rate limit.
func After(d time.Duration, err error) error { return afterError{err, d} }

// RetryAfter returns how long to wait before the next try if err was marked by
// After.
func RetryAfter(err error) (time.Duration, bool) {
	var a afterError
	if !errors.As(err, &a) {
		return 0, false
	}
	return a.wait, true
}

type outageError struct{ error }

func (e outageError) Unwrap() error { return e.error }

// Outage marks an error that came before the other side had seen anything of the
// batch: no connection, no login, a program that cannot be started. It would be the
// same for any other batch, so nobody has to look for a notification that causes it.
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

// Partly marks an error of a batch of which some notifications were accepted: taken
// holds their indexes. The others were refused, or not tried.
func Partly(err error, taken []int) error {
	if len(taken) == 0 {
		return err
	}
	return partlyError{err, taken}
}

// Taken returns the indexes of the notifications that were accepted although there
// was an error.
func Taken(err error) []int {
	var p partlyError
	if !errors.As(err, &p) {
		return nil
	}
	return p.taken
}
