package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	buildinfo "github.com/prometheus/common/version"

	"supernats/consumer/app"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/unit"
	"supernats/consumer/config"
	"supernats/consumer/terminal"
	"supernats/schema/program"
)

type consumeCmd struct {
	Rebuild   bool   `env:"-" help:"Rebuild the records of processes and hosts from the stream first."`
	PrintUnit string `env:"-" enum:"systemd,supervisord," default:"" placeholder:"KIND" help:"${help_print_unit}"`
}

// Examples are shown below the help.
func (*consumeCmd) Examples() []string {
	return []string{
		"supernats consume",
		"supernats consume -c /etc/supernats/supernats.yaml --log-level debug",
		"supernats consume --print-unit systemd > /etc/systemd/system/supernats.service",
	}
}

// Run is the daemon.
func (d *consumeCmd) Run(ctx context.Context, c *frame.Flags) error {
	if d.PrintUnit != "" {
		return printUnit(d.PrintUnit, c.Config)
	}
	frame.CollectRarely()
	buildinfo.Version = program.Version // for build_info
	valid, err := plan(c)
	if err != nil {
		return err
	}

	o := app.Options{
		Version: program.Version, Log: program.NewLogTo(terminal.AboveStatusLine, c.LogLevel), Rebuild: d.Rebuild,
	}
	if terminal.CanDraw(os.Stderr) { // elsewhere it is in the log
		o.Progress = func(what string) (show func(done, total uint64), end func()) {
			bar := terminal.NewProgress(what, false)
			return bar.Show, bar.Close
		}
	}
	program.LogLibraries(o.Log)
	if c.Config != "" {
		o.Load = func() (*config.Plan, error) { return plan(c) }
	}
	a, err := app.New(valid, o)
	if err != nil {
		return c.ConfigError(err)
	}
	if c.Config != "" {
		o.Log.Info().Str("config", c.Config).Str("holds", valid.Config.Summary()).Msg("configuration is read")
	} else {
		o.Log.Info().Str("config", frame.SystemConfig).Msg("there is no configuration file, the defaults are in force")
	}

	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				_ = a.Reload() // it logs its error
			}
		}
	}()
	return a.Run(ctx)
}

// plan reads the configuration file, lays the flags over it and checks the result.
func plan(c *frame.Flags) (*config.Plan, error) {
	cfg, err := c.Load()
	if err != nil {
		return nil, err
	}
	valid, err := cfg.Plan()
	if err != nil {
		return nil, c.ConfigError(err)
	}
	return valid, nil
}

// printUnit prints how a service manager is to run the daemon with these arguments. Other
// mistakes in the configuration file do not matter here.
func printUnit(kind, file string) error {
	d := unit.Daemon{Args: os.Args[1:]}
	if cfg, err := config.LoadRules(file); err == nil {
		d.DataDir = cfg.DataDir
		for _, r := range cfg.Receivers {
			d.RunsCommands = d.RunsCommands || r.Exec != nil
		}
	}
	return unit.Print(os.Stdout, kind, d)
}
