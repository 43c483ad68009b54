// Package app puts the daemon `supernats consume` together: a NATS server if
// none is configured, the reading of events into states and alerts, and a
// delivery for each receiver, by a configuration that can be reloaded. Only here
// every rule and every receiver is known.
//
// The parts share nothing but the streams: a mail server that is down holds up
// no event, and what it did not take waits in SUPERVISOR_ALERTS. Of several
// daemons on one NATS one is active; the others wait for its lease.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/config"
	"supernats/consumer/deliver"
	"supernats/consumer/deliver/inbox"
	"supernats/consumer/embedded"
	"supernats/consumer/health"
	"supernats/consumer/intake"
	"supernats/consumer/lease"
	"supernats/consumer/rules"
	"supernats/schema/repeat"
	"supernats/schema/stream"
)

// App is the daemon.
type App struct {
	// cfg is what it was started with. What a reload changes is in plan.
	cfg      config.Config
	options  Options
	instance string
	log      zerolog.Logger
	health   *health.Health
	store    *embedded.StoreWatch
	server   atomic.Pointer[embedded.Server] // nil: it is somebody else's
	ready    chan struct{}
	plan     atomic.Pointer[plan]
	reloaded chan struct{} // holds one value: plan was replaced
	rebuilt  bool
	again    chan struct{} // holds one value: what is on NATS is not what it was
	isActive atomic.Bool
	queues   inbox.Memory
	said     sync.Map      // what sayOnce has logged
	reported repeat.Errors // what a connection reports
	// reloading lets one reload at a time read the file.
	reloading sync.Mutex

	// progress is looked at by supervise; announced says that systemd was told READY,
	// deaf that it could not be told something.
	progress                  progress
	stuckAfter, readyPatience time.Duration
	announced, deaf           atomic.Bool
	// memory is what the reading of events knows, over the times for which this instance
	// is the active one without another one between. It belongs to active.
	memory *intake.Reader
}

// Options of a daemon beside its configuration.
type Options struct {
	Version string
	// Load reads the configuration again; nil if there is no file.
	Load func() (config.Config, error)
	// Rebuild makes the states anew from the stream first.
	Rebuild bool
	Log     zerolog.Logger
}

// plan is what a reload replaces: all that can be wrong with it is found out
// before.
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

// New checks the configuration; an error is one of the settings.
func New(cfg config.Config, o Options) (*App, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find out the hostname: %w", err)
	}
	a := &App{
		cfg: cfg, options: o, instance: host, log: o.Log.With().Str("component", "consume").Logger(),
		ready: make(chan struct{}), reloaded: make(chan struct{}, 1),
		again:      make(chan struct{}, 1),
		stuckAfter: stuckAfter, readyPatience: readyPatience,
	}
	a.health = health.New(a.log)
	a.store = embedded.NewStoreWatch(a.health, a.log)
	p, err := a.prepare(cfg)
	if err != nil {
		return nil, err
	}
	a.plan.Store(p)
	return a, nil
}

// prepare does all of a reload that can fail.
func (a *App) prepare(cfg config.Config) (*plan, error) {
	valid, err := cfg.Plan()
	if err != nil {
		return nil, err
	}
	receivers, err := a.addressees(&valid.Config)
	if err != nil {
		return nil, err
	}
	return &plan{cfg: valid.Config, set: valid.Rules, receivers: receivers}, nil
}

var errNoFile = errors.New("there is no configuration file to reload (-c FILE)")

// Reload reads the configuration file again. If anything is wrong with it, the old
// one goes on, and the error says what.
func (a *App) Reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	defer a.reloads()()
	err := func() error {
		if a.options.Load == nil {
			return errNoFile
		}
		cfg, err := a.options.Load()
		if err != nil {
			return err
		}
		if key := cfg.NeedsRestart(a.cfg); key != "" {
			a.log.Warn().Str("key", key).Msg("this change has no effect before a restart")
		}
		p, err := a.prepare(cfg)
		if err != nil {
			return err
		}
		if server := a.server.Load(); server != nil {
			if err := server.Reload(); err != nil {
				return err
			}
		}
		a.plan.Store(p)
		return nil
	}()
	if err != nil {
		a.log.Error().Err(err).Msg("configuration is not reloaded, the old one stays in force")
		return err
	}
	select {
	case a.reloaded <- struct{}{}:
	default:
	}
	return nil
}

// Ready is closed when events are read and every receiver has its queue, or when
// another instance does that and this one stands by.
func (a *App) Ready() <-chan struct{} { return a.ready }

func (a *App) setReady() {
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
}

