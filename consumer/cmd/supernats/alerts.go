package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
)

type alertsCmd struct {
	Rule []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only alerts of these rules."`
	filters
	outputFlag
}

// Kinds of what the command prints.
const (
	kindAlert        = "alert"
	kindNotification = "notification"
	kindParked       = "parked"
)

// shownAlert is a record of an alert as it is printed.
type shownAlert struct {
	Kind string `json:"kind"`
	schema.Alert
	// Mutes are the ids of the silences in force that it matches.
	Mutes []string `json:"mutes,omitempty"`
	// Told says that a receiver has taken the last notification, Receivers what became
	// of it at each that it is for.
	Told      bool            `json:"told"`
	Receivers []shownDelivery `json:"receivers"`

	// known says that Told is, begun that somebody was told of the first notification,
	// lost that the stream which had the last one is no more.
	known, begun, lost bool
}

// shownNotification is a CloudEvent, with an attribute more.
type shownNotification struct {
	Kind string `json:"kind"`
	schema.CloudEvent[*schema.Notification]
}

// Run prints the alerts, with --since or --until the notifications, and what could
// not be delivered.
func (a *alertsCmd) Run(ctx context.Context, c *common) error {
	filter, err := a.filter()
	if err != nil {
		return err
	}
	w := alertFilter{filters: &a.filters, events: filter, rules: globs(a.Rule)}
	if err := (consumer.Filter{Groups: w.rules}).Check(); err != nil {
		return usageError{err}
	}
	var (
		alerts []shownAlert
		made   []shownNotification
		parked []shownParked
	)
	err = c.with(ctx, func(ctx context.Context, js jetstream.JetStream) (err error) {
		if alerts, err = w.alerts(ctx, js); err != nil {
			return err
		}
		if !a.Since.IsZero() || !a.Until.IsZero() {
			if made, err = w.notifications(ctx, js); err != nil {
				return err
			}
		}
		parked, err = w.parked(ctx, js)
		return err
	})
	if err != nil {
		return err
	}
	alerts, made, parked = first(alerts, a.Limit), first(made, a.Limit), first(parked, a.Limit)
	told, err := lookTold(ctx, c, alerts)
	if err != nil {
		return err
	}

	output := outputFor(os.Stdout, a.Output)
	if output == outputTable {
		return printAlerts(os.Stdout, alerts, made, parked, told)
	}
	var all []any
	for _, r := range alerts {
		all = append(all, r)
	}
	for _, r := range made {
		all = append(all, r)
	}
	for _, r := range parked {
		all = append(all, r)
	}
	return printJSON(os.Stdout, output, all)
}

// first are the first n, or all if n is 0.
func first[T any](list []T, n int) []T {
	if n > 0 && len(list) > n {
		return list[:n]
	}
	return list
}

// alertFilter chooses alerts.
type alertFilter struct {
	*filters
	events consumer.Filter
	rules  []string
}

func (w *alertFilter) match(rule, host, group, process string) bool {
	return schema.MatchAny(w.rules, rule) && schema.MatchAny(w.events.Hosts, host) &&
		schema.MatchAny(w.events.Groups, group) && schema.MatchAny(w.events.Processes, process)
}

// hasEvent reports whether one of the events is one of those that --event names.
func (w *alertFilter) hasEvent(list ...schema.AlertEvent) bool {
	return len(w.Event) == 0 || slices.ContainsFunc(list, func(e schema.AlertEvent) bool {
		return consumer.Filter{Events: w.events.Events}.Match(&schema.Event{Event: e.Event})
	})
}

