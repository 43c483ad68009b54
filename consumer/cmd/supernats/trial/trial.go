// Package trial runs rules over past events and shows what they would have sent: the
// command `supernats rules backtest`. It sends nothing.
package trial

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/config"
	"supernats/consumer/history"
	"supernats/consumer/intake"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Trial is what one set of rules would have sent.
type Trial struct {
	// Name is that of the file.
	Name   string
	Config config.Config
	// Keep says that notifications are kept in Sent; else each is printed at once.
	Keep bool
	Sent []*schema.CloudEvent[*schema.Notification]

	sum  intake.Summary
	took time.Duration
	// counts are by rule and receiver.
	counts map[[2]string]*counts
}

type counts struct{ firing, update, resolved, answers, escalations, events int }

// Run reads the stream, and draws a bar of progress on a terminal.
func (t *Trial) Run(ctx context.Context, js jetstream.JetStream, period history.Period) (err error) {
	t.counts = map[[2]string]*counts{}
	bar := terminal.NewProgress(filepath.Base(t.Name), !t.Keep)
	defer bar.Close()
	begun := time.Now()
	set, err := t.Config.CompileRules()
	if err != nil {
		return err
	}
	test := intake.Backtest{
		Plan: intake.Plan{
			Rules: set, Limits: t.Config.Limits.Fleet(), MaxAge: time.Duration(t.Config.MaxAge),
		},
		Since: period.Since, Until: period.Until, Notify: t.notify,
		Progress: bar.Show,
	}

	t.sum, err = test.Run(ctx, js)
	t.took = time.Since(begun)
	return err
}

// notify counts a notification for each receiver that it would have gone to.
func (t *Trial) notify(n *schema.CloudEvent[*schema.Notification]) error {
	to := t.Config.Addressees(n.Data)
	if n.Data.Quiet {
		to = nil
	} else if len(to) == 0 {
		to = []string{"-"}
	}
	for _, receiver := range to {
		key := [2]string{n.Data.Rule, receiver}
		if t.counts[key] == nil {
			t.counts[key] = &counts{}
		}
		t.counts[key].add(n)
	}

	if t.Keep {
		t.Sent = append(t.Sent, n)
		return nil
	}
	return terminal.PrintJSON(os.Stdout, terminal.FormJSONL, []*schema.CloudEvent[*schema.Notification]{n})
}

func (c *counts) add(n *schema.CloudEvent[*schema.Notification]) {
	if n.Data.Escalation > 0 {
		c.escalations++ // its event was counted where it was reported first
		return
	}
	switch n.Type {
	case schema.TypeAlertFiring:
		c.firing++
	case schema.TypeAlertUpdate:
		c.update++
	case schema.TypeAlertResolved:
		c.resolved++
	case schema.TypeAlertAcknowledged, schema.TypeAlertUnacknowledged:
		c.answers++
	}
	c.events += len(n.Data.Events)
}

// PrintSent prints every notification that was kept.
func (t *Trial) PrintSent(w *os.File) error {
	table := terminal.Table{
		Columns:  []string{"TIME", "STATUS", "SEVERITY", "RULE", "HOST", "PROCESS", "EVENTS", "TO"},
		Colored:  "STATUS",
		Optional: []string{"EVENTS", "SEVERITY", "TO", "RULE"},
		Flexible: map[string]int{
			"RULE": terminal.WideText, "HOST": terminal.WideName, "PROCESS": terminal.WideName, "TO": terminal.WideText,
		},
	}
	for _, n := range t.Sent {
		kind := tables.NotificationKind(n.Type)
		if n.Data.Quiet {
			continue // nobody would have got it
		}
		if n.Data.Escalation > 0 {
			kind = fmt.Sprintf("escalation %d", n.Data.Escalation)
		}
		table.Add(tables.PhaseColor(kind), wording.Date(&n.Time), strings.ToUpper(kind), n.Data.Severity,
			n.Data.Rule, n.Data.Host,
			wording.ProcessName(n.Data.Group, n.Data.Process), strconv.Itoa(len(n.Data.Events)),
			strings.Join(t.Config.Addressees(n.Data), " "))
	}
	if table.Len() == 0 {
		return nil
	}

	if err := table.Print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// PrintSummary prints the counts of each set of rules, one below the other.
func PrintSummary(w *os.File, trials []*Trial) error {
	table := terminal.Table{
		Columns:  []string{"RULE", "TO", "FIRING", "UPDATE", "RESOLVED", "EVENTS"},
		Flexible: map[string]int{"RULE": terminal.WideText, "TO": terminal.WideText, "RULES OF": terminal.WideText},
	}
	compares, escalates := len(trials) > 1, escalates(trials)
	if compares {
		table.Columns = slices.Insert(table.Columns, 2, "RULES OF")
	}
	if escalates {
		table.Columns = append(table.Columns, "ESCALATED", "ACKNOWLEDGED")
	}

	for _, key := range countedKeys(trials) {
		for _, t := range trials {
			c := t.counts[key]
			if c == nil {
				c = &counts{}
			}
			row := []string{key[0], key[1]}
			if compares {
				row = append(row, filepath.Base(t.Name))
			}
			row = append(row, strconv.Itoa(c.firing), strconv.Itoa(c.update), strconv.Itoa(c.resolved),
				strconv.Itoa(c.events))
			if escalates {
				row = append(row, strconv.Itoa(c.escalations), strconv.Itoa(c.answers))
			}
			table.Add(terminal.Grey, row...)
		}
	}
	if table.Len() > 0 {
		if err := table.Print(w); err != nil {
			return err
		}
	}

	for _, t := range trials {
		if err := printParagraph(w, t.footer()); err != nil {
			return err
		}
	}
	return nil
}

// escalates reports whether any of the trials has notified more people, or said that
// somebody has acknowledged an alert.
func escalates(trials []*Trial) bool {
	for _, t := range trials {
		for _, c := range t.counts {
			if c.escalations+c.answers > 0 {
				return true
			}
		}
	}
	return false
}

// countedKeys are the pairs of rule and receiver that any of the trials has counted,
// sorted.
func countedKeys(trials []*Trial) [][2]string {
	keys := map[[2]string]bool{}
	for _, t := range trials {
		for key := range t.counts {
			keys[key] = true
		}
	}
	return slices.SortedFunc(maps.Keys(keys), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
}

// footer says what was read, and how fast.
func (t *Trial) footer() string {
	if t.sum.Messages == 0 {
		return t.Name + ": there are no messages in that time"
	}

	from, to := schema.Time{Time: t.sum.From}, schema.Time{Time: t.sum.To}
	text := fmt.Sprintf("%s: %d messages from %s to %s, %.0f a second", t.Name, t.sum.Messages,
		wording.Date(&from), wording.Date(&to), float64(t.sum.Messages)/t.took.Seconds())
	if t.sum.TooOld > 0 {
		text += fmt.Sprintf("; %d events matched and were older than max_age", t.sum.TooOld)
	}
	if t.sum.Unreadable > 0 {
		text += fmt.Sprintf("; %d messages are not ours", t.sum.Unreadable)
	}
	return text
}

// printParagraph prints a text below an empty line.
func printParagraph(w *os.File, text string) error {
	_, err := fmt.Fprint(w, "\n"+terminal.Hanging(text, 0, terminal.Width(w)))
	return err
}
