package setupcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/config"
	"supernats/consumer/doctor"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema/checkup"
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
	cfg, described, err := readInTime(c)
	if err != nil {
		return err
	}
	in := doctor.Installation{Guard: new(inspect.Guard), Config: described, Version: program.Version}
	defer connect(&in, cfg)()

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
	return checkup.Error(findings)
}

// readTimeout is how long a configuration file, and the files that a connection needs, may
// take: it may be a pipe, or on a file system that does not answer.
const readTimeout = 10 * time.Second

// inTime returns what f returns if that takes no longer than readTimeout.
func inTime[T any](f func() T) (result T, ok bool) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case result = <-done:
		return result, true
	case <-time.After(readTimeout):
		return result, false
	}
}

// readInTime reads the configuration file, and returns what the doctor needs to know of it.
func readInTime(c *frame.Flags) (config.Config, doctor.Configuration, error) {
	type read struct {
		cfg       config.Config
		described doctor.Configuration
		err       error
	}
	got, ok := inTime(func() read {
		cfg, wrong, err := loadForDoctor(c)
		if err != nil {
			return read{err: err}
		}
		return read{cfg: cfg, described: describe(c, cfg, wrong)}
	})
	if ok {
		return got.cfg, got.described, got.err
	}

	cfg, err := c.ApplyFlags(config.Default())
	unread := &os.PathError{Op: "read", Path: c.Config, Err: errUnanswered}
	return cfg, doctor.Configuration{File: c.Config, Err: unread, Limits: cfg.StreamLimits()}, err
}

var errUnanswered = fmt.Errorf("it does not answer within %v", readTimeout)

// connect connects an installation to its server; the caller calls disconnect at the end.
func connect(in *doctor.Installation, cfg config.Config) (disconnect func()) {
	type dialed struct {
		reader *inspect.Reader
		close  func()
		err    error
	}
	got, ok := inTime(func() dialed {
		r, closeConn, err := frame.Dial(cfg, in.Guard)
		return dialed{r, closeConn, err}
	})
	switch {
	case !ok:
		in.Unreachable = fmt.Errorf("connect to NATS: the server, or a file with its credentials: %w", errUnanswered)
	case got.err != nil:
		in.Unreachable = errors.Unwrap(got.err)
	default:
		in.Reader = got.reader
		return got.close
	}
	return func() {}
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
		Web: describeWeb(&cfg), Watchdogs: describeWatchdogs(&cfg), Escalations: cfg.Escalations(),
	}
}

// describeWeb returns what the doctor needs to know of the pages.
func describeWeb(cfg *config.Config) doctor.Web {
	site := cfg.Site()
	open, _ := cfg.OpenPage()
	return doctor.Web{ExternalURL: site.URL(""), Prefix: site.Prefix, Allow: site.Settings.Allow, Open: open != ""}
}

// describeWatchdogs returns the addresses that are pinged.
func describeWatchdogs(cfg *config.Config) (list []doctor.Watchdog) {
	for _, w := range cfg.Watchdog {
		w = w.WithDefaults()
		list = append(list, doctor.Watchdog{Name: w.Name, Reach: w.Reach})
	}
	return list
}
