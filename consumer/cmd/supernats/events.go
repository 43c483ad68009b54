package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
)

type tailCmd struct {
	filters
	outputFlag
}

// Run prints events until it is interrupted, or --until is reached.
func (t *tailCmd) Run(ctx context.Context, c *common) error {
	if until := t.Until; !until.IsZero() && t.Since.IsZero() && until.Before(time.Now()) {
		return usageError{fmt.Errorf("--until %s is in the past, and tail prints what is to come: "+
			"give --since too, or a time to come (+5m)",
			until.Format(time.RFC3339))}
	}
	return t.printEvents(ctx, c, t.Output, true)
}

type replayCmd struct {
	filters
	outputFlag
}

// Run prints what the stream holds now.
func (r *replayCmd) Run(ctx context.Context, c *common) error {
	return r.printEvents(ctx, c, r.Output, false)
}

// printEvents prints the events that pass the filters: those that are stored, or, if
// follow is set, those to come (from --since on).
func (f *filters) printEvents(ctx context.Context, c *common, output string, follow bool) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	for _, name := range filter.Events {
		if strings.HasPrefix(name, schema.TypeBridgePrefix) {
			return usageError{fmt.Errorf("--event: %q is not an event of supervisor: "+
				"`supernats alerts` and `supernats hosts` show what the bridges report themselves", name)}
		}
	}

	return c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		query := history.EventQuery{Filter: filter, Period: f.period(), Limit: f.Limit, Follow: follow}
		events, err := r.History().Events(ctx, query)
		if err != nil {
			return err
		}
		if follow {
			f.hintAtGlobs(inspect.IsRegexp)
		}

		p := terminal.NewEventPrinter(os.Stdout, output)
		err = events.Each(ctx, p.Print, p.Flush)
		if !follow && p.Count() == 0 {
			f.hintAtGlobs(inspect.LooksLikeRegexp)
		}
		if endErr := p.End(); err == nil {
			err = endErr
		}
		return err
	})
}
