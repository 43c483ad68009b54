package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/alerts"
	"supernats/consumer/fit"
	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/schema"
)

// events reads the stream of events: what the rules make of it is published, then
// the records are stored, then the messages are done. Killed anywhere between, it
// does the same again: a notification has one id, and a record knows the sequence
// of the last message in it.
type events struct {
	js   jetstream.JetStream
	plan *plan
	log  zerolog.Logger
	// seenEvery is how often the times are stored at which hosts were seen. What
	// was read since is read again after a restart.
	seenEvery time.Duration

	// held returns an error if another instance may be the active one. health gets what
	// keeps events from being read, again a value when streams or buckets are not what
	// they were; each may be nil.
	held   func() error
	health *health.Health
	again  <-chan struct{}

	// What is below but for the machine is of one reading. The machine is what this
	// process knows: when a bucket vanishes, its records are written again from it.
	*machine
	states *records.Bucket[schema.ProcessRecord]
	hosts  *records.Bucket[schema.HostRecord]
	alerts *records.Bucket[schema.Alert]
	mutes  *mutes
	// pending are notifications that the rules have made and the stream may not have.
	pending []alerts.Notification
	// known is what was read before, line says what positions are sequences of.
	known reading
	line  lineage
	// rewrite says that the buckets are to be written from memory before they are read.
	rewrite bool
	// window is how long the stream of alerts remembers an id.
	window time.Duration
	// maxAlert is how large it takes a message; 0: as the server.
	maxAlert int
	// signer knows our own notifications.
	signer    *signer
	logBudget fit.LogBudget
	// refusals are messages that nobody could read.
	refusals refusals

	horizon time.Time // what is older is told to nobody
	behind  bool      // the stream has more than was read
	flushed time.Time // when records were stored the last time
	unacked int       // messages read since
	failed  bool      // reading was interrupted, and nothing has been stored since
	waiting time.Time // since when messages that were sent have not arrived
	looked  time.Time // when the buckets were looked at
	// reconnects is how often the connection had been made again when mutes was opened.
	reconnects uint64
	// began is since when events are read; swept is when hosts that are gone were looked
	// for the last time, sweptGone processes.
	began, swept, sweptGone time.Time
	// surplusDue is when what a bucket holds too much is tried to be removed again, zero if
	// there is nothing; surplusEvery how long after it failed.
	surplusDue   time.Time
	surplusEvery time.Duration
	// skew is how far the server's clock is ahead of ours.
	skew time.Duration
	// beat is called whenever reading begins again, see progress.
	beat func()
}

const (
	// flushEvery is how often records are stored while there is more to read: a
	// process that changes a hundred times in between is written once.
	flushEvery = 200 * time.Millisecond
	// defaultSeenEvery bounds, with maxUnacked, what is read again.
	defaultSeenEvery = 10 * time.Second
	maxUnacked       = 50_000
	// settled is how long a message may be stored before its consumer knows of it.
	settled = 50 * time.Millisecond
	// maxLate is how long what the server has sent may be on its way.
	maxLate = 2 * time.Second
	// heartbeatsKept is how long the stream keeps what every host sends: TICK_5 and
	// snapshots. Before that nobody can say that a host was silent.
	heartbeatsKept = time.Hour
	// lookAgain is how soon it is noticed that the keeper has found another stream,
	// lookEvery how often the buckets are looked at.
	lookAgain = time.Second
	lookEvery = 5 * time.Second
	// repeatsFor is how long a bridge may send again, after the stream was made again,
	// what the old one had taken and never confirmed.
	repeatsFor = 10 * time.Minute
)

func newEvents(js jetstream.JetStream, p *plan, log zerolog.Logger) *events {
	v := &events{js: js, plan: p, log: log, held: func() error { return nil }, seenEvery: defaultSeenEvery, surplusEvery: surplusEvery, beat: func() {}}
	v.known = reading{lineages: new(lineages), highest: v.highest}
	return v
}

const causeEvents, causeAlerts = "events", "alerts"

