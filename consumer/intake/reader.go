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
)

const (
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
	// Count is called with the subject of each message that is read for the first time; may
	// be nil.
	Count func(subject string)
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
	r.store.useConnection(s.JetStream)
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
