// Package bridge is supernats-bridge: it takes the events that supervisord
// hands to a listener and publishes them to JetStream.
//
// Four parts, wired here: an eventlistener accepts an event and answers when the
// spool has it, on disk or, while the disk takes nothing, in memory; a publisher moves it from there to the stream and waits for the
// acknowledgement; on the way a client of supervisord's XML-RPC finds out why
// processes died. supervisord waits for the first two only, so neither NATS nor
// the network can hold it up. When the spool is nearly full, TICK and PROCESS_LOG
// are let go and counted; when it is full the bridge stops answering, and
// supervisord buffers buffer_size events and then throws the oldest away.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/bridge/deathreason"
	"supernats/bridge/eventlistener"
	"supernats/bridge/proctable"
	"supernats/bridge/publish"
	"supernats/bridge/spool"
	"supernats/bridge/supervisord"
	"supernats/schema"
	"supernats/schema/repeat"
	"supernats/schema/stream"
)

// Bridge is one run of one listener.
type Bridge struct {
	cfg     Config
	boot    bootValue
	life    life
	table   *proctable.Table // the last process table, kept for the next run
	unheard unheard
	loaded  sync.Once // what the run before has kept of it
	version string
	log     zerolog.Logger
	encoder encoder

	spool   *spool.Queue // from Run on
	watch   watch
	heard   bool
	started bool
	full    bool // said that the spool is full
	lag     lag  // of the goroutine that listens
	late    *lateDeaths
	deaths  atomic.Pointer[deaths] // from Run on; nil where the kernel cannot be asked
	watched atomic.Pointer[schema.Watch]
	lives   atomic.Pointer[lives] // from Run on; nil in a section for output
	pace    pace
	// stoppingRead says that supervisord has reported its own end. stopState is set
	// before our last record is made, see supervisorState.
	stoppingRead bool
	stopped      bool // we were told to end, see ended
	stopState    string
	serial       atomic.Uint64 // the last one read
	identity     atomic.Pointer[identity]
	snap         chan string
	groups       chan struct{} // receives a value when a group was added, see startOutput
	// tableWaits is when a process table was stored that the stream does not have yet,
	// Unix nanoseconds; 0 if there is none.
	tableWaits atomic.Int64
	ours       atomic.Value        // of type map[string]bool: our processes, see publish.Fence
	server     *supervisord.Client // nil without an XML-RPC of supervisord
	reasons    *deathreason.Reasons
	troubles   *troubles
	// Errors that are logged once: of the spool, and of storing process tables.
	spoolFails, snapshotFails repeat.Errors

	section  ownSection
	calls    calls // of the XML-RPC
	buf      []byte
	registry *prometheus.Registry
	metrics  *metrics
	opened   atomic.Pointer[spool.Queue] // the spool, for those who look from outside
	dir      atomic.Pointer[string]      // of our spool, see keepIn
	ending   atomic.Bool                 // no event will come any more

	lossNoted chan struct{} // receives a value when losses are to be told

	// mu is held while a record is appended and what it tells is accounted for, so
	// that the next run can find it out from the spool: see history.
	mu     sync.Mutex
	losses losses
	header []byte // of the last event that is accounted for
}

// New checks the settings. boot is that of the supervisord, or zero: then Run finds
// it out. version is the program's.
// An error is one of the settings: exit code 2.
func New(cfg Config, boot [8]byte, version string, log zerolog.Logger) (*Bridge, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ttl, err := newTTLTable(cfg.TTL)
	if err != nil {
		return nil, err
	}
	b := &Bridge{
		cfg: cfg, version: version, table: new(proctable.Table),
		log:     log.With().Str("component", "bridge").Str("host", cfg.Host).Logger(),
		encoder: encoder{host: cfg.Host, ttl: ttl},
		snap:    make(chan string, 1), groups: make(chan struct{}, 1), lossNoted: make(chan struct{}, 1),
	}
	b.boot.store(boot)
	b.life.fixed = boot != [bootBytes]byte{}
	if cfg.ServerURL != "" {
		b.server, err = supervisord.New(supervisord.Config{
			URL: cfg.ServerURL, Username: os.Getenv("SUPERVISOR_USERNAME"), Password: os.Getenv("SUPERVISOR_PASSWORD"),
		})
		if err != nil {
			return nil, fmt.Errorf("--server-url: %w", err)
		}
	}
	b.reasons = b.newReasons()
	b.registry = prometheus.NewRegistry()
	b.metrics = newMetrics(b.registry, b)
	b.troubles = newTroubles(b.log, b.registry, b.troubleMessage)
	b.late = newLateDeaths(b.troubles, b.followDeaths)
	b.registry.MustRegister(newProcesses(b.processes, b.serverTrouble))
	return b, nil
}

