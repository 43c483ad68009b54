package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"supernats/consumer/app"
)

type consumeCmd struct {
	Rebuild bool `env:"-" help:"Make the records of processes and hosts anew from the stream first."`
}

// Run is the daemon.
func (d *consumeCmd) Run(ctx context.Context, c *common) error {
	if os.Getenv("GOGC") == "" {
		// What is kept is small beside what passes through: collecting it four times as
		// rarely takes some 100 MB and gives a fifth of the processor back.
		debug.SetGCPercent(400)
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	o := app.Options{Version: version, Log: c.log(), Rebuild: d.Rebuild}
	if c.Config != "" {
		o.Load = c.load
	}
	a, err := app.New(cfg, o)
	if err != nil {
		return usageError{err}
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
