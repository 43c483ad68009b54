package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"supernats/consumer/config"
	"supernats/consumer/intake"
	"supernats/schema"
)

type backtestCmd struct {
	File    string `arg:"" help:"A configuration file, or one with nothing but rules."`
	Since   moment `env:"-" placeholder:"WHEN" help:"From then on: a duration back from now (90s, 2h, 7d) or RFC 3339 (default: all that is stored)."`
	Until   moment `env:"-" placeholder:"WHEN" help:"Up to then."`
	Compare bool   `env:"-" help:"Beside it, what the rules in force (-c FILE, or the defaults) would have told."`
	outputFlag
}

// Run reads the stream, once for each set of rules, and sends nothing.
func (b *backtestCmd) Run(ctx context.Context, c *common) error {
	collectRarely()
	cfg, err := config.LoadRules(b.File)
	if err != nil {
		return fileError{err}
	}
	running, err := c.load()
	if err != nil {
		return err
	}
	output := outputFor(os.Stdout, b.Output)
	if b.Compare && output != outputTable {
		return usageError{fmt.Errorf("--compare is a table, and -o %s was asked for", output)}
	}
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		tests := []*tested{{name: b.File, cfg: cfg}}
		if b.Compare {
			tests = append(tests, &tested{name: cmp.Or(c.Config, "defaults"), cfg: running})
		}
		for _, t := range tests {
			t.keep = output != outputJSONL
			if err := t.run(ctx, js, b); err != nil {
				return err
			}
		}
		switch {
		case output == outputJSONL:
			return nil
		case output == outputJSON:
			return printJSON(os.Stdout, output, tests[0].told)
		case !b.Compare:
			if err := tests[0].list(); err != nil {
				return err
			}
		}
		return summary(tests)
	})
}

// tested is what one set of rules would have told.
type tested struct {
	name string
	cfg  config.Config
	keep bool // in told; else each is printed at once
	told []*schema.CloudEvent[*schema.Notification]
	sum  intake.Summary
	took time.Duration
	// counts are by rule and receiver.
	counts map[[2]string]*counts
}

type counts struct{ firing, update, resolved, events int }

func (t *tested) run(ctx context.Context, js jetstream.JetStream, b *backtestCmd) (err error) {
	t.counts = map[[2]string]*counts{}
	bar := progress(filepath.Base(t.name))
	begun := time.Now()
	set, err := t.cfg.CompileRules()
	if err != nil {
		return err
	}
	test := intake.Backtest{
		Plan:  intake.Plan{Rules: set, Limits: t.cfg.Limits.Fleet(), MaxAge: time.Duration(t.cfg.MaxAge)},
		Since: b.Since.Time, Until: b.Until.Time, Notify: t.notify,
		Progress: func(read, total uint64) {
			bar.ChangeMax64(int64(total))
			_ = bar.Set64(int64(read))
		},
	}
	t.sum, err = test.Run(ctx, js)
	_ = bar.Exit()
	t.took = time.Since(begun)
	return err
}

// progress is a bar on a terminal.
func progress(what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(1, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(clean(what)),
		progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("msg"), progressbar.OptionSetWidth(10), progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

func (t *tested) notify(n *schema.CloudEvent[*schema.Notification]) error {
	to := t.cfg.Addressees(n.Data)
	if len(to) == 0 {
		to = []string{"-"}
	}
	for _, receiver := range to {
		key := [2]string{n.Data.Rule, receiver}
		if t.counts[key] == nil {
			t.counts[key] = &counts{}
		}
		t.counts[key].add(n)
	}
	if t.keep {
		t.told = append(t.told, n)
		return nil
	}
	return printJSON(os.Stdout, outputJSONL, []*schema.CloudEvent[*schema.Notification]{n})
}

func (c *counts) add(n *schema.CloudEvent[*schema.Notification]) {
	switch n.Type {
	case schema.TypeAlertFiring:
		c.firing++
	case schema.TypeAlertUpdate:
		c.update++
	case schema.TypeAlertResolved:
		c.resolved++
	}
	c.events += len(n.Data.Events)
}

// list prints every notification.
func (t *tested) list() error {
	g := grid{
		columns: []string{"TIME", "STATUS", "SEVERITY", "RULE", "HOST", "PROCESS", "EVENTS", "TO"}, colored: "STATUS",
		optional: []string{"EVENTS", "SEVERITY", "TO", "RULE"},
		flexible: map[string]int{"RULE": wideText, "HOST": wideName, "PROCESS": wideName, "TO": wideText},
	}
	for _, n := range t.told {
		status, color := strings.ToUpper(n.Type[strings.LastIndexByte(n.Type, '.')+1:]), red
		switch n.Type {
		case schema.TypeAlertResolved:
			color = green
		case schema.TypeAlertUpdate:
			color = yellow
		}
		g.add(color, n.Time.Local().Format("2006-01-02 15:04:05"), status, n.Data.Severity, n.Data.Rule, n.Data.Host,
			processName(n.Data.Group, n.Data.Process), strconv.Itoa(len(n.Data.Events)), strings.Join(t.cfg.Addressees(n.Data), " "))
	}
	if len(g.rows) == 0 {
		return nil
	}
	if err := g.print(os.Stdout); err != nil {
		return err
	}
	_, err := fmt.Println()
	return err
}

// summary prints the counts of each set of rules, one below the other.
func summary(tests []*tested) error {
	keys := map[[2]string]bool{}
	for _, t := range tests {
		for key := range t.counts {
			keys[key] = true
		}
	}
	sorted := make([][2]string, 0, len(keys))
	for key := range keys {
		sorted = append(sorted, key)
	}
	slices.SortFunc(sorted, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })

	g := grid{
		columns:  []string{"RULE", "TO", "FIRING", "UPDATE", "RESOLVED", "EVENTS"},
		flexible: map[string]int{"RULE": wideText, "TO": wideText, "RULES OF": wideText},
	}
	if len(tests) > 1 {
		g.columns = slices.Insert(g.columns, 2, "RULES OF")
	}
	for _, key := range sorted {
		for _, t := range tests {
			c := t.counts[key]
			if c == nil {
				c = &counts{}
			}
			row := []string{key[0], key[1]}
			if len(tests) > 1 {
				row = append(row, filepath.Base(t.name))
			}
			g.add(grey, append(row, strconv.Itoa(c.firing), strconv.Itoa(c.update), strconv.Itoa(c.resolved), strconv.Itoa(c.events))...)
		}
	}
	if len(g.rows) > 0 {
		if err := g.print(os.Stdout); err != nil {
			return err
		}
	}
	for _, t := range tests {
		if err := t.footer(); err != nil {
			return err
		}
	}
	return nil
}

func (t *tested) footer() error {
	if t.sum.Messages == 0 {
		return paragraph(t.name + ": there are no messages in that time")
	}
	text := fmt.Sprintf("%s: %d messages from %s to %s, %.0f a second", t.name, t.sum.Messages,
		t.sum.From.Local().Format("2006-01-02 15:04:05"), t.sum.To.Local().Format("2006-01-02 15:04:05"), float64(t.sum.Messages)/t.took.Seconds())
	if t.sum.TooOld > 0 {
		text += fmt.Sprintf("; %d events matched and were older than max_age", t.sum.TooOld)
	}
	if t.sum.Unreadable > 0 {
		text += fmt.Sprintf("; %d messages are not ours", t.sum.Unreadable)
	}
	return paragraph(text)
}

// paragraph prints a text below an empty line.
func paragraph(text string) error {
	_, err := fmt.Print("\n" + hanging(text, 0, screenWidth(os.Stdout)))
	return err
}
