package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"supernats/consumer/app"
	"supernats/consumer/cmd/supernats/unit"
	"supernats/consumer/config"
	"supernats/schema/program"
)

type consumeCmd struct {
	Rebuild   bool   `env:"-" help:"Rebuild the records of processes and hosts from the stream first."`
	PrintUnit string `env:"-" enum:"systemd,supervisord," default:"" placeholder:"KIND" help:"${help_print_unit}"`
}

// Run is the daemon.
func (d *consumeCmd) Run(ctx context.Context, c *common) error {
	if d.PrintUnit != "" {
		return printUnit(d.PrintUnit, c.Config)
	}
	collectRarely()
	valid, err := c.plan()
	if err != nil {
		return err
	}

	o := app.Options{Version: program.Version, Log: program.NewLog(c.LogLevel), Rebuild: d.Rebuild}
	program.LogLibraries(o.Log)
	if c.Config != "" {
		o.Load = c.plan
	}
	a, err := app.New(valid, o)
	if err != nil {
		return usageError{configError{err, c.Config}}
	}
	if c.Config != "" {
		o.Log.Info().Str("config", c.Config).Str("holds", valid.Config.Summary()).Msg("configuration is read")
	} else {
		o.Log.Info().Str("config", systemConfig).Msg("there is no configuration file, the defaults are in force")
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
func (c *common) plan() (*config.Plan, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	valid, err := cfg.Plan()
	if err != nil {
		return nil, usageError{configError{err, c.Config}}
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

// collectRarely is for commands that read the stream: what they keep is small beside what
// passes through. Collecting garbage a quarter as often takes some 100 MB and saves a
// fifth of the processor time.
func collectRarely() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
