// Package intake reads the stream of events. Reader is the live one: it turns events into
// states and alerts. Backtest shows what other rules would have sent, Rebuild makes the
// records of processes and hosts from what is left in the stream.
//
// Under pressure a Reader falls behind and drops nothing. It takes what source.Events has
// read ahead, publishes and stores what follows from that, and only then reads more.
// Records are stored at most five times a second, each changed process once. After a kill
// at most 50,000 messages, or those of 10 seconds, are read again.
package intake

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/intake/machine"
	"supernats/consumer/outbox"
	"supernats/consumer/rules"
	"supernats/consumer/silences"
	"supernats/consumer/source"
	"supernats/consumer/state"
	"supernats/schema"
)

const (
	// flushEvery is how often records are stored while there is more to read. A process that
	// changes a hundred times in between is written once.
	flushEvery = 200 * time.Millisecond
	// defaultSeenEvery and maxUnacked bound what is read again after a kill.
	defaultSeenEvery = 10 * time.Second
	maxUnacked       = 50_000
	// heartbeatsKept is how long the stream keeps what every host sends, TICK_5 and
	// snapshots. Whether a host was silent before that is unknown.
	heartbeatsKept = time.Hour
	// againWithin is how soon a Reader notices Session.Again, lookEvery how often it checks
	// the buckets.
	againWithin = time.Second
	lookEvery   = 5 * time.Second
	// repeatsFor is how long, after the stream was replaced, a bridge may publish again what
	// the old stream stored and never acknowledged.
	repeatsFor = 10 * time.Minute
)

// CauseEvents is the cause of the trouble that events cannot be read or stored.
const CauseEvents = "events"

// errReopen means that reading has to begin again, although nothing is wrong.
var errReopen = errors.New("events are to be read again")

// Plan is the part of a configuration that intake needs.
type Plan struct {
	Rules  *rules.Set
	Limits state.Limits
	// MaxAge is how old an event may be to make a notification.
	MaxAge time.Duration
	// ForgetAfter is after what silence a host is forgotten, and how long after it left its
	// supervisord's configuration a process is; 0: never.
	ForgetAfter time.Duration
}

// Session is what a Reader works with while this instance is active.
type Session struct {
	JetStream jetstream.JetStream
	// Held returns an error if another instance may be the active one.
	Held func() error
	// Health shows what keeps events from being read; may be nil.
	Health *health.Health
	// Again yields a value when streams or buckets were replaced; may be nil.
	Again <-chan struct{}
}

// Reader reads the stream of events, in steps of one order:
//
//	apply a batch → publish notifications → store records → acknowledge → delete
//
// After a kill between any two steps it does the same again, with the same effect: a
// notification keeps its id, and a record knows the position of the last message in it.
//
// A Reader belongs to one goroutine. What it knows outlives plans, sessions and readings:
// when a bucket vanishes, its records are written again from memory.
type Reader struct {
	session Session
	js      jetstream.JetStream // of the session
	plan    Plan
	log     zerolog.Logger
	beat    func() // reports progress
	// seenEvery is how often records are stored of which only the times have changed at
	// which hosts were seen. What was read since is read again after a restart.
	seenEvery time.Duration

	// machine is what this process knows; nil before the first reading. It is replaced,
	// together with what store has opened, when a reading has restored all records.
	machine  *machine.Machine
	store    store
	silences *silences.Silences
	outbox   *outbox.Outbox
	// known is how far this process has read, line maps positions to sequences.
	known source.Known
	line  source.Lineage
	clock clock

	refusals refusals
	sweeper  sweeper
	surplus  surplus

	horizon time.Time // events before it make no notification
	hasMore bool      // the stream holds more than was read
	flushed time.Time // when records were stored the last time
	unacked int       // messages read since
	failed  bool      // reading was interrupted, and nothing has been stored since
}

// New returns a Reader that has read nothing.
func New(log zerolog.Logger) *Reader {
	r := &Reader{
		log: log, beat: func() {}, seenEvery: defaultSeenEvery,
		store: store{log: log}, outbox: outbox.New(log), surplus: surplus{every: surplusEvery},
	}
	r.known = source.Known{
		Lineages: new(source.Lineages),
		Highest: func(ctx context.Context) (uint64, error) {
			return r.store.highest(ctx, r.known.Read.Position, r.plan.Limits)
		},
	}
	return r
}

