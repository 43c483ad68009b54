package main

import (
	"fmt"

	"supernats/consumer/app"
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
func (r rulesCheckCmd) Run() error {
	check := app.Check
	if !r.Files {
		check = app.LoadRules
	}
	cfg, err := check(r.File)
	if err != nil {
		return fileError{err}
	}
	_, err = fmt.Printf("%s: ok: %s\n", r.File, cfg.Summary())
	return err
}
