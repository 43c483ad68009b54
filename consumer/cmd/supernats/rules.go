package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/config"
)

// rulesCmd are the commands about rules.
type rulesCmd struct {
	Check    rulesCheckCmd `cmd:"" help:"Is a configuration file valid."`
	Backtest backtestCmd   `cmd:"" help:"What would rules have told of the past."`
}

type rulesCheckCmd struct {
	File  string `arg:"" help:"A configuration file, or one with nothing but rules."`
	Files bool   `env:"-" default:"true" negatable:"" help:"Look at the files that it names too, such as those with secrets; --no-files where they are not, as in CI."`
}

// Run prints what is configured, or all that is wrong, each with its place.
func (r rulesCheckCmd) Run(ctx context.Context, c *common) error {
	check := config.Check
	if !r.Files {
		check = config.LoadRules
	}
	cfg, err := check(r.File)
	if err != nil {
		return fileError{err}
	}
	for _, warning := range cfg.Warnings() {
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", r.File, clean(warning))
	}
	for _, hint := range c.hints(ctx, &cfg) {
		fmt.Fprintf(os.Stderr, "%s: hint: %s\n", r.File, clean(hint))
	}
	_, err = fmt.Printf("%s: ok: %s\n", r.File, cfg.Summary())
	return err
}

// hintTime is how long the fleet is waited for.
const hintTime = 2 * time.Second

// place is where a glob stands in a configuration, and what it chooses.
type place struct{ label, flag, glob string }

func places(cfg *config.Config) (list []place) {
	add := func(key, flag string, globs []string) {
		for i, g := range globs {
			list = append(list, place{fmt.Sprintf("%s[%d]", key, i), flag, g})
		}
	}
	add("groups", "group", cfg.Groups)
	for i, r := range cfg.Rules {
		at := fmt.Sprintf("rules[%d].", i)
		add(at+"hosts", "host", r.Hosts)
		add(at+"groups", "group", r.Groups)
		add(at+"processes", "process", r.Processes)
	}
	return list
}

// hints are about globs that are valid and match nothing: of what looks like a regular
// expression in any case, of others if the fleet can be reached.
func (c *common) hints(ctx context.Context, cfg *config.Config) (hints []string) {
	globs := places(cfg)
	if len(globs) == 0 {
		return nil
	}
	known, err := c.fleetOf(ctx, cfg)
	for _, p := range globs {
		switch {
		case err == nil && len(known[p.flag]) > 0:
			if hint := hintOf(p.label, p.flag, p.glob, known[p.flag]); hint != "" {
				hints = append(hints, hint)
			}
		case isRegexp(p.glob):
			hints = append(hints, fmt.Sprintf("%s %q looks like a regular expression, and globs are meant: *, ?, [a-z] and {a,b}", p.label, p.glob))
		}
	}
	return hints
}

// fleetOf reads the names of the fleet that a configuration is for. What goes wrong is
// of no matter to the configuration.
func (c *common) fleetOf(ctx context.Context, cfg *config.Config) (known knownNames, err error) {
	ctx, cancel := context.WithTimeout(ctx, hintTime)
	defer cancel()
	over, err := c.over(*cfg)
	if err != nil {
		return nil, err
	}
	var g guard
	settings := over.Client()
	nc, err := settings.Connect("supernats", nats.RetryOnFailedConnect(false), nats.Timeout(hintTime/2), nats.ErrorHandler(g.heard))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(hintTime))
	if err != nil {
		return nil, err
	}
	err = g.run(ctx, func(ctx context.Context) (err error) {
		_, _, known, err = readKnown(ctx, js)
		return err
	})
	return known, err
}
