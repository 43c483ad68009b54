package tables

import (
	"fmt"
	"os"
	"slices"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
)

// AlertReport is what the command alerts shows.
type AlertReport struct {
	Alerts        []inspect.Alert
	Notifications []inspect.Notification
	Parked        []inspect.Parked
	// Deliveries is what the receivers have taken, nil if this user may not look.
	Deliveries *inspect.Deliveries
}

// Records returns all of it as JSON shows it.
func (r *AlertReport) Records() (all []any) {
	for _, record := range r.Alerts {
		all = append(all, record)
	}
	for _, record := range r.Notifications {
		all = append(all, record)
	}
	for _, record := range r.Parked {
		all = append(all, record)
	}
	return all
}

// NoReceiver says that nobody is notified of anything, and what to do.
const NoReceiver = "NOBODY IS NOTIFIED: `supernats consume` has no receiver (add a section mail: or receivers: to " +
	"its configuration file, -c FILE)"

// waitingTitle says what holds what waits in queues.
func waitingTitle(held []*inspect.Queue) string {
	if slices.ContainsFunc(held, func(q *inspect.Queue) bool { return q.Failure() != "" }) {
		return "WAITING: these receivers do not take what is there for them (`supernats test-alert RECEIVER` tries one)"
	}
	return "WAITING: these receivers are not notified at once, by their rate limits"
}

// Print writes a table for each kind of record that there is.
func (r *AlertReport) Print(w *os.File) error {
	now := time.Now()
	var held []*inspect.Queue
	if r.Deliveries != nil {
		held = r.Deliveries.Held(now)
		if len(r.Deliveries.Queues) == 0 {
			if _, err := fmt.Fprint(w, terminal.Hanging(NoReceiver, 0, terminal.Width(w))); err != nil {
				return err
			}
		}
	}
	if len(r.Alerts)+len(r.Notifications)+len(r.Parked)+len(held) == 0 {
		terminal.Say("no alert that matches; --since 7d shows the notifications of a week")
		return nil
	}

	begun := false
	for _, section := range []struct {
		title string
		table *terminal.Table
	}{
		{"", Alerts(r.Alerts)},
		{"NOTIFICATIONS", Notifications(r.Notifications)},
		{waitingTitle(held), Held(held, now)},
		{"PARKED: nobody got these (`nats stream rmm SUPERVISOR_PARKED SEQ` forgets one)", Parked(r.Parked)},
	} {
		if section.table.Len() == 0 {
			continue
		}
		head := ""
		if begun {
			head = "\n"
		}
		begun = true
		if section.title != "" {
			head += terminal.Hanging(section.title, 0, terminal.Width(w))
		}
		if _, err := fmt.Fprint(w, head); err != nil {
			return err
		}
		if err := section.table.Print(w); err != nil {
			return err
		}
	}
	return nil
}
