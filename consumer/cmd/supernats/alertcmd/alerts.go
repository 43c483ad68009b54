package alertcmd

import (
	"context"
	"errors"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
)

// Alerts is the command alerts.
type Alerts struct {
	List alertsList `cmd:"" default:"withargs" help:"Show alerts, open ones first, and what was not delivered."`
	Show alertsShow `cmd:"" help:"${help_alerts_show}"`
}

type alertsList struct {
	Rule []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only alerts of these rules."`
	frame.EventFlags
	frame.OutputFlag
}

// Examples are shown below the help.
func (*alertsList) Examples() []string {
	return []string{"supernats alerts", "supernats alerts --since 1d --rule fatal", "supernats alerts -o json"}
}

// Run prints the alerts, with --since or --until the notifications, and what was not
// delivered.
func (a *alertsList) Run(ctx context.Context, c *frame.Flags) error {
	filter, err := a.Filter()
	if err != nil {
		return err
	}
	f := inspect.AlertFilter{Events: filter, Rules: schema.SplitGlobs(a.Rule), Period: a.Period()}
	if err := (consumer.Filter{Groups: f.Rules}).Check(); err != nil {
		return frame.UsageError{Err: err}
	}

	var shown tables.AlertReport
	err = c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) (err error) {
		bar := terminal.NewProgress("alerts", false)
		defer bar.Close()
		r.Progress = bar.Show
		if shown.Alerts, err = r.Alerts(ctx, &f); err != nil {
			return err
		}
		if !f.Period.IsOpen() {
			if shown.Notifications, err = r.Notifications(ctx, &f); err != nil {
				return err
			}
		}
		shown.Parked, err = r.Parked(ctx, &f)
		return err
	})
	if err != nil {
		return err
	}

	shown.Alerts = firstOf(shown.Alerts, a.Limit)
	shown.Notifications = firstOf(shown.Notifications, a.Limit)
	shown.Parked = firstOf(shown.Parked, a.Limit)
	if err := addDeliveries(ctx, c, &shown); err != nil {
		return err
	}

	return frame.Print(&a.OutputFlag, shown.Records(), shown.Print)
}

// firstOf returns the first n, or all if n is 0.
func firstOf[T any](list []T, n int) []T {
	if n > 0 && len(list) > n {
		return list[:n]
	}
	return list
}

// addDeliveries adds what the receivers have taken of each alert. A user who may not see
// the queues sees the alerts all the same.
func addDeliveries(ctx context.Context, c *frame.Flags, shown *tables.AlertReport) error {
	err := c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		d, err := r.Deliveries(ctx)
		if err != nil {
			return err
		}
		for i := range shown.Alerts {
			if err := d.Complete(ctx, &shown.Alerts[i]); err != nil {
				return err
			}
		}
		shown.Deliveries = d
		return nil
	})

	var denied *inspect.DeniedError
	if errors.As(err, &denied) {
		terminal.Say("supernats: who was notified is not known: %v", err)
		return nil
	}
	return err
}
