package alertcmd

import (
	"context"
	"fmt"
	"os"
	"time"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
)

// Mutes is the command mutes.
type Mutes struct{ frame.OutputFlag }

// Examples are shown below the help.
func (*Mutes) Examples() []string {
	return []string{"supernats mutes", "supernats mutes -o json"}
}

// Run prints the silences in force, oldest first.
func (m *Mutes) Run(ctx context.Context, c *frame.Flags) error {
	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
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
		return frame.Print(&m.OutputFlag, shown, func(w *os.File) error { return printMutes(w, shown) })
	})
}

func printMutes(w *os.File, mutes []inspect.Mute) error {
	if len(mutes) == 0 {
		_, err := fmt.Fprintln(os.Stderr, "nothing is muted")
		return err
	}

	return tables.Mutes(mutes, time.Now()).Print(w)
}
