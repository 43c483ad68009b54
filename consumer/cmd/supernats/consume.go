package main

import (
	"context"

	"supernats/consumer/app"
)

type consumeCmd struct{}

// Run is the daemon.
func (consumeCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	a, err := app.New(cfg, version, c.log())
	if err != nil {
		return usageError{err}
	}
	return a.Run(ctx)
}