// Begin sets what the next Run works with.
func (r *Reader) Begin(s Session) {
	r.session, r.js = s, s.JetStream
	r.store.use(s.JetStream)
	r.outbox.Use(s.JetStream)
}

// Run reads by a plan until ctx ends, and returns its error. It retries after every other
// error. It calls ready whenever reading begins, and beat whenever it makes progress or
// tries again.
func (r *Reader) Run(ctx context.Context, plan Plan, beat, ready func()) error {
	r.plan, r.beat = plan, beat
	t := health.Retry{
		Log: r.log, What: "reading events", Conn: r.js.Conn(),
		Health: r.session.Health, Cause: CauseEvents, Fix: health.RunDoctor,
	}
	defer t.Stop()

	for {
		r.beat()
		err := r.read(ctx, ready, func() {
			r.failed = false
			t.Recovered()
		})
		if errors.Is(err, errReopen) && ctx.Err() == nil {
			continue
		}
		r.failed = err != nil
		if err := t.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// read reads until something goes wrong. It calls ready when reading begins, and ok whenever
// everything that was read is stored.
func (r *Reader) read(ctx context.Context, ready, ok func()) error {
	var src *source.Events
	defer func() {
		if src != nil {
			src.Close()
		}
	}()
	err := health.Unbroken(ctx, r.js.Conn(), func(asking context.Context) (err error) {
		if err := r.findPlace(asking); err != nil {
			return err
		}
		src, err = source.Open(asking, r.js, r.known, r.log)
		if err != nil {
			return err
		}
		r.line = src.Lineage
		r.outbox.SetLineage(r.line)
		return r.rewriteVanished(asking, src.Continuity != source.IsSame)
	})
	if err != nil {
		return err
	}

	if err := r.restore(ctx, src); err != nil {
		return err
	}
	defer func() { r.silences.Stop() }()
	ready()
	return r.follow(ctx, src, ok)
}

// findPlace determines the last message that was read, unless this process knows it.
func (r *Reader) findPlace(ctx context.Context) error {
	if r.known.Read.Position > 0 {
		return nil
	}
	last, err := r.store.lastPlace(ctx, r.plan.Limits)
	if err != nil {
		return err
	}
	r.known.Read, r.known.Acked = last, last
	return nil
}

// messages is the stream of events as follow reads it, see source.Events.
type messages interface {
	Batch(ctx context.Context, wait time.Duration) ([]source.Received, error)
	Now(ctx context.Context) (now time.Time, all bool, err error)
	Done(ctx context.Context) error
}

// follow handles one batch after the other.
func (r *Reader) follow(ctx context.Context, src messages, ok func()) error {
	for {
		if err := r.checkBuckets(ctx); err != nil {
			return err
		}
		batch, err := src.Batch(ctx, min(r.waitTime(), againWithin))
		if err != nil {
			return err
		}

		r.horizon = r.oldest()
		if list, changed := r.silences.Now(); changed {
			r.machine.Engine.SetSilences(r.clock.now(), list)
		}
		if err := r.applyBatch(ctx, batch); err != nil {
			return err
		}
		if len(batch) > 0 {
			r.clock.arrived()
		} else if err := r.advanceRules(ctx, src); err != nil {
			return err
		}
		if !r.hasMore {
			r.sweeper.sweep(ctx, r)
		}

		if err := r.publishPending(ctx); err != nil {
			return err
		}
		if r.isFlushDue(!r.hasMore) {
			flush := func(ctx context.Context) error { return r.flushRecords(ctx, src) }
			if err := health.Unbroken(ctx, r.js.Conn(), flush); err != nil {
				return err
			}
		}
		r.beat()
		// Reading alone is no success: what cannot be stored is read again and again.
		if r.unacked == 0 && !r.machine.IsDirty() {
			ok()
		}
	}
}

// checkBuckets returns errReopen if streams or buckets were replaced, and reads the silences
// again after a reconnect.
func (r *Reader) checkBuckets(ctx context.Context) (err error) {
	select {
	case <-r.session.Again:
		return errReopen
	default:
	}
	other, err := r.isOther(ctx)
	if err != nil || other || r.surplus.isDue() {
		return cmp.Or(err, errReopen)
	}

	r.silences, err = r.silences.Renew(ctx, r.js)
	return err
}

// isOther reports, every lookEvery, whether a bucket was replaced. A write would show it
// too, but without events there are no writes.
func (r *Reader) isOther(ctx context.Context) (other bool, err error) {
	if !r.store.isLookDue() {
		return false, nil
	}
	err = health.Unbroken(ctx, r.js.Conn(), func(ctx context.Context) (err error) {
		other, err = r.store.isOther(ctx)
		if err == nil && !other {
			other, err = r.silences.IsOther(ctx, r.js)
		}
		return err
	})
	r.store.rewrite = r.store.rewrite || other
	return other, err
}

func (r *Reader) applyBatch(ctx context.Context, batch []source.Received) error {
	for i := range batch {
		m := &batch[i]
		if err := r.applyMessage(ctx, m); err != nil {
			return err
		}
		r.known.Read = source.Place{
			Position: max(r.known.Read.Position, m.Seq), Stored: later(r.known.Read.Stored, m.Stored),
		}
		r.hasMore = m.Meta.NumPending > 0
	}
	r.unacked += len(batch)
	return nil
}

// applyMessage applies a message. One that is unreadable is parked.
func (r *Reader) applyMessage(ctx context.Context, m *source.Received) error {
	err := r.machine.Apply(&m.Message, r.horizon)
	if err == nil || !errors.As(err, new(machine.Unreadable)) {
		return err
	}
	refuse := func(ctx context.Context) error { return r.refuseMessage(ctx, m, err) }
	return health.Unbroken(ctx, r.js.Conn(), refuse)
}

// oldest is the time before which events are too old for notifications, by the server's
// clock: ours may be wrong.
func (r *Reader) oldest() time.Time { return r.clock.now().Add(-r.plan.MaxAge) }

// waitTime is how long to wait for messages: until a timer of the rules or a flush is due.
func (r *Reader) waitTime() time.Duration {
	wait := r.seenEvery
	if r.unacked > 0 {
		wait = time.Until(r.flushed.Add(r.seenEvery))
	}
	if at, ok := r.machine.Engine.Next(); ok {
		wait = min(wait, r.clock.until(at))
	}
	return max(wait, time.Millisecond)
}

// advanceRules moves the clock of the rules to the server's time if a timer is due. It
// waits until all messages up to that time are read: a timer must not fire before an
// earlier message.
func (r *Reader) advanceRules(ctx context.Context, src messages) error {
	at, ok := r.machine.Engine.Next()
	if !ok || r.clock.until(at) > 0 {
		return nil
	}
	var now time.Time
	var all bool
	err := health.Unbroken(ctx, r.js.Conn(), func(ctx context.Context) (err error) {
		now, all, err = src.Now(ctx)
		return err
	})
	if errors.Is(err, source.ErrPaused) {
		r.clock.set(now)
		r.clock.arrived()
		return nil
	}
	if err != nil {
		return err
	}

	r.clock.set(now)
	if !all {
		return r.clock.miss(now)
	}
	r.clock.arrived()
	r.machine.Engine.Advance(now.Add(-settled))
	return nil
}

// publishPending publishes the notifications of the rules. The outbox keeps them until the
// stream has stored them, even if the stream vanishes meanwhile.
func (r *Reader) publishPending(ctx context.Context) error {
	r.outbox.Add(r.machine.Take())
	return r.outbox.Flush(ctx, r.clock.now(), r.machine.Engine.Published)
}

// isFlushDue reports whether to store records; all if there is nothing more to read.
func (r *Reader) isFlushDue(all bool) bool {
	since := time.Since(r.flushed)
	dirty := r.machine.IsDirty()
	switch {
	case r.unacked == 0 && !dirty:
		return false
	case r.unacked >= maxUnacked, since >= r.seenEvery, r.failed && all:
		return true
	}
	return dirty && (all || since >= flushEvery)
}

// flushRecords stores the records that changed and acknowledges what was read.
func (r *Reader) flushRecords(ctx context.Context, src messages) error {
	if err := r.store.write(ctx, r.machine); err != nil {
		return err
	}
	if r.unacked > 0 {
		if err := src.Done(ctx); err != nil {
			return err
		}
		r.known.Acked = r.known.Read
	}
	// Only after the acknowledgement: messages that are read again need these records.
	if err := r.store.deleteForgotten(ctx, r.machine); err != nil {
		return err
	}

	r.machine.Changes.Clear()
	r.flushed, r.unacked = time.Now(), 0
	if r.machine.TooOld > 0 {
		r.log.Info().Int("events", r.machine.TooOld).Stringer("max_age", schema.Duration(r.plan.MaxAge)).
			Msg("events are too old for notifications; their state is recorded")
		r.machine.TooOld = 0
	}
	return nil
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
