package bridge

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"supernats/bridge/deaths"
	"supernats/bridge/eventlistener"
	"supernats/bridge/pulse"
	"supernats/schema"
)

// Run answers supervisord on in and out until it closes the stream or ctx ends, then
// continues to publish for the drain time. It returns nil if that was the end, and an
// error if the conversation broke; what had been accepted has then been published as well,
// as far as the drain time allowed.
//
//	open the spool ──► listen, and tasks beside it ──► last records ──► drain
//	                   publish ─────────────────────────────────────────────►
func (b *Bridge) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	listener, err := eventlistener.New(eventlistener.Config{
		In: in, Out: out, Length: b.cfg.Length, Accept: b.accept, Answered: b.metrics.Answered,
		Warn: func(msg string) { b.log.Warn().Msg(msg) },
	})
	if err != nil {
		return err
	}
	defer b.troubles.Start(ctx)()
	defer b.newServer().Serve(ctx)()

	b.life.Identify(ctx, b.server.askPID())
	b.section.Read(b.life.SupervisorPID)

	stopEarly := b.publishEarly(ctx)
	err = b.openSpool(ctx)
	stopEarly()
	if err != nil {
		return nil // ctx has ended: nothing was accepted
	}
	defer b.journal.Close()
	tasks := b.tasks()
	defer b.followReasons(ctx)() // by now it is known whether the kernel says how processes end

	publisher, err := b.newPublisher()
	if err != nil {
		return err
	}
	b.troubles.Attach(publisher.Aside, false)
	publishing, stopPublishing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPublishing()
	published := make(chan error, 1)
	go func() { published <- publisher.Run(publishing) }()

	b.log.Info().Stringer("boot", b.life).Str("version", b.self.version).Msg("listening to supervisord")
	err = b.listenBeside(ctx, listener, tasks)
	b.storeLastRecords(ctx.Err() != nil)

	b.journal.End()
	drained := time.AfterFunc(b.drainTime(), stopPublishing)
	defer drained.Stop()
	<-published
	b.journal.EndOfSpool() // what came to light at last waits for the next run
	b.journal.ReportLeft()
	return reportEnd(b.log, ctx.Err() != nil, err)
}

// tasks are what runs beside the listener, each until its context ends. A section for
// output has no use for watching processes.
func (b *Bridge) tasks() []func(ctx context.Context) {
	tasks := []func(ctx context.Context){
		b.snapshots.Run,
		b.journal.ReportLosses,
		b.sectionChecker().Run,
		b.late.Run,
		b.output.Run,
	}
	if !b.seesEvent(schema.ProcessStateExited) {
		return tasks
	}

	evidence := b.life.Evidence()
	if watch := b.deaths.Watch(evidence.LocalPID()); watch != nil {
		tasks = append(tasks, watch)
	}
	b.deaths.Look(deaths.Supervisord{
		PID: evidence.LocalPID(), Certain: evidence.Certain, Current: b.life.Together(),
	})
	return append(tasks, b.deaths.RunLooks)
}

// listenBeside answers supervisord while tasks run.
func (b *Bridge) listenBeside(ctx context.Context, l *eventlistener.Listener, tasks []func(context.Context)) error {
	// A section for output alone has no use for the XML-RPC.
	if b.server.client == nil && (b.cfg.SnapshotEvery != 0 || b.cfg.Listen != "") {
		b.server.answers.Missing()
	}

	aside, stopAside := context.WithCancel(ctx)
	defer stopAside()
	var running sync.WaitGroup
	for _, task := range tasks {
		running.Go(func() { task(aside) })
	}

	err := b.listen(ctx, l)
	stopAside()
	running.Wait()
	return err
}

// listen answers supervisord until the end, or until it is silent for too long.
func (b *Bridge) listen(ctx context.Context, l *eventlistener.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := b.silence.Run(ctx); err != nil {
			b.troubles.Raise(pulse.CauseSilent, err.Error(), fixSilent)
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

const fixSilent = "nothing if it does not come again; " +
	"else look for what writes to the standard output of the command= of this section"

// drainTime is how long we continue to publish. It is no time at all if everything is
// published, but for a trouble that was reported just now.
func (b *Bridge) drainTime() time.Duration {
	drain := time.Duration(b.cfg.Drain)
	if b.journal.Spool().Stats().Records > 0 {
		return drain
	}
	if b.troubles.JustReported() {
		return min(drain, time.Second) // that of a publisher's Aside
	}
	return 0
}

// reportEnd logs the end of a run, and returns its error: nil if supervisord ended it, or
// we were asked to.
func reportEnd(log zerolog.Logger, asked bool, err error) error {
	switch {
	case asked:
		log.Info().Msg("stopped")
		return nil
	case errors.Is(err, eventlistener.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		// In the middle of an event or of an answer too: it is dead.
		log.Info().Msg("stopped: supervisord has closed the event stream")
		return nil
	}
	return err
}

// followReasons looks at the logs of programs when they die, until the function that
// it returns is called. A section that is sent no deaths has no need of it.
func (b *Bridge) followReasons(ctx context.Context) (stop func()) {
	if !b.seesEvent(schema.ProcessStateExited) {
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
		if b.seesEvent(schema.ProcessStateExited) {
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
