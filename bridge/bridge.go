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

	"supernats/bridge/boot"
	"supernats/bridge/deathreason"
	"supernats/bridge/deaths"
	"supernats/bridge/eventlistener"
	"supernats/bridge/journal"
	"supernats/bridge/ledger"
	"supernats/bridge/metrics"
	"supernats/bridge/proctable"
	"supernats/bridge/publish"
	"supernats/bridge/pulse"
	"supernats/bridge/record"
	"supernats/bridge/section"
	"supernats/bridge/snapshot"
	"supernats/bridge/spool"
	"supernats/bridge/supervisord"
	"supernats/bridge/trouble"
	"supernats/bridge/web"
	"supernats/schema"
	"supernats/schema/stream"
)

// Bridge is one run of one listener.
type Bridge struct {
	cfg     Config
	version string
	log     zerolog.Logger
	encoder record.Encoder

	// Collaborators, set once by New.
	journal   *journal.Journal
	life      *boot.Life
	troubles  *trouble.Board
	server    *supervisord.Client // nil without an XML-RPC of supervisord
	reasons   *deathreason.Reasons
	registry  *prometheus.Registry
	metrics   *metrics.Metrics
	table     *proctable.Table // the last process table, kept for the next run
	snapshots *snapshot.Taker
	answers   *pulse.Answers // of the XML-RPC
	section   *section.Own   // read from Run on
	output    *section.Starter
	deaths    *deaths.Finder

	watch pulse.Silence
	lag   pulse.Lag // of the goroutine that listens
	late  *pulse.LateDeaths
	pace  pulse.Burst

	// Of the goroutine that listens. heard says that an event has come, started that the
	// record of our start is stored, stoppingRead that supervisord has reported its own
	// end. buf holds the record that is being made.
	heard, started, stoppingRead bool
	buf                          []byte

	stopped   bool   // we were told to end, see ended
	stopState string // set before our last record is made, see supervisorState

	serial atomic.Uint64 // of the last event read
	ours   atomic.Value  // of type map[string]bool: our processes, see publish.Fence
}

// New checks the settings. bootID is that of the supervisord, or zero: then Run finds
// it out. version is the program's.
// An error is one of the settings: exit code 2.
func New(cfg Config, bootID [8]byte, version string, log zerolog.Logger) (*Bridge, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ttl, err := record.NewTTL(cfg.TTL)
	if err != nil {
		return nil, err
	}
	b := &Bridge{
		cfg: cfg, version: version, table: new(proctable.Table),
		log:     log.With().Str("component", "bridge").Str("host", cfg.Host).Logger(),
		encoder: record.Encoder{Host: cfg.Host, TTL: ttl},
		section: new(section.Own),
	}
	if cfg.ServerURL != "" {
		b.server, err = supervisord.New(supervisord.Config{
			URL: cfg.ServerURL, Username: os.Getenv("SUPERVISOR_USERNAME"), Password: os.Getenv("SUPERVISOR_PASSWORD"),
		})
		if err != nil {
			return nil, fmt.Errorf("--server-url: %w", err)
		}
	}
	b.registry = prometheus.NewRegistry()
	b.metrics = b.newMetrics()
	b.troubles = b.newBoard()
	b.life = boot.NewLife(boot.LifeConfig{
		Log: b.log, Troubles: b.troubles, FindSpool: cfg.spoolChoice().Find,
		Changed: func(boot string) { b.reasons.SetBoot(boot) },
		Fixed:   bootID, Together: cfg.StartedTogether,
	})
	b.journal = journal.New(journal.Config{
		Host: cfg.Host, Log: b.log, Metrics: b.metrics, Troubles: b.troubles, Life: b.life, Table: b.table,
		Dropped: b.eventsDropped,
	})
	b.answers = &pulse.Answers{Log: b.log, Troubles: b.troubles}
	b.reasons = b.newReasons()
	b.deaths = b.newDeaths()
	b.snapshots = b.newSnapshots()
	b.output = section.NewStarter(b.troubles)
	b.output.Pool, b.output.SupervisorPID = b.life.Pool, b.SupervisorPID
	if b.server != nil {
		b.output.Start = b.server.StartStopped
	}
	b.late = pulse.NewLateDeaths(b.troubles, b.followDeaths)
	b.lag.Troubles = b.troubles
	b.registry.MustRegister(metrics.NewProcesses(b.processes, b.scrapeFailed))
	return b, nil
}

