package main

import (
	"fmt"
	"os"

	"supernats/consumer/app"
)

// rulesCmd are the commands about rules.
type rulesCmd struct {
	Check    rulesCheckCmd `cmd:"" help:"Is a configuration file valid."`
	Backtest backtestCmd   `cmd:"" help:"What would rules have told of the past."`
}

type rulesCheckCmd struct {
	File string `arg:"" help:"A configuration file, or one with nothing but rules."`
}

// Run prints what is configured, or all that is wrong, each with its place.
func (r rulesCheckCmd) Run() error {
	cfg, err := app.LoadRules(r.File)
	if err != nil {
		return fileError{err}
	}
	if _, err = fmt.Printf("%s: ok: %s\n", r.File, cfg.Summary()); err != nil {
		return err
	}
	for _, warning := range cfg.Warnings() {
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", r.File, warning)
	}
	return nil
}
