// Package app puts the daemon `supernats consume` together: a NATS server if
// none is configured, the reading of events into states and alerts, and a
// delivery for each receiver, by a configuration that can be reloaded.
//
// The parts share nothing but the streams: a mail server that is down holds up
// no event, and what it did not take waits in SUPERVISOR_ALERTS. Of several
// daemons on one NATS one is active; the others wait for its lease.
package app

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/acknowledge"
	"supernats/consumer/config"
	"supernats/consumer/deliver"
	"supernats/consumer/deliver/inbox"
	"supernats/consumer/embedded"
	"supernats/consumer/fleet"
	"supernats/consumer/health"
	"supernats/consumer/intake"
	"supernats/consumer/metrics"
	"supernats/consumer/rules"
	"supernats/consumer/service"
	"supernats/consumer/watchdog"
	"supernats/consumer/web"
	"supernats/consumer/web/api"
	"supernats/consumer/web/page"
	"supernats/consumer/wording"
)

// App is the daemon.
type App struct {
	// Set once, by New. What a reload changes is in plan.
	cfg      config.Config
	options  Options
	instance string
	log      zerolog.Logger

	health  *health.Health
	service *service.Service
	store   *embedded.StoreWatch
	// fleet is what the HTTP address shows, jetStream where it reads what is not in there:
	// nil while there is no connection. metrics is what Prometheus sees, pages what people do.
	fleet     *fleet.Fleet
	jetStream atomic.Pointer[jetstream.JetStream]
	metrics   *metrics.Metrics
	pages     *page.Pages
	watchdogs []*watchdog.Watchdog
	// server is set by Run; nil: it is somebody else's.
	server atomic.Pointer[embedded.Server]

	// ready is closed, by setReady, when events are read and every receiver has its queue,
	// or when another instance does that and this one stands by.
	ready     chan struct{}
	readyOnce sync.Once

	// reloading lets one reload at a time read the file. reloaded holds one value after
	// plan was replaced; the active instance begins again with it.
	reloading sync.Mutex
	plan      atomic.Pointer[plan]
	reloaded  chan struct{}

	// changed holds one value when what is on NATS is not what it was: the events are
	// read again.
	changed chan struct{}
	// isActive is set while this instance has the lease, wasActive from then until another
	// instance may have it.
	isActive, wasActive atomic.Bool
	queues              inbox.Memory
	// logged holds the texts that logOnce has logged.
	logged sync.Map

	// The rest belongs to runActive, which one goroutine at a time runs: rebuilt is
	// set when Options.Rebuild is done; memory is what the reading of events knows, for as
	// long as no other instance was active.
	rebuilt bool
	memory  *intake.Reader
}

// Options of a daemon beside its configuration.
type Options struct {
	Version string
	// Load reads the configuration again; nil if there is no file.
	Load func() (*config.Plan, error)
	// Rebuild derives the states from the stream again first.
	Rebuild bool
	// Progress begins to show how far something long is; nil logs it. show takes how much of
	// all is done, and end is called when it is over.
	Progress func(what string) (show func(done, total uint64), end func())
	Log      zerolog.Logger

	// lateAfter is another one for tests.
	lateAfter time.Duration
}

// plan is what a reload replaces: a valid configuration with the receivers that it makes.
type plan struct {
	cfg       config.Config
	set       *rules.Set
	receivers []deliver.Addressee
}

// intake is what the plan says of the reading of events.
func (p *plan) intake() intake.Plan {
	return intake.Plan{
		Rules: p.set, Limits: p.cfg.Limits.Fleet(),
		MaxAge: time.Duration(p.cfg.MaxAge), ForgetAfter: time.Duration(p.cfg.ForgetAfter),
	}
}

// New returns a daemon that does not run yet; an error is one of a file that a receiver
// reads, such as a secret.
func New(valid *config.Plan, o Options) (*App, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find out the hostname: %w", err)
	}

	log := o.Log.With().Str("component", "consume").Logger()
	a := &App{
		cfg: valid.Config, options: o, instance: host, log: log,
		health:   health.New(log),
		fleet:    fleet.New(),
		ready:    make(chan struct{}),
		reloaded: make(chan struct{}, 1),
		changed:  make(chan struct{}, 1),
	}
	a.metrics, a.pages = a.newMetrics(), a.newPages()
	a.store = embedded.NewStoreWatch(a.health, log)
	a.service = service.New(service.Options{
		Health: a.health, Ready: a.ready, Log: log,
		Summary: func() string { return a.plan.Load().cfg.Summary() },
	})

	if a.watchdogs, err = a.makeWatchdogs(); err != nil {
		return nil, err
	}
	p, err := a.prepare(valid)
	if err != nil {
		return nil, err
	}
	a.usePlan(p)
	return a, nil
}