// Run works until ctx ends, which is success. NATS may come and go. An error is
// one of the start: the embedded server's.
func (a *App) Run(ctx context.Context) error {
	settings := a.cfg.Client()
	var opts []nats.Option
	var server *embedded.Server
	if a.cfg.Embeds() {
		if err := a.cfg.FindDataDir(); err != nil {
			return err
		}
		lock, err := embedded.LockDataDir(a.cfg.DataDir, a.log)
		if err != nil {
			return err
		}
		defer lock.Close()
		a.notify("", "starting the embedded NATS server")
		if server, err = embedded.Start(a.cfg.Server(), a.options.Log); err != nil {
			return err
		}
		defer server.Shutdown()
		a.server.Store(server)
		settings = server.Client(settings)
		opts = append(opts, server.LoginOptions()...)
		a.log.Info().Str("url", server.URL()).Str("data_dir", a.cfg.DataDir).Msg("embedded NATS server is running")
	}
	g, ctx := errgroup.WithContext(ctx)
	if a.cfg.Listen != "" {
		g.Go(func() error { return a.serve(ctx) })
	}
	a.store.SetServer(server)
	g.Go(func() error { return a.store.Run(ctx) })
	g.Go(func() error { return a.overConnections(ctx, settings, opts) })
	g.Go(func() error { return a.supervise(ctx) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	a.log.Info().Msg("stopped")
	return nil
}

// work creates what is missing, and works whenever this is the active instance.
func (a *App) work(ctx context.Context, js jetstream.JetStream) error {
	a.store.Use(js)
	create := health.Retry{
		Log: a.log, What: "creating streams and buckets", Conn: js.Conn(),
		Health: a.health, Cause: causeMissing, Fix: health.RunDoctor,
	}
	if err := create.Until(ctx, func() error { return a.ensure(ctx, js) }); err != nil {
		return err
	}
	k := &keeper{
		js: js, log: a.log, health: a.health, changed: a.isChanged, consumers: a.reads,
		create: func(ctx context.Context) error { return a.ensure(ctx, js) },
	}
	l := lease.New(js, lease.Options{
		Instance: fmt.Sprintf("%s, pid %d", a.instance, os.Getpid()), // several may run on one host
		Standby:  a.setReady,
		Create:   k.create,
		Health:   a.health,
		Log:      a.log,
	})

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return k.run(ctx) })
	g.Go(func() error {
		return l.Run(ctx, func(ctx context.Context) error {
			if l.OthersWereActive() { // what we know is old
				a.memory = nil
			}
			return a.active(ctx, js, l.Held)
		})
	})
	return g.Wait()
}

// isChanged has the events read again: records may have to be written again from
// memory. Deliveries see it by themselves.
func (a *App) isChanged([]string) {
	select {
	case a.again <- struct{}{}:
	default:
	}
}

// reads returns the consumers that this instance reads now, by stream.
func (a *App) reads() map[string][]string {
	if !a.isActive.Load() {
		return nil
	}
	names := map[string][]string{stream.Events: {stream.EventsConsumer}}
	for _, r := range a.plan.Load().receivers {
		names[stream.Alerts] = append(names[stream.Alerts], stream.ReceiverConsumer(r.Name()))
	}
	return names
}

// active works by one plan after the other. held returns an error if another
// instance may be active.
func (a *App) active(ctx context.Context, js jetstream.JetStream, held func() error) error {
	a.isActive.Store(true)
	defer a.isActive.Store(false)
	if a.options.Rebuild && !a.rebuilt {
		again := health.Retry{Log: a.log, What: "rebuilding the states", Conn: js.Conn(), Health: a.health, Cause: intake.CauseEvents, Fix: health.RunDoctor}
		if err := again.Until(ctx, func() error { return intake.Rebuild(ctx, js, a.cfg.Limits.Fleet(), a.log) }); err != nil {
			return err
		}
		a.rebuilt = true
	}
	if a.memory == nil {
		a.memory = intake.New(a.log)
	}
	reader := a.memory
	reader.Begin(intake.Session{JetStream: js, Held: held, Health: a.health, Again: a.again})
	for {
		now, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			select {
			case <-a.reloaded:
				cancel()
			case <-now.Done():
			}
		}()
		err := a.follow(now, js, a.plan.Load(), held, reader)
		cancel()
		<-done
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) {
			return err
		}
		a.log.Info().Str("configuration", a.plan.Load().cfg.Summary()).Msg("configuration is reloaded")
	}
}

// follow runs the parts by one plan. What reader knows outlives it.
func (a *App) follow(ctx context.Context, js jetstream.JetStream, p *plan, held func() error, reader *intake.Reader) error {
	if len(p.receivers) == 0 {
		a.log.Warn().Msg("no receiver is configured: state and alerts are recorded, nobody is told (add a section mail: to the configuration file, -c FILE)")
	}
	over := make(chan struct{})
	defer close(over)
	go a.watchEnd(ctx, over)
	var deliveries []*deliver.Delivery
	for _, r := range p.receivers {
		d := deliver.New(js, r, deliver.Options{Held: held, Memory: &a.queues, Health: a.health, Log: a.log})
		// Before the first event is read, so that its alert finds the queue.
		create := health.Retry{
			Log: a.log, What: "creating the queue of " + r.Name(), Conn: js.Conn(),
			Health: a.health, Cause: deliver.CauseAlerts + " " + r.Name(), Fix: health.RunDoctor,
		}
		begun := time.Now()
		if err := create.Until(ctx, func() error { return d.CreateSoon(ctx, begun) }); err != nil {
			return err
		}
		deliveries = append(deliveries, d)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range deliveries {
		g.Go(func() error { return d.Run(ctx) })
	}
	g.Go(func() error { // nothing waits for it: it is for people
		say := health.Retry{Log: a.log, What: "writing down the receivers"}
		return say.Until(ctx, func() error { return a.publishRoster(ctx, js, p) })
	})
	var reading sync.Once
	beat, leave := a.progress.enter(partEvents)
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

func (a *App) ensure(ctx context.Context, js jetstream.JetStream) error {
	if nc := js.Conn(); !nc.IsConnected() { // JetStream would say that a buffer is full
		return fmt.Errorf("connect to NATS: %w; is nats-server running at nats.url or --nats-url?", cmp.Or(nc.LastError(), nats.ErrNoServers))
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := lease.CheckServer(ctx, js); err != nil {
		return err
	}
	limits := a.cfg.StreamLimits()
	limits.Say = a.sayOnce
	return stream.EnsureAll(ctx, js, limits)
}

// sayOnce logs what the streams could not be made like.
func (a *App) sayOnce(text string) {
	if _, again := a.said.LoadOrStore(text, true); !again {
		a.log.Warn().Msg(text)
	}
}
