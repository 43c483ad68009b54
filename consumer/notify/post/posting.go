package post

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"supernats/consumer/notify"
)

// Posting is how a receiver that posts JSON to one place differs from others.
type Posting struct {
	// Name is the receiver's, Kind the section of the configuration that makes it:
	// slack.
	Name, Kind string
	// Settings are that section. They are checked before anything is read.
	Settings interface{ Validate() error }
	HTTP     HTTPConfig
	Identity notify.Identity
	// Address returns a request without a body. It is called once for every batch, since
	// it reads files with secrets.
	Address func() (Request, error)
	// Body writes a batch as one request.
	Body func(batch []*notify.Notification) any
	// Parts takes the place of Body where a batch is many requests: what is accepted of
	// them is not sent again.
	Parts func(batch []*notify.Notification) ([]Part, error)
}

// Part is a share of a batch that is accepted or not by itself: one incident.
type Part struct {
	// Of are the indexes of its notifications in the batch.
	Of []int
	// Bodies are its requests; one that is not accepted is the last.
	Bodies []any
}

// maxFailures is how many parts of a batch may fail one after the other before the rest
// waits for the next try: if the other side takes nothing, hundreds of requests, each with
// its time limit, say no more about that than a few.
const maxFailures = 3

// Receiver returns the receiver. Errors are those of Settings, of Address now, and of files
// of HTTP that cannot be read now.
//
// The requests of a batch are sent one after the other; the time limit is that of each of
// them. Of Parts, one that is not accepted holds up no other: the error is that of the
// first, marked by Partly. The batch ends with an error of Outage or After, since the
// others would not fare better, and after maxFailures one after the other.
func (p Posting) Receiver() (notify.Receiver, error) {
	if err := p.Settings.Validate(); err != nil {
		return nil, err
	}
	if _, err := p.Address(); err != nil {
		return nil, err
	}
	if _, err := p.HTTP.TLS.load(); err != nil {
		return nil, err
	}
	if p.Parts != nil {
		return partwise{posting{p}}, nil
	}
	return posting{p}, nil
}

// maxParts is how many requests are made before the caller remembers what was accepted.
const maxParts = 20

// partwise is a posting of many requests.
type partwise struct{ posting posting }

// Name implements Receiver.
func (p partwise) Name() string { return p.posting.Name() }

// Notify implements Receiver.
func (p partwise) Notify(ctx context.Context, batch []*notify.Notification) error {
	return p.posting.Notify(ctx, batch)
}

// MaxBatch implements Sized.
func (partwise) MaxBatch() int { return maxParts }

// posting is a receiver that posts in its own way.
type posting struct{ way Posting }

// Name implements Receiver.
func (p posting) Name() string { return p.way.Name }

// Notify implements Receiver.
func (p posting) Notify(ctx context.Context, batch []*notify.Notification) error {
	who := notify.ReceiverName(p.way.Kind, p.way.Name)
	if err := notify.Check(batch); err != nil {
		return notify.Permanent(fmt.Errorf("%s: %w", who, err))
	}

	request, err := p.way.Address()
	if err != nil {
		return notify.Outage(fmt.Errorf("%s: %w", who, err))
	}
	parts, err := p.way.parts(batch)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	poster, err := NewPoster(who, p.way.HTTP, p.way.Identity)
	if err != nil {
		return notify.Outage(err)
	}
	defer poster.Close()

	return postAll(parts, func(body any) error {
		request.Body = body
		return poster.Do(ctx, request)
	})
}

// parts are the requests of a batch.
func (p Posting) parts(batch []*notify.Notification) ([]Part, error) {
	if p.Parts != nil {
		return p.Parts(batch)
	}
	return []Part{{Bodies: []any{p.Body(batch)}}}, nil
}

// postAll sends the requests of all parts. Its error is Permanent if all errors are: each
// of the rest would be refused for good.
func postAll(parts []Part, do func(body any) error) error {
	var (
		first    error
		taken    []int
		final    = true
		failures int
	)
	for _, part := range parts {
		err := postPart(part, do)
		if err == nil {
			taken = append(taken, part.Of...)
			failures = 0
			continue
		}

		failures++
		first = cmp.Or(first, err)
		final = final && notify.IsPermanent(err)
		_, hasToWait := notify.RetryAfter(err)
		if hasToWait || notify.IsOutage(err) {
			// It says more than the one before it.
			return notify.Partly(err, taken)
		}
		if failures == maxFailures || errors.Is(err, context.Canceled) {
			break
		}
	}

	switch {
	case first == nil:
		return nil
	case notify.IsPermanent(first) && !final:
		first = temporary{first.Error()}
	}
	return notify.Partly(first, taken)
}

// temporary is an error that was marked as Permanent, and stands for others that are not.
type temporary struct{ text string }

func (e temporary) Error() string { return e.text }

func postPart(part Part, do func(body any) error) error {
	for _, body := range part.Bodies {
		if err := do(body); err != nil {
			return err
		}
	}
	return nil
}
