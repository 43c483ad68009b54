// Package rulecmd has the commands about rules: rules check and rules backtest.
package rulecmd

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/config"
	"supernats/consumer/terminal"
)

// HelpTexts are the texts that are too long for the tags of this package.
func HelpTexts() kong.Vars {
	return kong.Vars{
		"help_backtest_since": "Start at this time: " + frame.When + " (default: all that is stored).",
		"help_files": "Check the files that it names too, such as those with secrets. " +
			"Give --no-files where they do not exist, as in CI.",
	}
}

// Rules are the commands about rules.
type Rules struct {
	Check    check    `cmd:"" help:"Check whether a configuration file is valid."`
	Backtest backtest `cmd:"" help:"Show which notifications rules would have sent over past events."`
}

type check struct {
	File  string `arg:"" help:"A configuration file, or one with nothing but rules."`
	Files bool   `env:"-" default:"true" negatable:"" help:"${help_files}"`
}

// Examples are shown below the help.
func (*check) Examples() []string {
	return []string{
		"supernats rules check /etc/supernats/supernats.yaml",
		"supernats rules check --no-files supernats.yaml",
	}
}

// Run prints what is configured, or all that is wrong, each with its place.
func (r check) Run(ctx context.Context, c *frame.Flags) error {
	check := config.Check
	if !r.Files {
		check = config.LoadRules
	}
	cfg, err := check(r.File)
	if err != nil {
		return frame.FileError{Err: err}
	}

	file := terminal.Clean(r.File)
	for _, warning := range cfg.Warnings() {
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", file, terminal.Clean(warning))
	}
	for _, hint := range hintsFor(ctx, c, &cfg) {
		fmt.Fprintf(os.Stderr, "%s: hint: %s\n", file, terminal.Clean(hint))
	}
	_, err = fmt.Printf("%s: ok: %s\n", file, cfg.Summary())
	return err
}
