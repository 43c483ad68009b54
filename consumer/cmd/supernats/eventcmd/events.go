// Package eventcmd has the commands that print events: tail and replay.
package eventcmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/history"

	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
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
	return printEvents(ctx, c, &t.EventFlags, t.Output, true)
}

// Replay is the command replay.
type Replay struct {
	frame.EventFlags
	frame.OutputFlag
}

// Examples are shown below the help.
func (*Replay) Examples() []string {
	return []string{
		"supernats replay --since 2h --event PROCESS_STATE_EXITED",
		"supernats replay --group api --since 7d -o jsonl",
	}
}

// Run prints what the stream holds now.
func (r *Replay) Run(ctx context.Context, c *frame.Flags) error {
	return printEvents(ctx, c, &r.EventFlags, r.Output, false)
}

// printEvents prints the events that pass the filters: those that are stored, or, if
// follow is set, those to come (from --since on).
func printEvents(ctx context.Context, c *frame.Flags, f *frame.EventFlags, output string, follow bool) error {
	filter, err := f.Filter()
	if err != nil {
		return err
	}
	for _, name := range filter.Events {
		if strings.HasPrefix(name, schema.TypeBridgePrefix) {
			return frame.UsageError{Err: fmt.Errorf("--event: %q is not an event of supervisor: "+
				"`supernats alerts` and `supernats hosts` show what the bridges report themselves", name)}
		}
	}

	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		query := history.EventQuery{Filter: filter, Period: f.Period(), Limit: f.Limit, Follow: follow}
		events, err := r.History().Events(ctx, query)
		if err != nil {
			return err
		}
		if follow {
			f.HintAtGlobs(inspect.IsRegexp)
		}

		p := terminal.NewEventPrinter(os.Stdout, output)
		err = events.Each(ctx, p.Print, p.Flush)
		if !follow && err == nil && p.Count() == 0 {
			if terminal.FormFor(os.Stdout, output) == terminal.FormTable {
				terminal.Say("supernats: no event is stored that matches")
			}
			f.HintAtGlobs(inspect.LooksLikeRegexp)
		}
		if endErr := p.End(); err == nil {
			err = endErr
		}
		return err
	})
}
