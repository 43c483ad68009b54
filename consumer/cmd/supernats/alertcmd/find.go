package alertcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/stream"
)

// maxListed is how many alerts an error lists.
const maxListed = 10

// findAlert returns the id of the alert that is meant by what somebody typed: the whole id,
// or a beginning of it that no other has, with or without the rule. What is recorded comes
// before what is left in notifications alone.
func findAlert(ctx context.Context, r *inspect.Reader, given string) (id string, err error) {
	given = strings.TrimSpace(given)
	alerts, err := r.Alerts(ctx, &inspect.AlertFilter{})
	if err != nil {
		return "", err
	}
	records := make([]*schema.Alert, len(alerts))
	for i := range alerts {
		records[i] = &alerts[i].Alert
	}
	if given == "" {
		return "", fmt.Errorf("no alert is named; %s", listAlerts(records))
	}

	switch found := named(given, records); len(found) {
	case 1:
		return found[0].Incident, nil
	case 0:
		return findPast(ctx, r, given, records)
	default:
		return "", fmt.Errorf("%q may be one of %d alerts; %s", terminal.Clean(given), len(found), listAlerts(found))
	}
}

// findPast looks for an alert whose record has expired among the notifications.
func findPast(ctx context.Context, r *inspect.Reader, given string, alerts []*schema.Alert) (string, error) {
	var ids []string
	err := r.History().Scan(ctx, stream.Alerts, history.Position{}, func(m *history.Message) error {
		n, err := schema.Unmarshal[*schema.Notification](m.Data)
		if err != nil || n.Data == nil || !beginsWith(given, n.Data.Rule, n.Data.Incident) {
			return nil
		}
		if !slices.Contains(ids, n.Data.Incident) {
			ids = append(ids, n.Data.Incident)
		}
		return nil
	})

	switch {
	case err != nil:
		return "", err
	case slices.Contains(ids, given):
		return given, nil
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > 1:
		return "", fmt.Errorf("%q may be one of %d alerts that are over:%s", terminal.Clean(given), len(ids),
			listed(ids))
	case len(alerts) == 0:
		return "", errors.New("there is no alert, and no notification of one is kept")
	}
	return "", fmt.Errorf("no alert is called %q; %s", terminal.Clean(given), listAlerts(alerts))
}

// listAlerts says which alerts there are, one on a line.
func listAlerts(alerts []*schema.Alert) string {
	lines := make([]string, len(alerts))
	for i, a := range alerts {
		opened := a.Opened
		lines[i] = wording.Join(", ", a.Incident, a.Phase+" since "+wording.Date(&opened))
	}
	if len(lines) == 0 {
		return "there is none"
	}
	return "there are:" + listed(lines)
}

// listed has the first of some lines, each indented.
func listed(lines []string) string {
	var b strings.Builder
	for _, line := range lines[:min(len(lines), maxListed)] {
		b.WriteString("\n  " + terminal.Clean(line))
	}
	if more := len(lines) - maxListed; more > 0 {
		b.WriteString("\n  and " + wording.Count(more, "other", "others") +
			"; `supernats alerts -o json | jq -r '.[].alert // empty'` has all")
	}
	return b.String()
}
