package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
)

type alertsCmd struct {
	Rule []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only alerts of these rules."`
	filters
	outputFlag
}

// shownAlerts is what the command prints.
type shownAlerts struct {
	alerts        []inspect.Alert
	notifications []inspect.Notification
	parked        []inspect.Parked
	// deliveries is what the receivers have taken, nil if this user may not look.
	deliveries *inspect.Deliveries
}

// Run prints the alerts, with --since or --until the notifications, and what was not
// delivered.
func (a *alertsCmd) Run(ctx context.Context, c *common) error {
	filter, err := a.filter()
	if err != nil {
		return err
	}
	f := inspect.AlertFilter{Events: filter, Rules: splitGlobs(a.Rule), Period: a.period()}
	if err := (consumer.Filter{Groups: f.Rules}).Check(); err != nil {
		return usageError{err}
	}

	var shown shownAlerts
	err = c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) (err error) {
		if shown.alerts, err = r.Alerts(ctx, &f); err != nil {
			return err
		}
		if !f.Period.IsOpen() {
			if shown.notifications, err = r.Notifications(ctx, &f); err != nil {
				return err
			}
		}
		shown.parked, err = r.Parked(ctx, &f)
		return err
	})
	if err != nil {
		return err
	}

	shown.alerts = firstOf(shown.alerts, a.Limit)
	shown.notifications = firstOf(shown.notifications, a.Limit)
	shown.parked = firstOf(shown.parked, a.Limit)
	if err := shown.addDeliveries(ctx, c); err != nil {
		return err
	}

	if form := a.form(); form != terminal.FormTable {
		return terminal.PrintJSON(os.Stdout, form, shown.records())
	}
	return shown.print(os.Stdout)
}

// firstOf returns the first n, or all if n is 0.
func firstOf[T any](list []T, n int) []T {
	if n > 0 && len(list) > n {
		return list[:n]
	}
	return list
}

// addDeliveries says of each alert what the receivers have taken. A user who may not see
// the queues sees the alerts all the same.
func (s *shownAlerts) addDeliveries(ctx context.Context, c *common) error {
	err := c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		d, err := r.Deliveries(ctx)
		if err != nil {
			return err
		}
		for i := range s.alerts {
			if err := d.Complete(ctx, &s.alerts[i]); err != nil {
				return err
			}
		}
		s.deliveries = d
		return nil
	})

	var denied *inspect.DeniedError
	if errors.As(err, &denied) {
		terminal.Say("supernats: who was notified is not known: %v", err)
		return nil
	}
	return err
}

func (s *shownAlerts) records() (all []any) {
	for _, r := range s.alerts {
		all = append(all, r)
	}
	for _, r := range s.notifications {
		all = append(all, r)
	}
	for _, r := range s.parked {
		all = append(all, r)
	}
	return all
}

// noReceiver says that nobody is notified of anything, and what to do.
const noReceiver = "NOBODY IS NOTIFIED: `supernats consume` has no receiver (add a section mail: or receivers: to its configuration file, -c FILE)"

// print writes a table for each kind of record that there is.
func (s *shownAlerts) print(w *os.File) error {
	var failing []*inspect.Queue
	if s.deliveries != nil {
		failing = s.deliveries.Failing()
		if len(s.deliveries.Queues) == 0 {
			fmt.Fprint(w, terminal.Hanging(noReceiver, 0, terminal.Width(w)))
		}
	}
	if len(s.alerts)+len(s.notifications)+len(s.parked)+len(failing) == 0 {
		terminal.Say("no alert that matches; --since 7d shows the notifications of a week")
		return nil
	}

	begun := false
	for _, section := range []struct {
		title string
		table *terminal.Table
	}{
		{"", tables.Alerts(s.alerts)},
		{"NOTIFICATIONS", tables.Notifications(s.notifications)},
		{"WAITING: these receivers do not take what is there for them (`supernats test-alert RECEIVER` tries one)", tables.Failing(failing)},
		{"PARKED: nobody got these (`nats stream rmm SUPERVISOR_PARKED SEQ` forgets one)", tables.Parked(s.parked)},
	} {
		if section.table.Len() == 0 {
			continue
		}
		if begun {
			fmt.Fprintln(w)
		}
		begun = true
		if section.title != "" {
			fmt.Fprint(w, terminal.Hanging(section.title, 0, terminal.Width(w)))
		}
		if err := section.table.Print(w); err != nil {
			return err
		}
	}
	return nil
}
