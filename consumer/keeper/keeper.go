// Package keeper sees that what the daemon needs on NATS is there for as long as it runs:
// a volume may be lost, a stream deleted or restored from a backup, a consumer paused.
//
// It asks for eight streams and a consumer for each receiver every 2 seconds, some 10
// requests. A look may take 20 seconds; while NATS does not answer, a trouble reports it
// and nothing is created.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema/stream"
)

const (
	lookEvery   = 2 * time.Second
	lookTimeout = 20 * time.Second

	causeJetStream = "jetstream"
	// CauseMissing is that streams or buckets are missing and cannot be created.
	CauseMissing = "missing"
)

// Options of a keeper.
type Options struct {
	// Create creates what is missing.
	Create func(ctx context.Context) error
	// Changed is called when streams were created again, or are others than before.
	Changed func()
	// Consumers returns the consumers that this instance reads now: names by stream.
	Consumers func() map[string][]string
	Health    *health.Health
	Log       zerolog.Logger
}

// Keeper creates what is missing and reports what is not what it was. It belongs to the
// goroutine of Run.
type Keeper struct {
	js      jetstream.JetStream
	options Options

	// seen is what each stream was at the last look.
	seen map[string]stream.Identity
	// paused are the troubles of consumers that are paused, by cause.
	paused map[string]bool
	// failing is since when nothing can be looked up; zero: it can.
	failing time.Time
}

// New returns a keeper for a connection.
func New(js jetstream.JetStream, o Options) *Keeper {
	return &Keeper{js: js, options: o, seen: map[string]stream.Identity{}, paused: map[string]bool{}}
}

// Run looks until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.clearTroubles()

	for {
		if k.js.Conn().IsConnected() {
			err := health.Unbroken(ctx, k.js.Conn(), k.lookOnce)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			k.reportAnswer(err)
		}

		if err := health.Sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// clearTroubles ends what is reported here: the keeper of the next connection raises it
// again.
func (k *Keeper) clearTroubles() {
	k.options.Health.Clear(causeJetStream)
	k.options.Health.Clear(CauseMissing)
	for cause := range k.paused {
		k.options.Health.Clear(cause)
	}
}

// reportAnswer raises a trouble when nothing can be looked up for a while.
func (k *Keeper) reportAnswer(err error) {
	switch {
	case err == nil:
		k.failing = time.Time{}
		k.options.Health.Clear(causeJetStream)
	case !k.js.Conn().IsConnected():
		// The watch over the connection reports that.
	case k.failing.IsZero():
		k.failing = time.Now()
	case time.Since(k.failing) >= health.Grace:
		k.options.Health.Raise(causeJetStream, "JetStream does not answer: "+err.Error(), health.RunDoctor)
	}
}

func (k *Keeper) lookOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()

	missing, changed, err := k.compareStreams(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		if err := k.recreate(ctx, missing); err != nil {
			return nil // it is reported
		}
		if _, changed, err = k.compareStreams(ctx); err != nil {
			return err
		}
		changed = append(changed, missing...)
	}

	k.options.Health.Clear(CauseMissing)
	if len(changed) > 0 {
		k.options.Changed()
	}
	return k.checkPaused(ctx)
}

// compareStreams returns the streams that are missing, and those that are not what they
// were.
func (k *Keeper) compareStreams(ctx context.Context) (missing, changed []string, err error) {
	for _, name := range stream.Names() {
		s, err := k.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			missing = append(missing, name)
			delete(k.seen, name)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("look up stream %s: %w", name, err)
		}

		now := stream.IdentityOf(s.CachedInfo())
		if before, known := k.seen[name]; known && !now.Follows(before) {
			k.options.Log.Warn().Str("stream", name).Time("created", now.Created).
				Uint64("last_seq", now.Last).Uint64("last_seq_before", before.Last).
				Msg("stream is another one than before, or was restored from a backup")
			changed = append(changed, name)
		}
		k.seen[name] = now
	}
	return missing, changed, nil
}

// recreate creates what is missing.
func (k *Keeper) recreate(ctx context.Context, missing []string) error {
	if err := k.options.Create(ctx); err != nil {
		k.options.Health.Raise(CauseMissing,
			fmt.Sprintf("not on NATS any more: %s; it cannot be created again: %v", strings.Join(missing, ", "), err),
			health.RunDoctor)
		return err
	}
	k.options.Log.Warn().Strs("streams", missing).
		Msg("streams were missing and are created again; what they held is gone, but for what this process knows")
	return nil
}

// checkPaused reports which consumers are paused, as `nats consumer pause` does.
func (k *Keeper) checkPaused(ctx context.Context) error {
	paused := map[string]bool{}
	for name, consumers := range k.options.Consumers() {
		for _, durable := range consumers {
			c, err := k.js.Consumer(ctx, name, durable)
			if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
				continue // its reader creates it again
			}
			if err != nil {
				return fmt.Errorf("look up consumer %s of stream %s: %w", durable, name, err)
			}
			info := c.CachedInfo()
			if !info.Paused {
				continue
			}

			cause := "consumer-paused " + durable
			paused[cause] = true
			k.options.Health.Raise(cause, pausedText(name, info), "nats consumer resume "+name+" "+durable)
		}
	}

	for cause := range k.paused {
		if !paused[cause] {
			k.options.Health.Clear(cause)
		}
	}
	k.paused = paused
	return nil
}

// pausedText describes what a paused consumer holds up, and until when.
func pausedText(name string, info *jetstream.ConsumerInfo) string {
	what := "no event is read"
	if name == stream.Alerts {
		what = "nobody is notified through it"
	}

	until := info.TimeStamp.Add(info.PauseRemaining)
	if info.Config.PauseUntil != nil {
		until = *info.Config.PauseUntil
	}
	return fmt.Sprintf("consumer %s of stream %s is paused until %s: %s",
		info.Name, name, until.UTC().Format(time.RFC3339), what)
}
