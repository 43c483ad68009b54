package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/silences"
	"supernats/consumer/terminal"
	"supernats/schema/stream"
)

type mutesCmd struct{ outputFlag }

// Run prints the silences in force, oldest first.
func (m *mutesCmd) Run(ctx context.Context, c *common) error {
	return c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		mutes, err := r.Mutes(ctx)
		if err != nil {
			return err
		}
		alerts, err := r.AlertRecords(ctx)
		if err != nil {
			return err
		}

		var shown []inspect.Mute
		for _, mute := range mutes {
			shown = append(shown, inspect.Mute{Mute: mute, Alerts: inspect.MutedBy(&mute, alerts)})
		}
		if form := m.form(); form != terminal.FormTable {
			return terminal.PrintJSON(os.Stdout, form, shown)
		}
		return printMutes(os.Stdout, shown)
	})
}

func printMutes(w *os.File, mutes []inspect.Mute) error {
	if len(mutes) == 0 {
		_, err := fmt.Fprintln(os.Stderr, "nothing is muted")
		return err
	}

	return tables.Mutes(mutes, time.Now()).Print(w)
}

type unmuteCmd struct {
	IDs []string `arg:"" name:"id" help:"Ids of silences, as 'supernats mutes' shows them."`
}

// Run ends silences.
func (u *unmuteCmd) Run(ctx context.Context, c *common) error {
	return c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		kv, err := r.OpenBucket(ctx, stream.MutesBucket)
		if err != nil {
			return err
		}

		var errs []error
		for _, id := range u.IDs {
			if err := unmute(ctx, kv, id); err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Println(id, "has ended")
		}
		return errors.Join(errs...)
	})
}

func unmute(ctx context.Context, kv jetstream.KeyValue, id string) error {
	err := silences.End(ctx, kv, id)
	if errors.Is(err, silences.ErrNone) {
		return fmt.Errorf("no silence %s is in force: `supernats mutes` lists those that are", terminal.Clean(id))
	}
	return err
}