// alerts are the records of alerts, open ones first, then the youngest.
func (w *alertFilter) alerts(ctx context.Context, js jetstream.JetStream) ([]shownAlert, error) {
	records, err := readAlerts(ctx, js)
	if err != nil {
		return nil, err
	}
	mutes, err := readMutes(ctx, js)
	if err != nil {
		return nil, err
	}
	var list []shownAlert
	for _, r := range records {
		var last []schema.AlertEvent
		if r.Last != nil {
			last = append(last, *r.Last)
		}
		if !w.match(r.Rule, r.Host, r.Group, r.Process) || !w.hasEvent(last...) {
			continue
		}
		shown := shownAlert{Kind: kindAlert, Alert: r, Receivers: []shownDelivery{}}
		for _, m := range mutes {
			if r.Phase != schema.PhaseResolved && silences(&m, &r) {
				shown.Mutes = append(shown.Mutes, m.ID)
			}
		}
		list = append(list, shown)
	}
	phases := []string{schema.PhaseFiring, schema.PhasePending, schema.PhaseResolved}
	slices.SortFunc(list, func(a, b shownAlert) int {
		return cmp.Or(
			cmp.Compare(slices.Index(phases, a.Phase), slices.Index(phases, b.Phase)),
			b.Opened.Compare(a.Opened.Time), strings.Compare(a.Incident, b.Incident))
	})
	return list, nil
}

func readAlerts(ctx context.Context, js jetstream.JetStream) ([]schema.Alert, error) {
	return readBucket(ctx, js, stream.AlertsBucket, func(a *schema.Alert) string {
		return schema.AlertKey(a.Rule, a.Host, a.Group, a.Process)
	})
}

// notifications are those of the stream, oldest first.
func (w *alertFilter) notifications(ctx context.Context, js jetstream.JetStream) ([]shownNotification, error) {
	var list []shownNotification
	err := scan(ctx, js, stream.Alerts, start{time: w.Since.Time}, func(m *scanned) error {
		n, err := schema.Unmarshal[*schema.Notification](m.data)
		if err == nil && n.Data == nil {
			err = errors.New("has no data")
		}
		if err != nil {
			say("supernats: message on %q: %v", m.subject, err)
			return nil
		}
		if a := n.Data; w.match(a.Rule, a.Host, a.Group, a.Process) && w.hasEvent(a.Events...) && w.inTime(n.Time) {
			list = append(list, shownNotification{kindNotification, *n})
		}
		return nil
	})
	return list, err
}

var (
	alertColumns        = []string{"STATUS", "SEVERITY", "RULE", "HOST", "PROCESS", "SINCE", "COUNT", "LAST", "NOTIFIED", "MUTED"}
	notificationColumns = []string{"TIME", "TYPE", "SEVERITY", "RULE", "HOST", "PROCESS", "EVENTS", "LAST", "RECEIVERS"}
	failingColumns      = []string{"RECEIVER", "WAITING", "SINCE", "TRIES", "ERROR"}
	parkedColumns       = []string{"PARKED", "RECEIVER", "RULE", "HOST", "PROCESS", "TRIES", "SEQ", "REASON"}
)

