package eventcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
)

// Tail is the command tail.
type Tail struct {
	frame.EventFlags
	frame.OutputFlag
}

// Examples are shown below the help.
func (*Tail) Examples() []string {
	return []string{
		"supernats tail --event PROCESS_STATE",
		"supernats tail --host web1 --since 10m",
		"supernats tail --event TICK_5 --until +1m",
	}
}

// Run prints events until it is interrupted, or --until is reached.
func (t *Tail) Run(ctx context.Context, c *frame.Flags) error {
	if until := t.Until; !until.IsZero() && t.Since.IsZero() && until.Before(time.Now()) {
		return frame.UsageError{Err: fmt.Errorf("--until %s is in the past, and tail prints what is to come: "+
			"give --since too, or a time to come (+5m)",
			until.Format(time.RFC3339))}
	}
	filter, err := filterOf(&t.EventFlags)
	if err != nil {
		return err
	}

	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		query := history.EventQuery{Filter: filter, Period: t.Period(), Limit: t.Limit, Follow: true}
		events, err := r.History().Events(ctx, query)
		if err != nil {
			return err
		}
		t.HintAtGlobs(inspect.IsRegexp)

		p := newPrinter(t.Output)
		err = events.Each(ctx, p.handle, p.Flush)
		return errors.Join(err, p.End())
	})
}