// run works until ctx ends; whatever goes wrong is tried again.
func (v *events) run(ctx context.Context, ready func()) error {
	t := health.Retry{Log: v.log, What: "reading events", Conn: v.js.Conn(), Health: v.health, Cause: causeEvents, Fix: health.RunDoctor}
	defer t.Stop()

	for {
		v.beat()
		err := v.read(ctx, ready, func() { v.failed = false; t.Recovered() })
		if errors.Is(err, errReopen) && ctx.Err() == nil {
			continue
		}
		v.failed = err != nil
		if err := t.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// read works until something goes wrong. ready is called when it begins, ok whenever all
// that was read is done.
func (v *events) read(ctx context.Context, ready, ok func()) error {
	var src *durableSource
	defer func() {
		if src != nil {
			src.Close()
		}
	}()
	open := func(asking context.Context) (err error) {
		if err := v.findPlace(asking); err != nil {
			return err
		}
		if src, err = newDurableSource(asking, v.js, v.known, v.log); err != nil {
			return err
		}
		v.line = src.lineage
		return v.remember(asking, src.continuity != isSame)
	}
	if err := health.Unbroken(ctx, v.js.Conn(), open); err != nil {
		return err
	}
	if err := v.restore(ctx, src); err != nil {
		return err
	}
	defer func() { v.mutes.stop() }()
	ready()
	return v.follow(ctx, src, ok)
}

// follow handles batch after batch of a source.
func (v *events) follow(ctx context.Context, src source, ok func()) error {
	for {
		select {
		case <-v.again:
			return errReopen
		default:
		}
		if other, err := v.isOther(ctx); err != nil || other || v.isSurplusDue() {
			return cmp.Or(err, errReopen)
		}
		if err := v.followMutes(ctx); err != nil {
			return err
		}
		batch, err := src.Batch(ctx, min(v.pause(), lookAgain))
		if err != nil {
			return err
		}
		v.horizon = v.oldest()
		if list, changed := v.mutes.now(); changed {
			v.engine.SetMutes(time.Now().Add(v.skew), list)
		}
		for i := range batch {
			if err := v.one(ctx, &batch[i]); err != nil {
				return err
			}
			v.known.read = place{max(v.known.read.position, batch[i].Seq), later(v.known.read.stored, batch[i].Stored)}
			v.behind = batch[i].meta.NumPending > 0
		}
		v.unacked += len(batch)
		if len(batch) > 0 {
			v.waiting = time.Time{}
		} else if err := v.timers(ctx, src); err != nil {
			return err
		}
		if !v.behind {
			v.sweep(ctx)
		}
		if err := v.publishPending(ctx); err != nil {
			return err
		}
		if v.due(!v.behind) {
			err := health.Unbroken(ctx, v.js.Conn(), func(ctx context.Context) error { return v.flush(ctx, src) })
			if err != nil {
				return err
			}
		}
		v.beat()
		// Reading alone is not enough: what cannot be stored is read again and again.
		if v.unacked == 0 && !v.worth && !v.engine.Dirty() {
			ok()
		}
	}
}

// oldest is before when events are too old for people, by the server's clock: ours may
// be wrong.
func (v *events) oldest() time.Time {
	return time.Now().Add(v.skew - time.Duration(v.plan.cfg.MaxAge))
}

// one applies a message; one that nobody can read is parked.
func (v *events) one(ctx context.Context, m *received) error {
	err := v.apply(&m.Message, v.horizon)
	if errors.As(err, new(unreadable)) {
		return health.Unbroken(ctx, v.js.Conn(), func(ctx context.Context) error { return v.refuse(ctx, m, err) })
	}
	return err
}

// pause is how long to wait for messages: until a timer or a flush is due.
func (v *events) pause() time.Duration {
	wait := v.seenEvery
	if v.unacked > 0 {
		wait = time.Until(v.flushed.Add(v.seenEvery))
	}
	if at, ok := v.engine.Next(); ok {
		wait = min(wait, time.Until(at.Add(settled-v.skew)))
	}
	return max(wait, time.Millisecond)
}

// timers lets the rules' clock go on. It follows the server's while there is
// nothing to read, since a timer must not fire before a message of an earlier time.
func (v *events) timers(ctx context.Context, src source) error {
	at, ok := v.engine.Next()
	if !ok || time.Until(at.Add(settled-v.skew)) > 0 {
		return nil
	}
	var now time.Time
	var all bool
	err := health.Unbroken(ctx, v.js.Conn(), func(ctx context.Context) (err error) {
		now, all, err = src.Now(ctx)
		return err
	})
	if errors.Is(err, errPaused) {
		v.skew, v.waiting = time.Until(now), time.Time{}
		return nil
	}
	if err != nil {
		return err
	}
	v.skew = time.Until(now)
	if !all {
		return v.late(now)
	}
	v.waiting = time.Time{}
	v.engine.Advance(now.Add(-settled))
	return nil
}

// late ends reading when what the server has sent does not come: it went into a
// connection, or a request, that is no more.
func (v *events) late(now time.Time) error {
	if v.waiting.IsZero() {
		v.waiting = now
	}
	if now.Sub(v.waiting) > maxLate {
		return errors.New("messages that were sent have not arrived; they are read again")
	}
	return nil
}

// due reports whether records have to be stored.
func (v *events) due(all bool) bool {
	since := time.Since(v.flushed)
	switch {
	case v.unacked == 0 && !v.worth && !v.engine.Dirty():
		return false
	case v.unacked >= maxUnacked, since >= v.seenEvery, v.failed && all:
		return true
	}
	return (v.worth || v.engine.Dirty()) && (all || since >= flushEvery)
}

// flush stores what changed and acknowledges what was read.
func (v *events) flush(ctx context.Context, src source) error {
	var open []records.Record[schema.Alert]
	for _, c := range v.engine.Changed() {
		open = append(open, records.Record[schema.Alert]{Key: c.Key, Value: c.Record})
	}
	// In this order: what alerts know of processes and hosts must not be younger
	// than what they know of themselves.
	if err := v.alerts.Write(ctx, open); err != nil {
		return err
	}
	if err := v.states.Write(ctx, changedRecords(v.machine.states)); err != nil {
		return err
	}
	if err := v.hosts.Write(ctx, changedRecords(v.machine.hosts)); err != nil {
		return err
	}
	if v.unacked > 0 {
		if err := src.Done(ctx); err != nil {
			return err
		}
		v.known.acked = v.known.read
	}
	if err := v.cleanUp(ctx); err != nil {
		return err
	}
	clear(v.machine.states)
	clear(v.machine.hosts)
	v.worth = false
	v.flushed, v.unacked = time.Now(), 0
	if v.tooOld > 0 {
		v.log.Info().Int("events", v.tooOld).Stringer("max_age", v.plan.cfg.MaxAge).Msg("events are too old to be told to people; their state is recorded")
		v.tooOld = 0
	}
	return nil
}

func changedRecords[T any](changed map[string]*T) []records.Record[T] {
	list := make([]records.Record[T], 0, len(changed))
	for key, value := range changed {
		if value != nil { // what is to be deleted comes last, see forget.go
			list = append(list, records.Record[T]{Key: key, Value: value})
		}
	}
	return list
}
