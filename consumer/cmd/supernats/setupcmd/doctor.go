package setupcmd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/config"
	"supernats/consumer/doctor"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema/program"
)

// Doctor is the command doctor.
type Doctor struct {
	frame.OutputFlag
	SupervisordConf string `placeholder:"FILE" help:"${help_supervisord_conf}"`
}

// Examples are shown below the help.
func (*Doctor) Examples() []string {
	return []string{
		"supernats doctor", "supernats doctor -c /etc/supernats/supernats.yaml -o json",
		"supernats doctor --supervisord-conf /opt/app/supervisord.conf",
	}
}

// Run prints what is wrong with the installation.
func (d *Doctor) Run(ctx context.Context, c *frame.Flags) error {
	cfg, wrong, err := loadForDoctor(c)
	if err != nil {
		return err
	}
	in := doctor.Installation{Guard: new(inspect.Guard), Config: describe(c, cfg, wrong), Version: program.Version}
	r, closeConn, err := frame.Dial(cfg, in.Guard)
	if err != nil {
		in.Unreachable = errors.Unwrap(err)
	} else {
		defer closeConn()
		in.Reader = r
	}

	bar := terminal.NewProgress("doctor", false)
	in.Progress = bar.Show
	findings := append(doctor.Examine(ctx, &in), examineHost(ctx, d.SupervisordConf)...)
	bar.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	show := func(w *os.File) error { return tables.PrintFindings(w, findings) }
	if err := frame.Print(&d.OutputFlag, findings, show); err != nil {
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
func loadForDoctor(c *frame.Flags) (cfg config.Config, wrong, err error) {
	cfg, err = c.Load()
	var mistakes frame.ConfigError
	if !errors.As(err, &mistakes) {
		return cfg, nil, err
	}

	cfg = config.Default()
	if written, err := config.LoadConnection(c.Config); err == nil {
		cfg.NATS.Settings, cfg.Embedded = written.NATS.Settings, written.Embedded
		cfg.Listen, cfg.WebConfig = written.Listen, written.WebConfig
	}
	cfg, err = c.ApplyFlags(cfg)
	return cfg, mistakes.Err, err
}

// describe returns what the doctor needs to know of the configuration.
func describe(c *frame.Flags, cfg config.Config, wrong error) doctor.Configuration {
	// Flags that name a server, for a look from elsewhere, make nothing of the file unused.
	warnings := cfg.Warnings()
	if written, err := config.LoadConnection(c.Config); err == nil && c.NATS.URL+c.NATS.Context != "" {
		warnings = written.Warnings()
	}
	return doctor.Configuration{
		File: c.Config, Found: c.Found(), Err: wrong,
		Summary: cfg.Summary(), Warnings: warnings,
		Receivers: cfg.ReceiverNames(), Limits: cfg.StreamLimits(),
		Listen: cfg.Listen, TLS: cfg.WebConfig != "",
	}
}
