package alertcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/silences"
	"supernats/consumer/terminal"
	"supernats/schema"
	"supernats/schema/stream"
)

// Mute is the command mute.
type Mute struct {
	frame.ProcessFlags
	Rule    []string        `env:"-" sep:"none" placeholder:"GLOB" help:"Only alerts of these rules."`
	All     bool            `env:"-" help:"Every alert there is."`
	For     schema.Duration `env:"-" placeholder:"DURATION" help:"How long: 30m, 2h, 1d."`
	Until   time.Time       `env:"-" placeholder:"TIME" help:"When it ends (RFC 3339)."`
	Comment string          `env:"-" help:"The reason. Required."`
	Author  string          `env:"-" placeholder:"NAME" help:"Who mutes (default: $$USER@host)."`
	frame.OutputFlag
}

// Examples are shown below the help.
func (*Mute) Examples() []string {
	return []string{
		"supernats mute --host web1 --for 2h --comment 'new disk'",
		"supernats mute --group 'api*' --until 2026-11-21T19:00:00Z --comment deploy",
		"supernats mute --all --for 30m --comment 'data centre moves'",
	}
}

// Run stores the silence and prints what it mutes now.
func (m *Mute) Run(ctx context.Context, c *frame.Flags) error {
	mute, err := m.describe(time.Now())
	if err != nil {
		return err
	}
	var rules inspect.NamedRules
	if cfg, err := c.Load(); err == nil && c.Config != "" { // withReader reports an error
		rules = inspect.NamedRules{File: c.Config, Names: cfg.RuleNames()}
	}

	stored, read := false, false
	err = c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		kv, err := r.OpenBucket(ctx, stream.MutesBucket)
		if err != nil {
			return err
		}
		if err := silences.Store(ctx, kv, mute); err != nil {
			return err
		}
		stored = true

		alerts, err := r.AlertRecords(ctx)
		if err != nil {
			return err
		}
		known, err := r.Known(ctx)
		if err != nil {
			return err
		}
		read = true
		shown := inspect.Mute{Mute: *mute, Alerts: inspect.MutedBy(mute, alerts), Covers: known.CoverageOf(mute, rules)}
		if form := m.Form(); form != terminal.FormTable {
			tables.WarnOfEmptyMute(&shown)
			return terminal.PrintJSON(os.Stdout, form, []inspect.Mute{shown})
		}
		return tables.PrintMute(os.Stdout, &shown, alerts)
	})
	switch {
	case err != nil && read:
		return fmt.Errorf("silence %s is in force: %w", mute.ID, err)
	case err != nil && stored:
		return fmt.Errorf("silence %s is in force, but what it matches could not be read: %w", mute.ID, err)
	}
	return err
}

// describe returns the silence that the flags describe, but for its id.
func (m *Mute) describe(now time.Time) (*schema.Mute, error) {
	filter, err := m.Filter()
	if err != nil {
		return nil, err
	}
	rules := schema.SplitGlobs(m.Rule)
	if err := (consumer.Filter{Groups: rules}).Check(); err != nil {
		return nil, frame.UsageError{Err: err}
	}
	chooses := len(filter.Hosts)+len(filter.Groups)+len(filter.Processes)+len(rules) > 0
	if err := m.check(chooses, now); err != nil {
		return nil, frame.UsageError{Err: err}
	}

	lasts := time.Duration(m.For)
	if m.For == 0 {
		lasts = m.Until.Sub(now)
	}
	author := m.Author
	if author == "" {
		author = frame.Author()
	}
	return &schema.Mute{
		Hosts: filter.Hosts, Groups: filter.Groups, Processes: filter.Processes, Rules: rules,
		Comment: m.Comment, Author: author, Created: schema.Time{Time: now},
		Expires: silences.RoundExpiry(now, lasts),
	}, nil
}

// check refuses flags that contradict each other or say too little. chooses says that some
// of them choose alerts.
func (m *Mute) check(chooses bool, now time.Time) error {
	switch {
	case !chooses && !m.All:
		return errors.New("nothing says what to mute: give --host, --group, --process or --rule, " +
			"or --all for every alert")
	case chooses && m.All:
		return errors.New("--all mutes every alert, so it goes without --host, --group, --process and --rule")
	case strings.TrimSpace(m.Comment) == "":
		return errors.New("--comment is missing: say why, for those who wonder why nobody was notified")
	case (m.For == 0) == m.Until.IsZero():
		return errors.New("give either --for (30m, 2h, 1d) or --until (2026-11-21T19:00:00Z)")
	case m.For == 0 && !m.Until.After(now):
		return errors.New("--until " + m.Until.Format(time.RFC3339) + " is not in the future")
	}
	return nil
}
