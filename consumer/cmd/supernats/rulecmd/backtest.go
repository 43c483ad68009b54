package rulecmd

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/trial"
	"supernats/consumer/config"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
)

type backtest struct {
	File    string       `arg:"" help:"A configuration file, or one with nothing but rules."`
	Since   frame.Moment `env:"-" placeholder:"WHEN" help:"${help_backtest_since}"`
	Until   frame.Moment `env:"-" placeholder:"WHEN" help:"End at this time."`
	Compare bool         `env:"-" help:"Compare with the rules in force (-c FILE, or the defaults)."`
	frame.OutputFlag
}

// Examples are shown below the help.
func (*backtest) Examples() []string {
	return []string{
		"supernats rules backtest new.yaml --since 7d",
		"supernats rules backtest new.yaml --compare -c /etc/supernats/supernats.yaml",
	}
}

// Run reads the stream, once for each set of rules, and sends nothing.
func (b *backtest) Run(ctx context.Context, c *frame.Flags) error {
	frame.CollectRarely()
	cfg, err := config.LoadRules(b.File)
	if err != nil {
		return frame.FileError{Err: err}
	}
	running, err := c.Load()
	if err != nil {
		return err
	}
	form := b.Form()
	if b.Compare && form != terminal.FormTable {
		return frame.UsageError{Err: fmt.Errorf("--compare prints a table: it cannot be combined with -o %s", form)}
	}

	period := history.Period{Since: b.Since.Time, Until: b.Until.Time}
	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		trials := []*trial.Trial{{Name: b.File, Config: cfg}}
		if b.Compare {
			trials = append(trials, &trial.Trial{Name: cmp.Or(c.Config, "defaults"), Config: running})
		}
		for _, t := range trials {
			t.Keep = form != terminal.FormJSONL
			if err := t.Run(ctx, r.JS, period); err != nil {
				return err
			}
		}

		switch {
		case form == terminal.FormJSONL:
			return nil
		case form == terminal.FormJSON:
			return terminal.PrintJSON(os.Stdout, form, trials[0].Sent)
		case !b.Compare:
			if err := trials[0].PrintSent(os.Stdout); err != nil {
				return err
			}
		}
		return trial.PrintSummary(os.Stdout, trials)
	})
}
