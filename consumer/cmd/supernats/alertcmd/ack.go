package alertcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"supernats/consumer/acknowledge"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Ack is the command ack.
type Ack struct {
	Alert  string           `arg:"" completes:"open-alert" help:"${help_open_alert}"`
	Reason string           `env:"-" help:"Who does what. Required."`
	For    *schema.Duration `env:"-" placeholder:"DURATION" help:"How long, up to 30d (default: until it is over)."`
	Author string           `env:"-" placeholder:"NAME" help:"Who acknowledges (default: $$USER@host)."`
	frame.OutputFlag
}

// Examples are shown below the help.
func (*Ack) Examples() []string {
	return []string{
		"supernats ack unexpected-exit/web1/4f0c6d1e2a90b7c3/1234 --reason 'rolling back'",
		"supernats ack web1/api:api_00 --reason 'rolling back' --for 8h",
	}
}

// Run acknowledges the alert, and prints until when.
func (a *Ack) Run(ctx context.Context, c *frame.Flags) error {
	if strings.TrimSpace(a.Reason) == "" {
		return frame.UsageError{
			Err: errors.New("--reason is missing: say who does what, for those who wonder why it is not repeated"),
		}
	}
	q := acknowledge.Request{By: a.Author, Reason: a.Reason}
	if a.For != nil {
		if q.For = time.Duration(*a.For); q.For <= 0 {
			return frame.UsageError{
				Err: fmt.Errorf("--for: invalid value %s: want a duration above zero, such as 8h", a.For),
			}
		}
	}
	return send(ctx, c, a.Alert, q, &a.OutputFlag)
}

// Unack is the command unack.
type Unack struct {
	Alert  string `arg:"" completes:"acknowledged-alert" help:"${help_open_alert}"`
	Reason string `env:"-" help:"Why nobody takes care of it any more."`
	Author string `env:"-" placeholder:"NAME" help:"Who withdraws it (default: $$USER@host)."`
	frame.OutputFlag
}

// Examples are shown below the help.
func (*Unack) Examples() []string {
	return []string{
		"supernats unack unexpected-exit/web1/4f0c6d1e2a90b7c3/1234",
		"supernats unack web1/api:api_00 --reason 'end of shift'",
	}
}

// Run withdraws the acknowledgement of the alert.
func (u *Unack) Run(ctx context.Context, c *frame.Flags) error {
	q := acknowledge.Request{By: u.Author, Reason: u.Reason, Withdraw: true}
	return send(ctx, c, u.Alert, q, &u.OutputFlag)
}

// send hands on what is said of an alert, and prints what has come of it.
func send(ctx context.Context, c *frame.Flags, name string, q acknowledge.Request, o *frame.OutputFlag) error {
	if q.By == "" {
		q.By = frame.Author()
	}
	if err := q.Check(); err != nil {
		return frame.UsageError{Err: err}
	}
	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		records, err := r.AlertRecords(ctx)
		if err != nil {
			return err
		}
		alert, err := choose(records, name, q.Withdraw)
		if err != nil {
			return err
		}

		q.Incident = alert.Incident
		record, err := acknowledge.Send(ctx, r, q)
		if err != nil {
			return fmt.Errorf("alert %s: %w", terminal.Clean(alert.Incident), err)
		}
		return frame.Print(o, []*schema.Alert{record}, func(w *os.File) error {
			_, err := io.WriteString(w, terminal.Hanging(outcome(&q, alert, record), 0, terminal.Width(w)))
			return err
		})
	})
}

// outcome says in a line who takes care of an alert after a request, who did before it, and
// whether somebody else has said something since.
func outcome(q *acknowledge.Request, before, a *schema.Alert) string {
	who := wording.Join(" ", a.Rule, a.Host, wording.ProcessName(a.Group, a.Process))
	ack := a.Acknowledged
	if ack == nil {
		text := who + ": nobody takes care of it any more, it is notified again"
		if !q.Withdraw {
			text += "; somebody has withdrawn yours since, or it got worse"
		}
		return text
	}

	until := "until "
	if ack.Until != nil {
		until += wording.Date(ack.Until) + ", or until "
	}
	text := who + ": acknowledged by " + ack.By + " " + until + "it is over or gets worse"
	switch old := before.Acknowledged; {
	case q.Withdraw || ack.By != q.By || ack.Reason != strings.TrimSpace(q.Reason):
		text += "; that came after yours: " + ack.Reason
	case old != nil && (old.By != ack.By || old.Reason != ack.Reason):
		text += "; before, by " + old.By + ": " + old.Reason
	}
	return text
}

// choose returns the open alert that somebody means, who withdraws an acknowledgement or
// makes one. Of several, one that is acknowledged is the one to withdraw from.
func choose(records []schema.Alert, given string, withdraw bool) (*schema.Alert, error) {
	given = strings.TrimSpace(given)
	if given == "" {
		return nil, frame.UsageError{Err: errors.New("no alert is named: `supernats alerts` lists them")}
	}
	all := make([]*schema.Alert, len(records))
	for i := range records {
		all[i] = &records[i]
	}

	found := named(given, all)
	open := slices.DeleteFunc(slices.Clone(found), func(a *schema.Alert) bool { return a.Phase != schema.PhaseFiring })
	acknowledged := slices.DeleteFunc(slices.Clone(open), func(a *schema.Alert) bool { return !a.IsAcknowledged() })
	if withdraw && len(acknowledged) > 0 {
		open = acknowledged
	}

	switch {
	case len(open) == 1:
		return open[0], nil
	case len(open) > 1:
		return nil, fmt.Errorf("%s means %d open alerts: name one of %s",
			terminal.Clean(given), len(open), strings.Join(firstIDs(open), ", "))
	case len(found) > 0:
		a := found[0]
		return nil, fmt.Errorf("alert %s is not open but %s: nothing needs to be acknowledged "+
			"(`supernats alerts show %s` has its timeline)",
			terminal.Clean(a.Incident), a.Phase, wording.ShellQuote(a.Incident))
	}
	return nil, fmt.Errorf("no open alert %s: `supernats alerts` lists them, and -o json has their ids",
		terminal.Clean(given))
}

// firstIDs are the ids of the first of some alerts, sorted, and how many there are more.
func firstIDs(alerts []*schema.Alert) []string {
	ids := make([]string, len(alerts))
	for i, a := range alerts {
		ids[i] = terminal.Clean(a.Incident)
	}
	slices.Sort(ids)
	if more := len(ids) - maxListed; more > 0 {
		ids = append(ids[:maxListed], fmt.Sprintf("or of %s", wording.Count(uint64(more), "other", "others")))
	}
	return ids
}
