package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/config"
	"supernats/consumer/doctor"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema/program"
)

type doctorCmd struct{ outputFlag }

// Run prints what is wrong with the installation.
func (d *doctorCmd) Run(ctx context.Context, c *common) error {
	cfg, wrong, err := c.loadForDoctor()
	if err != nil {
		return err
	}
	in := doctor.Installation{Guard: new(inspect.Guard), Config: c.describe(cfg, wrong), Version: program.Version}
	r, closeConn, err := dial(cfg, in.Guard)
	if err != nil {
		in.Unreachable = errors.Unwrap(err)
	} else {
		defer closeConn()
		in.Reader = r
	}

	findings := doctor.Examine(ctx, &in)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if form := d.form(); form != terminal.FormTable {
		err = terminal.PrintJSON(os.Stdout, form, findings)
	} else {
		err = tables.PrintFindings(os.Stdout, findings)
	}
	if err != nil {
		return err
	}
	if n := doctor.Failed(findings); n > 0 {
		return fmt.Errorf("%d of %d checks failed", n, len(findings))
	}
	return nil
}

// loadForDoctor reads the configuration file. A file with mistakes is not an error here: wrong
// has the mistakes, and cfg what the file says about NATS and the daemon's address, or the
// defaults if the mistakes are there.
func (c *common) loadForDoctor() (cfg config.Config, wrong, err error) {
	cfg, err = c.load()
	var mistakes configError
	if !errors.As(err, &mistakes) {
		return cfg, nil, err
	}

	cfg = config.Default()
	if written, err := config.LoadConnection(c.Config); err == nil {
		cfg.NATS.Settings, cfg.Embedded = written.NATS.Settings, written.Embedded
		cfg.Listen, cfg.WebConfig = written.Listen, written.WebConfig
	}
	cfg, err = c.applyFlags(cfg)
	return cfg, mistakes.error, err
}

// describe returns what the doctor needs to know of the configuration.
func (c *common) describe(cfg config.Config, wrong error) doctor.Configuration {
	return doctor.Configuration{
		File: c.Config, Found: c.found, Err: wrong,
		Summary: cfg.Summary(), Warnings: cfg.Warnings(),
		Receivers: receiverNames(cfg), Limits: cfg.StreamLimits(),
		Listen: cfg.Listen, TLS: cfg.WebConfig != "",
	}
}

// receiverNames are those that a configuration has.
func receiverNames(cfg config.Config) []string {
	var names []string
	for _, r := range cfg.AllReceivers() {
		names = append(names, r.Name)
	}
	return names
}
