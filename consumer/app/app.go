// Package app puts the daemon `supernats consume` together: a NATS server if
// none is configured, the reading of events into states and alerts, and a
// delivery for each receiver. Only here every rule and every receiver is known.
//
// The parts share nothing but the streams: a mail server that is down holds up
// no event, and what it did not take waits in SUPERVISOR_ALERTS.
package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail"
	"supernats/consumer/rules"
	"supernats/schema/stream"
)

// App is the daemon.
type App struct {
	cfg       Config
	receivers []notify.Receiver
	log       zerolog.Logger
	ready     chan struct{}
}

// New checks the configuration; an error is one of the settings.
func New(cfg Config, version string, log zerolog.Logger) (*App, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: log.With().Str("component", "consume").Logger(), ready: make(chan struct{})}
	if cfg.Mail != nil {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("find out the hostname: %w", err)
		}
		mails, err := mail.New(cfg.Mail.Config, mail.Identity{Instance: host, Version: version})
		if err != nil {
			return nil, fmt.Errorf("mail: %w", err)
		}
		for _, m := range mails {
			a.receivers = append(a.receivers, m)
		}
	}
	return a, nil
}

// Ready is closed when events are read and every receiver has its queue.
func (a *App) Ready() <-chan struct{} { return a.ready }

// Run works until ctx ends, which is success. NATS may come and go. An error is
// one of the start: the embedded server's.
func (a *App) Run(ctx context.Context) error {
	settings := a.cfg.Client()
	var opts []nats.Option
	if a.cfg.embeds() {
		if err := a.cfg.FindDataDir(); err != nil {
			return err
		}
		s, err := startEmbedded(a.cfg.Embedded, a.cfg.DataDir, a.log)
		if err != nil {
			return err
		}
		defer shutdown(s)
		opts = append(opts, nats.InProcessServer(s))
		a.log.Info().Str("url", s.ClientURL()).Str("data_dir", a.cfg.DataDir).Msg("embedded NATS server is running")
	}
	nc, err := settings.Connect("supernats consume", opts...)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(10*time.Second), jetstream.WithDefaultTimeout(10*time.Second))
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	if err := a.work(ctx, js); err != nil && ctx.Err() == nil {
		return err
	}
	a.log.Info().Msg("stopped")
	return nil
}

func shutdown(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// work creates what is missing and runs the parts.
func (a *App) work(ctx context.Context, js jetstream.JetStream) error {
	create := retry{log: a.log, what: "creating streams and buckets"}
	if err := create.until(ctx, func() error { return a.ensure(ctx, js) }); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	if len(a.receivers) == 0 {
		a.log.Warn().Msg("no receiver is configured: state and alerts are recorded, nobody is told (add a section mail: to the configuration file, -c FILE)")
	}
	for _, r := range a.receivers {
		d, err := newDelivery(js, r, a.log)
		if err != nil {
			return err
		}
		// Before the first event is read, so that its alert finds the queue.
		create := retry{log: a.log, what: "creating the queue of " + r.Name()}
		if err := create.until(ctx, func() error { return d.Create(ctx) }); err != nil {
			return err
		}
		g.Go(func() error { return d.Run(ctx) })
	}
	set, err := rules.Compile(rules.Defaults(), rules.Options{Groups: a.cfg.Groups})
	if err != nil {
		return fmt.Errorf("read the rules: %w", err)
	}
	v := &events{js: js, log: a.log, rules: set, maxAge: time.Duration(a.cfg.MaxAge)}
	g.Go(func() error {
		return v.run(ctx, func() {
			select {
			case <-a.ready:
			default:
				a.log.Info().Int("receivers", len(a.receivers)).Msg("reading events")
				close(a.ready)
			}
		})
	})
	return g.Wait()
}

func (a *App) ensure(ctx context.Context, js jetstream.JetStream) error {
	if nc := js.Conn(); !nc.IsConnected() { // JetStream would say that a buffer is full
		return fmt.Errorf("connect to NATS: %w; is nats-server running at nats.url or --nats-url?", cmp.Or(nc.LastError(), nats.ErrNoServers))
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	limits := stream.DefaultLimits()
	limits.Replicas = a.cfg.NATS.Replicas
	if a.cfg.embeds() {
		limits.EventBytes = int64(a.cfg.Embedded.MaxStore)
	}
	return stream.EnsureAll(ctx, js, limits)
}
