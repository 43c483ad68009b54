package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/rs/zerolog"

	"supernats/consumer/app"
)

type consumeCmd struct {
	Rebuild bool `env:"-" help:"Make the records of processes and hosts anew from the stream first."`
}

// Run is the daemon.
func (d *consumeCmd) Run(ctx context.Context, c *common) error {
	collectRarely()
	cfg, err := c.load()
	if err != nil {
		return err
	}
	o := app.Options{Version: version, Log: c.log(), Rebuild: d.Rebuild}
	slog.SetDefault(slog.New(zerolog.NewSlogHandler(o.Log))) // what libraries say by the package log
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

// collectRarely is for commands that read the stream: what they keep is small beside
// what passes through. To collect garbage four times as rarely takes some 100 MB and
// gives a fifth of the processor back.
func collectRarely() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
