package eventcmd

import (
	"context"
	"fmt"
	"os"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
)

// Replay is the command replay.
type Replay struct {
	Speed   string  `enum:"1,10,max" default:"max" env:"-" help:"${help_speed}"`
	Publish *string `env:"-" placeholder:"PREFIX" help:"${help_publish}"`
	frame.EventFlags
	frame.OutputFlag
}

// Examples are shown below the help.
func (*Replay) Examples() []string {
	return []string{
		"supernats replay --since 2h --event PROCESS_STATE_EXITED",
		"supernats replay --group api --since 7d -o jsonl",
		"supernats replay --since 10m --speed 10",
		"supernats replay --since 1h --publish replay",
	}
}

// output is where events go.
type output interface {
	handle(ev *history.Event) error
	// Flush lets what was handled be seen.
	Flush() error
	// finish completes it, in a moment if ctx has ended.
	finish(ctx context.Context) error
}

// Run prints what the stream holds now, or publishes it again.
func (r *Replay) Run(ctx context.Context, c *frame.Flags) error {
	frame.CollectRarely()
	filter, err := filterOf(&r.EventFlags)
	if err != nil {
		return err
	}
	var p *publisher
	if r.Publish != nil {
		if p, err = newPublisher(*r.Publish); err != nil {
			return frame.UsageError{Err: fmt.Errorf("--publish: %w", err)}
		}
	}

	err = c.WithReader(ctx, func(ctx context.Context, reader *inspect.Reader) error {
		bar := terminal.NewProgress("replay", p == nil)
		defer bar.Close()
		query := history.EventQuery{Filter: filter, Period: r.Period(), Limit: r.Limit, Progress: bar.Show}
		events, err := reader.History().Events(ctx, query)
		if err != nil {
			return err
		}
		if p == nil {
			return r.print(ctx, events)
		}

		if err := p.connect(ctx, reader.JS); err != nil {
			return err
		}
		return r.play(ctx, events, p)
	})
	if p == nil {
		return err
	}
	return p.report(err)
}

func (r *Replay) print(ctx context.Context, events *history.EventReader) error {
	p := newPrinter(r.Output)
	err := r.play(ctx, events, p)
	if err == nil && p.Count() == 0 {
		if terminal.FormFor(os.Stdout, r.Output) == terminal.FormTable {
			terminal.Say("supernats: no event is stored that matches")
		}
		r.HintAtGlobs(inspect.LooksLikeRegexp)
	}
	return err
}

// play hands events to an output at the speed that is asked for.
func (r *Replay) play(ctx context.Context, events *history.EventReader, out output) error {
	handle := out.handle
	if r.Speed != "max" {
		speed := map[string]float64{"1": 1, "10": 10}[r.Speed]
		beat := &rhythm{speed: speed, before: out.Flush}
		handle = func(ev *history.Event) error {
			if err := beat.wait(ctx, ev.Happened()); err != nil {
				return err
			}
			return out.handle(ev)
		}
	}

	err := events.Each(ctx, handle, out.Flush)
	if ctx.Err() != nil {
		err = nil // interrupted
	}
	if endErr := out.finish(ctx); err == nil {
		err = endErr
	}
	return err
}