// Run answers supervisord on in and out until it closes the stream or ctx ends,
// then goes on publishing for the drain time. It returns nil if that was the
// end, and an error if the conversation broke; what had been accepted has then
// been published as well, as far as the drain time allowed.
func (b *Bridge) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	listener, err := eventlistener.New(eventlistener.Config{
		In: in, Out: out, Length: b.cfg.Length, Accept: b.accept, Answered: b.metrics.Answered,
		Warn: func(msg string) { b.log.Warn().Msg(msg) },
	})
	if err != nil {
		return err
	}
	defer b.runTroubles(ctx)()
	defer b.newServer().Serve(ctx)()
	var askPID func(context.Context) (int, error)
	if b.server != nil {
		askPID = b.server.PID
	}
	b.life.Identify(ctx, askPID)
	b.section.Read(b.SupervisorPID)
	defer b.followReasons(ctx)()
	stopEarly := b.publishEarly(ctx)
	err = b.openSpool(ctx)
	stopEarly()
	if err != nil {
		return nil // ctx has ended: nothing was accepted
	}
	watch := b.watchDeaths()
	defer func() {
		if err := b.journal.Spool().Close(); err != nil {
			b.log.Error().Err(err).Msg("spool is closed with an error")
		}
	}()
	reader := &reader{
		Queue: b.journal.Spool(), end: b.journal.EndOfSpool, encoder: b.encoder, reasons: b.reasons, metrics: b.metrics, skip: b.cfg.Skip,
		stored: b.snapshots.Stored,
	}
	left := b.journal.Spool().Stats()
	var publisher *publish.Publisher
	publisher, err = publish.New(publish.Config{
		Source: reader, Connect: b.connect, JetStream: b.jetStream, Ensure: ensure, Stream: stream.Events,
		Encode: reader.Encode, Lost: b.lost, Duplicate: b.metrics.Duplicate, Log: b.log,
		GiveWay: b.giveWay,
		Raise:   b.troubles.Raise, Clear: b.troubles.Clear,
		Resent: func(id, messageID string) { publisher.Aside("resent/"+id, b.resent(id, messageID)) },
		Left:   int(left.Records), Seq: left.Seq, Fence: b.fence(),
	})
	if err != nil {
		return err
	}
	b.troubles.Attach(publisher.Aside, false)
	publishing, stopPublishing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPublishing()
	published := make(chan error, 1)
	go func() { published <- publisher.Run(publishing) }()

	b.log.Info().Stringer("boot", b.life).Str("version", b.version).Msg("listening to supervisord")
	// A section for output only has no use for it.
	if b.server == nil && (b.cfg.SnapshotEvery != 0 || b.cfg.Listen != "") {
		b.answers.Missing()
	}
	aside, stopAside := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	if watch != nil {
		tasks.Go(func() { watch(aside) })
	}
	b.lookAtProcesses()
	tasks.Go(func() { b.deaths.RunLooks(aside) })
	tasks.Go(func() { b.snapshots.Run(aside) })
	tasks.Go(func() { b.journal.ReportLosses(aside) })
	tasks.Go(func() { b.sectionChecker().Run(aside) })
	tasks.Go(func() { b.late.Run(aside) })
	tasks.Go(func() { b.output.Run(aside) })
	err = b.listen(ctx, listener)
	stopAside()
	tasks.Wait()
	b.stopped = ctx.Err() != nil
	b.lastRecords()
	b.journal.End()
	drain := time.Duration(b.cfg.Drain)
	if b.journal.Spool().Stats().Records == 0 {
		drain = 0
		if b.troubles.JustReported() {
			drain = min(time.Duration(b.cfg.Drain), time.Second) // that of a publisher's Aside
		}
	}
	drained := time.AfterFunc(drain, stopPublishing)
	defer drained.Stop()
	<-published
	b.journal.EndOfSpool() // what came to light at last waits for the next run
	if n := b.journal.Spool().Stats().Records; n > 0 {
		b.log.Warn().Uint64("records", n).Str("spool", b.journal.Spool().Dir()).Msg("stopped; what JetStream does not have yet waits in the spool")
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
		if err := b.watch.Run(ctx); err != nil {
			b.troubles.Raise(pulse.CauseSilent, err.Error(), "nothing if it does not come again; else look for what writes to the standard output of the command= of this section")
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
	more = append(more, b.metrics.ConnectionOptions(b.troubles.Repeat)...)
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
	b.metrics.Loss(metrics.CauseUnpublishable, 1)
	b.log.Error().Err(err).Int("record_bytes", len(rec)).Msg("event cannot be published and is lost")
}

// ExitDelay is how long the program waits before it exits with an error: with
// startsecs=0 supervisord starts it again at once, for ever.
const ExitDelay = time.Second

// newDeaths is what finds out about deaths.
func (b *Bridge) newDeaths() *deaths.Finder {
	cfg := deaths.Config{Log: b.log, Troubles: b.troubles, Wake: b.cfg.Wake}
	if b.server != nil {
		cfg.Touch = b.server.Touch
	}
	return deaths.New(cfg)
}

// watchDeaths begins to watch how supervisord's programs end, where that is possible. run
// does it until its context ends; it is nil where there is nothing to watch. A section for
// output has no use for it.
func (b *Bridge) watchDeaths() (run func(context.Context)) {
	if !b.sees(schema.ProcessStateExited) {
		return nil
	}
	return b.deaths.Watch(b.life.Evidence().LocalPID())
}

// lookAtProcesses prepares looks at processes. A section for output has no use for them.
func (b *Bridge) lookAtProcesses() {
	if !b.sees(schema.ProcessStateExited) {
		return
	}
	evidence := b.life.Evidence()
	b.deaths.Look(deaths.Supervisord{PID: evidence.LocalPID(), Certain: evidence.Certain, Current: b.life.Together()})
}

// processes asks supervisord for its process table.
func (b *Bridge) processes(ctx context.Context) ([]schema.SnapshotProcess, error) {
	if b.server == nil {
		return nil, errNoServer
	}
	table, err := b.server.Processes(ctx)
	if err == nil {
		b.answers.Answered()
	}
	return table, err
}

// scrapeFailed reports that supervisord has not answered a scrape.
func (b *Bridge) scrapeFailed(err error) {
	var fault *supervisord.Fault
	switch {
	case errors.Is(err, errNoServer): // reported at the start
	case errors.As(err, &fault) && fault.Code == supervisord.FaultShutdownState: // it is stopping
	default:
		b.answers.Failed(err)
	}
}

var errNoServer = errors.New("supervisord has no XML-RPC for us")

// newSnapshots takes the snapshots of this bridge.
func (b *Bridge) newSnapshots() *snapshot.Taker {
	cfg := snapshot.Config{
		Log: b.log, Host: b.cfg.Host, Every: time.Duration(b.cfg.SnapshotEvery), Table: b.table,
		Failed: b.answers.Failed, Answered: b.tableAnswered,
		Boot: b.life.String, Serial: b.serial.Load, Sees: b.sees,
		Full: b.journal.NearlyFull, Store: b.journal.AppendMessage,
		Lost: b.journal.ReportFound, Dir: b.life.Dir,
	}
	if b.server != nil {
		cfg.Ask = func(ctx context.Context) (*schema.Snapshot, error) {
			snap, _, err := b.server.Snapshot(ctx)
			return snap, err
		}
	}
	return snapshot.New(cfg)
}

// tableAnswered hands supervisord's process table to those that have use for it.
func (b *Bridge) tableAnswered(ctx context.Context, snap *schema.Snapshot) {
	b.answers.Answered()
	b.reasons.Know(snap.Processes)
	b.keepProcesses(snap)
	b.deaths.Know(snap.Processes)
	b.reasons.Follow(ctx)
}

// followReasons looks at the logs of programs when they die, until the function that
// it returns is called. A section that is sent no deaths has no need of it.
func (b *Bridge) followReasons(ctx context.Context) (stop func()) {
	if !b.sees(schema.ProcessStateExited) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
			return
		case <-b.section.Done():
		}
		if b.sees(schema.ProcessStateExited) {
			b.reasons.Run(ctx)
		}
	}()
	return func() {
		cancel()
		select {
		case <-done:
		case <-time.After(time.Second): // a file system does not answer
		}
		b.reasons.Close()
	}
}

