package main

import (
	"context"
	"errors"
	"os"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
)

type alertsCmd struct {
	Rule []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only alerts of these rules."`
	filters
	outputFlag
}

// Run prints the alerts, with --since or --until the notifications, and what was not
// delivered.
func (a *alertsCmd) Run(ctx context.Context, c *common) error {
	filter, err := a.filter()
	if err != nil {
		return err
	}
	f := inspect.AlertFilter{Events: filter, Rules: schema.SplitGlobs(a.Rule), Period: a.period()}
	if err := (consumer.Filter{Groups: f.Rules}).Check(); err != nil {
		return usageError{err}
	}

	var shown tables.AlertReport
	err = c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) (err error) {
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

	if form := a.form(); form != terminal.FormTable {
		return terminal.PrintJSON(os.Stdout, form, shown.Records())
	}
	return shown.Print(os.Stdout)
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
func addDeliveries(ctx context.Context, c *common, shown *tables.AlertReport) error {
	err := c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
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