// prepare does all of a start or a reload that can fail, and changes nothing.
func (a *App) prepare(valid *config.Plan) (*plan, error) {
	receivers, err := a.addressees(&valid.Config)
	if err != nil {
		return nil, err
	}
	return &plan{cfg: valid.Config, set: valid.Rules, receivers: receivers}, nil
}

// Reload reads the configuration file again. If anything is wrong with it, the old one
// stays in force, and the error names it.
func (a *App) Reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	ended := a.service.Reloading()
	defer ended()

	if err := a.replacePlan(); err != nil {
		a.log.Error().Err(err).Msg("configuration is not reloaded, the old one stays in force")
		return err
	}
	select {
	case a.reloaded <- struct{}{}:
	default: // the active instance has not seen the last one yet
	}
	return nil
}

func (a *App) replacePlan() error {
	if a.options.Load == nil {
		return web.ErrNoFile
	}
	valid, err := a.options.Load()
	if err != nil {
		return err
	}
	if key := valid.Config.NeedsRestart(a.cfg); key != "" {
		a.log.Warn().Str("key", key).Msg("this change has no effect before a restart")
	}
	p, err := a.prepare(valid)
	if err != nil {
		return err
	}

	// The server reads its own file and may refuse it: the plan comes after that.
	if server := a.server.Load(); server != nil {
		if err := server.Reload(); err != nil {
			return err
		}
	}
	a.usePlan(p)
	return nil
}

func (a *App) setReady() { a.readyOnce.Do(func() { close(a.ready) }) }

// Run works until ctx ends, which is success. NATS may come and go. An error is
// one of the start: the embedded server's.
func (a *App) Run(ctx context.Context) error {
	c := &connector{settings: a.cfg.Client(), health: a.health, log: a.log}
	if a.cfg.Embeds() {
		stop, err := a.startServer(c)
		if err != nil {
			return err
		}
		defer stop()
	}

	g, ctx := errgroup.WithContext(ctx)
	if text, fix := a.cfg.OpenPage(); text != "" {
		a.log.Warn().Str("fix", fix).Msg(text)
	}
	if a.cfg.Listen != "" {
		g.Go(func() error { return a.pages.Run(ctx) })
		g.Go(func() error { return a.webServer().Run(ctx) })
	}
	for _, w := range a.watchdogs {
		g.Go(func() error { return w.Run(ctx) })
	}
	g.Go(func() error { return a.store.Run(ctx) })
	g.Go(func() error { return c.run(ctx, a.work) })
	g.Go(func() error { return a.service.Run(ctx) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}

	a.log.Info().Msg("stopped")
	return nil
}

// startServer starts the embedded server, and has the connector reach it. The caller calls
// stop at the end.
func (a *App) startServer(c *connector) (stop func(), err error) {
	if err := a.cfg.FindDataDir(); err != nil {
		return nil, err
	}
	lock, err := embedded.LockDataDir(a.cfg.DataDir, a.log)
	if err != nil {
		return nil, err
	}

	a.service.Starting("starting the embedded NATS server")
	server, err := embedded.Start(a.cfg.Server(), a.options.Log)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	a.server.Store(server)
	a.store.SetServer(server)
	c.settings = server.Client(c.settings)
	c.options = server.LoginOptions()
	a.log.Info().Str("url", server.URL()).Str("data_dir", a.cfg.DataDir).Msg("embedded NATS server is running")

	// The lock goes last: no other server may start on this store before.
	return func() {
		server.Shutdown()
		_ = lock.Close()
	}, nil
}

// newPages are what people see at the HTTP address.
func (a *App) newPages() *page.Pages {
	return page.New(page.Options{
		Site: a.cfg.Site(), Fleet: a.fleet, JetStream: a.currentJetStream, Version: a.options.Version, Log: a.log,
		Acknowledger: acknowledge.Web{JetStream: a.currentJetStream}, Troubles: a.troubles,
	})
}

// troubles are what /readyz says is wrong, for people to see.
func (a *App) troubles() (list []string) {
	for _, t := range slices.Concat(a.health.Failures(), a.health.Warnings()) {
		list = append(list, wording.Clip(t.Text, wording.MaxText))
	}
	return list
}

func (a *App) webServer() *web.Server {
	where := a.pages.Site
	return &web.Server{
		Listen: a.cfg.Listen, WebConfig: a.cfg.WebConfig, MaxConnections: embedded.PageConnections(),
		Ready: a.ready, Health: a.health, Reload: a.Reload, Site: where, Log: a.log,
		Rooms: []web.Room{
			a.pages,
			api.New(api.API{Site: where, Fleet: a.fleet, JetStream: a.currentJetStream, Log: a.log}),
			a.metrics,
		},
	}
}

// currentJetStream returns the connection to read from, nil while there is none.
func (a *App) currentJetStream() jetstream.JetStream {
	if js := a.jetStream.Load(); js != nil && (*js).Conn().IsConnected() {
		return *js
	}
	return nil
}