// newMetrics registers the metrics of this bridge.
func (b *Bridge) newMetrics() *metrics.Metrics {
	return metrics.New(b.registry, metrics.Config{
		LossCauses: []string{ledger.CauseBuffer, ledger.CauseFull, ledger.CauseCorrupt},
		SpoolLimit: int64(b.cfg.SpoolMax), Ready: func() bool { return b.journal.NotReady() == nil },
		Spool: func() metrics.Spool {
			st := b.journal.SpoolStats()
			return metrics.Spool{Bytes: st.Bytes, Records: st.Records, Memory: st.Memory}
		},
		OldestAge: func() float64 { return b.journal.OldestAge() },
		Deaths: func() metrics.Deaths {
			st := b.deaths.Stats()
			return metrics.Deaths{
				Watched: st.Watched, Unwatched: st.Unwatched, LookedAt: st.LookedAt, NotLookedAt: st.NotLookedAt,
				Wakeups: st.Wakeups, OutOfMemory: st.Memory.OutOfMemory, Unclear: st.Memory.Unclear, Unfollowed: st.Memory.Unfollowed,
			}
		},
	})
}

// openSpool opens the spool. The error is that of ctx.
func (b *Bridge) openSpool(ctx context.Context) error {
	where := b.cfg.spoolChoice()
	return b.journal.Open(ctx, spool.QueueOptions{
		Options: spool.Options{Max: int64(b.cfg.SpoolMax), Sync: b.cfg.SpoolSync.every},
		Find:    where.Find, Elsewhere: where.Elsewhere(), Owner: b.cfg.owner(),
		Supervisord: b.life.Evidence().LocalPID(),
	})
}

