package app

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
	// keepEvery is how often the keeper looks. It asks for eight streams and a consumer
	// for each receiver: some 10 requests.
	keepEvery = 2 * time.Second
	// keepTimeout bounds one look.
	keepTimeout = 20 * time.Second

	causeJetStream = "jetstream"
	causeMissing   = "missing"
)

// keeper sees that all streams and buckets are there for as long as the daemon runs.
// What is missing is created again, and what is not the one of before is reported: a
// volume that was lost, a stream that somebody deleted or restored from a backup.
//
// It also says which of our consumers is paused.
type keeper struct {
	js     jetstream.JetStream
	log    zerolog.Logger
	health *health.Health
	// create makes what is missing.
	create func(ctx context.Context) error
	// changed is called with the names of streams that are others than before.
	changed func(names []string)
	// consumers are those of ours that this instance reads now: names by stream.
	consumers func() map[string][]string

	seen   map[string]stream.Identity
	paused map[string]bool // by cause
	failed time.Time       // since when nothing can be looked up
}

// run looks until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	k.seen, k.paused = map[string]stream.Identity{}, map[string]bool{}
	defer k.forget()

	for {
		if k.js.Conn().IsConnected() {
			err := health.Unbroken(ctx, k.js.Conn(), k.look)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			k.report(err)
		}

		if err := health.Sleep(ctx, keepEvery); err != nil {
			return err
		}
	}
}

// forget ends what is said here: who looks next says it again.
func (k *keeper) forget() {
	k.health.Clear(causeJetStream)
	k.health.Clear(causeMissing)
	for cause := range k.paused {
		k.health.Clear(cause)
	}
}

// report says that nothing can be looked up, when that lasts.
func (k *keeper) report(err error) {
	switch {
	case err == nil:
		k.failed = time.Time{}
		k.health.Clear(causeJetStream)
	case !k.js.Conn().IsConnected():
		// Whoever watches the connection says so.
	case k.failed.IsZero():
		k.failed = time.Now()
	case time.Since(k.failed) >= health.Grace:
		k.health.Raise(causeJetStream, "JetStream does not answer: "+err.Error(), health.RunDoctor)
	}
}

func (k *keeper) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()

	missing, changed, err := k.streams(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		if err := k.again(ctx, missing); err != nil {
			return nil // it is said
		}
		if _, changed, err = k.streams(ctx); err != nil {
			return err
		}
		changed = append(changed, missing...)
	}
	k.health.Clear(causeMissing)
	if len(changed) > 0 {
		k.changed(changed)
	}
	return k.pauses(ctx)
}

// streams returns what is missing, and what is not the one of before.
func (k *keeper) streams(ctx context.Context) (missing, changed []string, err error) {
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
		if was, known := k.seen[name]; known && !now.Follows(was) {
			k.log.Warn().Str("stream", name).Time("created", now.Created).Uint64("last_seq", now.Last).Uint64("last_seq_before", was.Last).
				Msg("stream is another one than before, or was restored from a backup")
			changed = append(changed, name)
		}
		k.seen[name] = now
	}
	return missing, changed, nil
}

// again creates what is missing.
func (k *keeper) again(ctx context.Context, missing []string) error {
	what := "not on NATS any more: " + strings.Join(missing, ", ")
	if err := k.create(ctx); err != nil {
		k.health.Raise(causeMissing, what+"; it cannot be created again: "+err.Error(), health.RunDoctor)
		return err
	}
	k.log.Warn().Strs("streams", missing).Msg("streams were missing and are created again; what they held is gone, but for what this process knows")
	return nil
}

// pauses says which consumers are paused, as somebody does with `nats consumer pause`.
func (k *keeper) pauses(ctx context.Context) error {
	paused := map[string]bool{}
	for name, consumers := range k.consumers() {
		for _, durable := range consumers {
			c, err := k.js.Consumer(ctx, name, durable)
			if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
				continue // whoever reads it makes it again
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
			k.health.Raise(cause, pausedText(name, info), "nats consumer resume "+name+" "+durable)
		}
	}
	for cause := range k.paused {
		if !paused[cause] {
			k.health.Clear(cause)
		}
	}
	k.paused = paused
	return nil
}

// pausedText says what a paused consumer is the end of, and until when.
func pausedText(name string, info *jetstream.ConsumerInfo) string {
	what := "no event is read"
	if name == stream.Alerts {
		what = "nobody is notified through it"
	}
	until := info.TimeStamp.Add(info.PauseRemaining)
	if info.Config.PauseUntil != nil {
		until = *info.Config.PauseUntil
	}
	return fmt.Sprintf("consumer %s of stream %s is paused until %s: %s", info.Name, name, until.UTC().Format(time.RFC3339), what)
}
