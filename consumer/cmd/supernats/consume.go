package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"supernats/consumer/app"
	"supernats/consumer/config"
	"supernats/schema/program"
)

type consumeCmd struct {
	Rebuild   bool   `env:"-" help:"Rebuild the records of processes and hosts from the stream first."`
	PrintUnit string `env:"-" enum:"systemd,supervisord," default:"" placeholder:"KIND" help:"Print how systemd or supervisord is to run it, with the flags given here, and end."`
}

// Run is the daemon.
func (d *consumeCmd) Run(ctx context.Context, c *common) error {
	if d.PrintUnit != "" {
		return printUnit(os.Stdout, d.PrintUnit, c, os.Args[1:])
	}
	collectRarely()
	valid, err := c.plan()
	if err != nil {
		return err
	}
	o := app.Options{Version: program.Version, Log: c.log(), Rebuild: d.Rebuild}
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
				_ = a.Reload() // it has logged its error
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

// collectRarely is for commands that read the stream: what they keep is small beside
// what passes through. To collect garbage four times as rarely takes some 100 MB and
// gives a fifth of the processor back.
func collectRarely() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
