package alertcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/inspect"
	"supernats/consumer/silences"
	"supernats/consumer/terminal"
	"supernats/schema/stream"
)

// Unmute is the command unmute.
type Unmute struct {
	IDs []string `arg:"" name:"id" help:"Ids of silences, as 'supernats mutes' shows them."`
}

// Examples are shown below the help.
func (*Unmute) Examples() []string {
	return []string{"supernats unmute 0df8k2m3qa", "supernats unmute 0df8k2m3qa 0df8k2m3qb"}
}

// Run ends silences.
func (u *Unmute) Run(ctx context.Context, c *frame.Flags) error {
	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		kv, err := r.OpenBucket(ctx, stream.MutesBucket)
		if err != nil {
			return err
		}

		var errs []error
		for _, id := range u.IDs {
			if err := unmute(ctx, kv, id); err != nil {
				errs = append(errs, err)
				continue
			}
			if _, err := fmt.Println(terminal.Clean(id), "has ended"); err != nil {
				return err
			}
		}
		return errors.Join(errs...)
	})
}

func unmute(ctx context.Context, kv jetstream.KeyValue, id string) error {
	err := silences.End(ctx, kv, id)
	if errors.Is(err, silences.ErrNone) {
		return fmt.Errorf("no silence %s is in force: `supernats mutes` lists those that are", terminal.Clean(id))
	}
	return err
}
