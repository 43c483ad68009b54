package app

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/health"
	"supernats/consumer/intake"
)

// rebuild derives the states from the stream again, once in the life of the daemon, and
// says how far it is.
func (a *App) rebuild(ctx context.Context, js jetstream.JetStream) error {
	show, end := a.logProgress(), func() {}
	if a.options.Progress != nil {
		show, end = a.options.Progress("rebuild")
	}
	defer end()

	retry := health.Retry{
		Log: a.log, What: "rebuilding the states", Conn: js.Conn(),
		Health: a.health, Cause: intake.CauseEvents, Fix: health.RunDoctor,
	}
	err := retry.Until(ctx, func() error {
		return intake.Rebuild(ctx, js, a.cfg.Limits.Fleet(), show, a.log)
	})
	a.rebuilt = err == nil
	return err
}

// progressEvery is how often the log says how far a rebuild is.
const progressEvery = 10 * time.Second

// logProgress returns a function that logs how far a rebuild is, now and then.
func (a *App) logProgress() func(read, total uint64) {
	logged := time.Now()
	return func(read, total uint64) {
		if now := time.Now(); now.Sub(logged) >= progressEvery {
			logged = now
			a.log.Info().Uint64("read", read).Uint64("messages", total).Msg("states are being rebuilt")
		}
	}
}
