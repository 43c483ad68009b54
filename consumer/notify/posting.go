package notify

import (
	"context"
	"errors"
	"fmt"

	"supernats/schema"
)

// Posting is how a receiver that posts JSON to one place differs from others.
type Posting struct {
	// Name is the receiver's, Kind the section of the configuration that makes it:
	// slack.
	Name, Kind string
	HTTP       HTTPConfig
	Identity   Identity
	// Address returns a request without a body. It is called once for every batch,
	// to read files with secrets anew.
	Address func() (Post, error)
	// Bodies writes a batch: one request for each.
	Bodies func(batch []*schema.CloudEvent[*schema.Alert]) ([]any, error)
}

// Receiver returns the receiver. Errors are those of Address now, and of files of
// HTTP that cannot be read now.
//
// The requests of a batch are sent one after the other, up to the first that is
// not accepted; the time-out is that of each of them.
func (p Posting) Receiver() (Receiver, error) {
	if _, err := p.Address(); err != nil {
		return nil, err
	}
	if _, err := p.HTTP.TLS.load(); err != nil {
		return nil, err
	}
	return posting{p}, nil
}

type posting struct{ Posting }

func (p posting) Name() string { return p.Posting.Name }

// Who is how the errors of a receiver begin.
func Who(kind, name string) string { return kind + " receiver " + fmt.Sprintf("%q", name) }

func (p posting) Notify(ctx context.Context, batch []*schema.CloudEvent[*schema.Alert]) error {
	who := Who(p.Kind, p.Posting.Name)
	if err := Check(batch); err != nil {
		return Permanent(fmt.Errorf("%s: %w", who, err))
	}
	post, err := p.Address()
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	bodies, err := p.Bodies(batch)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	poster, err := NewPoster(who, p.HTTP, p.Identity)
	if err != nil {
		return err
	}
	defer poster.Close()
	for _, body := range bodies {
		post.Body = body
		if err := poster.Do(ctx, post); err != nil {
			return err
		}
	}
	return nil
}

// Check reports a batch that nobody can send.
func Check(batch []*schema.CloudEvent[*schema.Alert]) error {
	if len(batch) == 0 {
		return errors.New("batch without notifications")
	}
	for _, n := range batch {
		if n == nil || n.Data == nil {
			return errors.New("notification without data")
		}
	}
	return nil
}
