package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/deliver"
	"supernats/consumer/health"
	"supernats/consumer/intake"
	"supernats/consumer/keeper"
	"supernats/consumer/lease"
	"supernats/consumer/service"
	"supernats/schema/stream"
)

// ensureTimeout bounds how long creating streams and buckets may take.
const ensureTimeout = 30 * time.Second

// From the outside to the inside, each within the other's context:
//
//	work        over one connection
//	runActive   while this instance has the lease
//	runPlan     by one configuration

// work creates what is missing, and works whenever this is the active instance.
func (a *App) work(ctx context.Context, js jetstream.JetStream) error {
	a.store.Use(js)
	a.jetStream.Store(&js)
	create := health.Retry{
		Log: a.log, What: "creating streams and buckets", Conn: js.Conn(),
		Health: a.health, Cause: keeper.CauseMissing, Fix: health.RunDoctor,
	}
	ensure := func(ctx context.Context) error { return a.ensureStreams(ctx, js) }
	if err := create.Until(ctx, func() error { return ensure(ctx) }); err != nil {
		return err
	}

	k := keeper.New(js, keeper.Options{
		Create: ensure, Changed: a.noteChange, Consumers: a.consumersInUse, Health: a.health, Log: a.log,
	})
	l := lease.New(js, lease.Options{
		Instance: fmt.Sprintf("%s, pid %d", a.instance, os.Getpid()), // several may run on one host
		Standby:  a.setReady,
		Create:   ensure,
		Health:   a.health,
		Log:      a.log,
	})

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return k.Run(ctx) })
	if a.cfg.Listen != "" || len(a.watchdogs) > 0 {
		g.Go(func() error { return a.fleet.Run(ctx, js, a.log) })
	}
	g.Go(func() error {
		return l.Run(ctx, func(ctx context.Context) error {
			if l.OthersWereActive() { // what we know is old
				a.memory = nil
			}
			return a.runActive(ctx, js, l.Held)
		})
	})
	return g.Wait()
}

// ensureStreams creates the streams and buckets that are missing.
func (a *App) ensureStreams(ctx context.Context, js jetstream.JetStream) error {
	if nc := js.Conn(); !nc.IsConnected() { // JetStream would say that a buffer is full
		return fmt.Errorf("connect to NATS: %w; is nats-server running at nats.url or --nats-url?",
			cmp.Or(nc.LastError(), nats.ErrNoServers))
	}
	ctx, cancel := context.WithTimeout(ctx, ensureTimeout)
	defer cancel()
	if err := lease.CheckServer(ctx, js); err != nil {
		return err
	}

	limits := a.cfg.StreamLimits()
	limits.Report = a.logOnce
	return stream.EnsureAll(ctx, js, limits)
}

// logOnce logs in what the streams differ from their settings.
func (a *App) logOnce(text string) {
	if _, known := a.logged.LoadOrStore(text, true); !known {
		a.log.Warn().Msg(text)
	}
}

// noteChange has the events read again: records may have to be written again from
// memory. Deliveries see it by themselves.
func (a *App) noteChange() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// consumersInUse returns the consumers that this instance reads now, by stream.
func (a *App) consumersInUse() map[string][]string {
	if !a.isActive.Load() {
		return nil
	}
	names := map[string][]string{stream.Events: {stream.EventsConsumer}}
	for _, r := range a.plan.Load().receivers {
		names[stream.Alerts] = append(names[stream.Alerts], stream.ReceiverConsumer(r.Name()))
	}
	return names
}

// runActive works by one plan after the other until ctx ends. held returns an error if
// another instance may be active.
func (a *App) runActive(ctx context.Context, js jetstream.JetStream, held func() error) error {
	a.metrics.BeginEvents()
	a.isActive.Store(true)
	defer a.isActive.Store(false)

	if a.options.Rebuild && !a.rebuilt {
		if err := a.rebuild(ctx, js); err != nil {
			return err
		}
	}

	if a.memory == nil {
		a.memory = intake.New(a.log)
	}
	reader := a.memory
	reader.Begin(intake.Session{
		JetStream: js, Held: held, Health: a.health, Again: a.changed, Count: a.metrics.CountMessage,
	})
	for {
		err := a.runUntilReload(ctx, func(ctx context.Context) error {
			return a.runPlan(ctx, js, a.plan.Load(), held, reader)
		})
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) {
			return err
		}
		a.log.Info().Str("configuration", a.plan.Load().cfg.Summary()).Msg("configuration is reloaded")
	}
}

// runUntilReload ends the context of work when the plan was replaced, and returns its error.
func (a *App) runUntilReload(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-a.reloaded:
			cancel()
		case <-ctx.Done():
		}
	}()

	err := work(ctx)
	cancel()
	<-done // or it would take the next reload
	return err
}

// runPlan runs the parts by one plan. What reader knows outlives it.
func (a *App) runPlan(
	ctx context.Context, js jetstream.JetStream, p *plan, held func() error, reader *intake.Reader,
) error {
	if len(p.receivers) == 0 {
		a.log.Warn().Msg("no receiver is configured: state and alerts are recorded, nobody is notified " +
			"(add a section mail: to the configuration file, -c FILE)")
	}
	ended := make(chan struct{})
	defer close(ended)
	go a.service.WatchEnd(ctx, ended)

	// The queues come before the first event is read, so that its alert finds them.
	deliveries, err := a.createQueues(ctx, js, p, held)
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	for _, d := range deliveries {
		g.Go(func() error { return d.Run(ctx) })
	}
	g.Go(func() error { // nothing waits for it: it is for people
		roster := health.Retry{Log: a.log, What: "recording the receivers"}
		return roster.Until(ctx, func() error { return a.publishRoster(ctx, js, p) })
	})

	beat, leave := a.service.Progress.Enter(service.ReadingEvents)
	var reading sync.Once
	g.Go(func() error {
		defer leave()
		return reader.Run(ctx, p.intake(), beat, func() {
			beat()
			reading.Do(func() { a.log.Info().Int("receivers", len(p.receivers)).Msg("reading events") })
			a.setReady()
		})
	})
	return g.Wait()
}

// createQueues returns the deliveries of a plan, whose queues are there.
func (a *App) createQueues(
	ctx context.Context, js jetstream.JetStream, p *plan, held func() error,
) (deliveries []*deliver.Delivery, err error) {
	for _, r := range p.receivers {
		d := deliver.New(js, r, deliver.Options{
			Held: held, Memory: &a.queues, Health: a.health, Count: a.metrics.CountNotifications, Log: a.log,
		})
		create := health.Retry{
			Log: a.log, What: "creating the queue of " + r.Name(), Conn: js.Conn(),
			Health: a.health, Cause: deliver.CauseAlerts + " " + r.Name(), Fix: health.RunDoctor,
		}
		begun := time.Now()
		if err := create.Until(ctx, func() error { return d.CreateSoon(ctx, begun) }); err != nil {
			return nil, err
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}