func printAlerts(w *os.File, alerts []shownAlert, made []shownNotification, parked []shownParked, told *told) error {
	told.warn(w)
	if len(alerts)+len(made)+len(parked)+len(told.failing()) == 0 {
		say("no alert that matches; --since 7d shows the notifications of a week")
		return nil
	}
	sections := []struct {
		title string
		grid  grid
	}{
		{"", grid{
			columns: alertColumns, colored: "STATUS",
			optional: []string{"MUTED", "COUNT", "SEVERITY", "SINCE", "RULE"},
			flexible: map[string]int{"RULE": wideText, "HOST": wideName, "PROCESS": wideName, "LAST": wideText, "NOTIFIED": wideText, "MUTED": wideText},
		}},
		{"NOTIFICATIONS", grid{
			columns: notificationColumns, colored: "TYPE",
			optional: []string{"EVENTS", "SEVERITY", "RECEIVERS", "RULE"},
			flexible: map[string]int{"RULE": wideText, "HOST": wideName, "PROCESS": wideName, "LAST": wideText, "RECEIVERS": wideText},
		}},
		{"WAITING: these receivers do not take what is there for them (`supernats test-alert RECEIVER` tries one)", grid{
			columns: failingColumns, optional: []string{"TRIES", "SINCE"},
			flexible: map[string]int{"RECEIVER": wideName, "ERROR": wideText},
		}},
		{"PARKED: nobody got these (`nats stream rmm SUPERVISOR_PARKED SEQ` forgets one)", grid{
			columns: parkedColumns, optional: []string{"TRIES", "PARKED", "RULE"},
			flexible: map[string]int{"RECEIVER": wideName, "RULE": wideText, "HOST": wideName, "PROCESS": wideName, "REASON": wideText},
		}},
	}
	for _, a := range alerts {
		sections[0].grid.add(phaseColor(a.Phase), alertRow(a)...)
	}
	for _, n := range made {
		sections[1].grid.add(phaseColor(kindOf(n.Type)), notificationRow(n)...)
	}
	for _, q := range told.failing() {
		sections[2].grid.add(red, q.receiver, fmt.Sprint(q.waiting()), date(q.at.Since), fmt.Sprint(q.at.Tries), q.at.Error)
	}
	for _, p := range parked {
		sections[3].grid.add(red, date(&p.Parked), p.Receiver, p.Rule, cmp.Or(p.Host, "-"), who(p.Group, p.Process), fmt.Sprint(p.Tries), fmt.Sprint(p.Seq), p.Reason)
	}
	begun := false
	for _, s := range sections {
		if len(s.grid.rows) == 0 {
			continue
		}
		if begun {
			fmt.Fprintln(w)
		}
		if begun = true; s.title != "" {
			fmt.Fprintln(w, strings.Join(wrap(cellText(s.title), screenWidth(w)), "\n"))
		}
		if err := s.grid.print(w); err != nil {
			return err
		}
	}
	return nil
}

func phaseColor(phase string) lipgloss.ANSIColor {
	switch phase {
	case schema.PhaseFiring:
		return red
	case schema.PhaseResolved:
		return green
	}
	return yellow
}

// kindOf is firing, update or resolved.
func kindOf(typ string) string { return typ[strings.LastIndexByte(typ, '.')+1:] }

func alertRow(a shownAlert) []string {
	last, muted := "-", "-"
	if a.Last != nil {
		last = date(&a.Last.Time) + " (" + happened(a.Last) + ")"
	}
	switch {
	case len(a.Mutes) > 0:
		muted = "by " + strings.Join(a.Mutes, ", ")
	case a.Muted > 0:
		muted = "was by " + a.MutedBy
	}
	if a.Muted > 0 {
		muted += fmt.Sprintf(" (%d)", a.Muted)
	}
	return []string{
		a.Phase, a.Severity, a.Rule, cmp.Or(a.Host, "-"), who(a.Group, a.Process), date(&a.Opened), fmt.Sprint(a.Count), last, a.notified(), muted,
	}
}

func notificationRow(n shownNotification) []string {
	a, last := n.Data, "-"
	if len(a.Events) > 0 {
		last = happened(&a.Events[len(a.Events)-1])
	}
	return []string{
		date(&n.Time), kindOf(n.Type), a.Severity, a.Rule, cmp.Or(a.Host, "-"), who(a.Group, a.Process), fmt.Sprint(len(a.Events)), last,
		cmp.Or(strings.Join(a.Notify, ", "), "all"),
	}
}

// who writes what an alert is about: a process, a group, or a host as a whole.
func who(group, process string) string {
	switch {
	case process != "" && group != "":
		return processName(group, process)
	case group != "":
		return group + ":*"
	}
	return cmp.Or(process, "-")
}

// happened tells an event of an alert in a few words.
func happened(e *schema.AlertEvent) string {
	switch {
	case e.Exit != nil && reason(e.Exit) != "":
		return strings.TrimPrefix(ran(e.Ran)+", "+shortReason(e.Exit), ", ")
	case e.Lost > 0 && e.Cause != "":
		return fmt.Sprintf("%d events lost, %s", e.Lost, e.Cause)
	case e.Lost > 0:
		return fmt.Sprintf("%d events lost", e.Lost)
	case e.Cause != "":
		return e.Cause
	}
	return strings.TrimPrefix(e.Event, "PROCESS_STATE_")
}