// Run answers supervisord on in and out until it closes the stream or ctx ends,
// then goes on publishing for the drain time. It returns nil if that was the
// end, and an error if the conversation broke; what had been accepted has then
// been published as well, as far as the drain time allowed.
func (b *Bridge) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	listener, err := eventlistener.New(eventlistener.Config{
		In: in, Out: out, Length: b.cfg.Length, Accept: b.accept, Answered: b.metrics.answered,
		Warn: func(msg string) { b.log.Warn().Msg(msg) },
	})
	if err != nil {
		return err
	}
	defer b.runTroubles(ctx)()
	defer b.serve(ctx)()
	b.identify(ctx)
	b.section.read(b.SupervisorPID)
	defer b.followReasons(ctx)()
	stopEarly := b.publishEarly(ctx)
	err = b.openSpool(ctx)
	stopEarly()
	if err != nil {
		return nil // ctx has ended: nothing was accepted
	}
	b.opened.Store(b.spool)
	watch := b.watchDeaths()
	defer func() {
		if err := b.spool.Close(); err != nil {
			b.log.Error().Err(err).Msg("spool is closed with an error")
		}
	}()
	reader := &reader{
		Queue: b.spool, end: b.endOfSpool, encoder: b.encoder, reasons: b.reasons, metrics: b.metrics, skip: b.cfg.Skip,
		stored: func() { b.tableWaits.Store(0) },
	}
	left := b.spool.Stats()
	var publisher *publish.Publisher
	publisher, err = publish.New(publish.Config{
		Source: reader, Connect: b.connect, JetStream: b.jetStream, Ensure: ensure, Stream: stream.Events,
		Encode: reader.Encode, Lost: b.lost, Duplicate: b.metrics.duplicates.Inc, Log: b.log,
		GiveWay: b.giveWay,
		Raise:   b.troubles.raise, Clear: b.troubles.clear,
		Resent: func(id, messageID string) { publisher.Aside("resent/"+id, b.resent(id, messageID)) },
		Left:   int(left.Records), Seq: left.Seq, Fence: b.fence(),
	})
	if err != nil {
		return err
	}
	b.troubles.attach(publisher.Aside, false)
	publishing, stopPublishing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPublishing()
	published := make(chan error, 1)
	go func() { published <- publisher.Run(publishing) }()

	b.log.Info().Stringer("boot", &b.boot).Str("version", b.version).Msg("listening to supervisord")
	// A section for output only has no use for it.
	if b.server == nil && (b.cfg.SnapshotEvery != 0 || b.cfg.Listen != "") {
		b.troubles.raise(troubleXMLRPC, "supervisord has no XML-RPC for us: no process tables",
			"add [unix_http_server] and [rpcinterface:supervisor] to supervisord's configuration, or set --server-url")
	}
	aside, stopAside := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	if watch != nil {
		tasks.Go(func() { watch(aside) })
	}
	b.followLives()
	tasks.Go(func() { b.lives.Load().run(aside) })
	tasks.Go(func() { b.snapshots(aside) })
	tasks.Go(func() { b.tellings(aside) })
	tasks.Go(func() { b.checkSection(aside) })
	tasks.Go(func() { b.late.run(aside) })
	tasks.Go(func() { b.startOutput(aside) })
	err = b.listen(ctx, listener)
	stopAside()
	tasks.Wait()
	b.stopped = ctx.Err() != nil
	b.lastRecords()
	b.ending.Store(true)
	b.spool.Wake()
	drain := time.Duration(b.cfg.Drain)
	if b.spool.Stats().Records == 0 {
		drain = 0
		if b.troubles.justSaid() {
			drain = min(time.Duration(b.cfg.Drain), time.Second) // that of a publisher's Aside
		}
	}
	drained := time.AfterFunc(drain, stopPublishing)
	defer drained.Stop()
	<-published
	b.endOfSpool() // what came to light at last waits for the next run
	if n := b.spool.Stats().Records; n > 0 {
		b.log.Warn().Uint64("records", n).Str("spool", b.spool.Dir()).Msg("stopped; what JetStream does not have yet waits in the spool")
	}
	switch {
	case ctx.Err() != nil:
		b.log.Info().Msg("stopped")
		return nil
	case errors.Is(err, eventlistener.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		// In the middle of an event or of an answer too: it is dead.
		b.log.Info().Msg("stopped: supervisord has closed the event stream")
		return nil
	}
	return err
}

// listen answers supervisord until the end, or until it is silent for too long.
func (b *Bridge) listen(ctx context.Context, l *eventlistener.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := b.watch.run(ctx); err != nil {
			b.troubles.raise(troubleSilent, err.Error(), "nothing if it does not come again; else look for what writes to the standard output of the command= of this section")
			stop(err)
		}
	}()
	err := l.Run(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	stop(nil)
	<-watched
	return err
}

// Heard reports whether supervisord has ever sent an event. Call it after Run.
func (b *Bridge) Heard() bool { return b.heard }

func (b *Bridge) connect(more ...nats.Option) (*nats.Conn, error) {
	token := schema.Token(b.cfg.Host)
	more = append(more, b.metrics.connection(b.troubles.again)...)
	return b.cfg.NATS.Connect("supernats-bridge "+b.cfg.Host, append(more,
		// An inbox of its own, so that a host's permissions can name it.
		nats.CustomInboxPrefix("_INBOX_"+token),
		// Left to the dialler, which the end of a context interrupts.
		nats.SkipHostLookup())...)
}

// jetStream is where the settings say that the streams are.
func (b *Bridge) jetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	return b.cfg.NATS.JetStream(nc)
}

func ensure(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return stream.EnsureEvents(ctx, js, stream.DefaultLimits())
}

func (b *Bridge) lost(rec []byte, err error) {
	b.metrics.loss(causeUnpublishable, 1)
	b.log.Error().Err(err).Int("record_bytes", len(rec)).Msg("event cannot be published and is lost")
}

// ExitDelay is how long the program waits before it exits with an error: with
// startsecs=0 supervisord starts it again at once, for ever.
const ExitDelay = time.Second

// Describe adds to an error of Run what an operator can do.
func Describe(err error) error {
	var malformed *eventlistener.HeaderError
	if errors.As(err, &malformed) {
		return fmt.Errorf("%w; is this program the command of an [eventlistener:x] section (see `supernats-bridge conf`)?", err)
	}
	return err
}