// newServer serves metrics and the state of the bridge.
func (b *Bridge) newServer() *web.Server {
	return &web.Server{
		Listen: b.cfg.Listen, WebConfig: b.cfg.WebConfig, Log: b.log, Troubles: b.troubles,
		Metrics: b.registry, Status: b.status,
	}
}

// status is what /readyz shows.
func (b *Bridge) status() web.Status {
	s := web.Status{NotReady: b.journal.NotReady(), Connected: b.metrics.Connected(), Troubles: b.troubles.Lasting()}
	if queue := b.journal.Spool(); queue != nil {
		st := queue.Stats()
		s.Spool = &web.Spool{
			Records: st.Records, Memory: st.Memory, Disk: st.Disk,
			Used: queue.Used(), Shedding: b.journal.NearlyFull(),
		}
	}
	return s
}

// differs reports that supervisord's log and the kernel say different things.
func (b *Bridge) differs(e *schema.Event, kernel, log *schema.Exit) {
	b.metrics.Disagreement()
	b.log.Warn().Str("process", e.Group+":"+e.Process).Uint64("serial", e.Serial).
		Str("kernel", deaths.ExitText(kernel)).Str("supervisord", deaths.ExitText(log)).
		Msg("supervisord's log says otherwise than the kernel how a process ended; the kernel is right")
}

// eventsDropped is called when the loss of events that supervisord dropped is stored.
func (b *Bridge) eventsDropped(events uint64) {
	b.snapshots.Want(snapshot.Loss)
	b.lag.Dropped.Add(events)
}

// sees reports whether our section is subscribed to an event; true if that is not known.
func (b *Bridge) sees(event string) bool { return b.section.Sees(b.life.Pool(), event) }

// sectionChecker checks our section. A section for output does not lag: what is dropped
// from it is reported as lost, and that is all.
func (b *Bridge) sectionChecker() *section.Checker {
	return &section.Checker{
		Own: b.section, Arrivals: &b.watch, Troubles: b.troubles, Log: b.log, Pool: b.life.Pool,
		SeesDeaths: func(sees bool) { b.lag.Off.Store(!sees) },
	}
}

// giveWay reports whether the publisher is to wait: there is a burst, and room for it.
func (b *Bridge) giveWay() bool {
	return b.pace.Running(time.Now()) && b.journal.Spool().Used() < giveWayBelow
}

// giveWayBelow is the part of the spool up to which bursts are taken before anything
// is published.
const giveWayBelow = 0.5

// SupervisorPID returns supervisord's process id as this process sees it, 0 where it
// is hidden.
func (b *Bridge) SupervisorPID() int { return b.life.Evidence().PID }

// Describe adds to an error of Run what an operator can do.
func Describe(err error) error {
	var malformed *eventlistener.HeaderError
	if errors.As(err, &malformed) {
		return fmt.Errorf("%w; is this program the command of an [eventlistener:x] section (see `supernats-bridge conf`)?", err)
	}
	return err
}
