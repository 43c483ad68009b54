// Package trouble keeps what the bridge cannot do at the moment, and reports it: in the
// log, in records on the stream, in /readyz and in metrics.
//
// Under pressure: maxCauses causes are kept, and what comes beyond counts as one. A trouble
// that comes and goes makes a pair of records each maxHold at most, one that lasts a record
// each repeatEvery, or each repeatLeast while its text changes.
package trouble

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/schema"
)

// otherCause is the cause of all troubles that come after maxCauses.
const otherCause = "other"

const (
	// maxCauses bounds how many causes are kept. There are some twenty.
	maxCauses = 32
	// maxText bounds a text: a record of a trouble fits everywhere.
	maxText = 1000
	// repeatEvery is how often a trouble that lasts is published again.
	repeatEvery = time.Hour
	// repeatLeast is the least time between two records of a trouble that lasts, for
	// one whose text changes and for connections that come and go.
	repeatLeast = time.Minute
	// minHold is how long a trouble has to be gone before it is reported as over,
	// after it came back once; each further time doubles that, up to maxHold. calm
	// without it forgets that.
	minHold = 5 * time.Second
	maxHold = 5 * time.Minute
	calm    = time.Hour
)

// Board holds the troubles by their cause.
//
//	        Raise                    Clear                 hold is over
//	gone ──────────► lasting ─────────────────► ending ──────────────────► gone
//	     reported         ▲  repeated hourly      │                 reported as over
//	                      └───────────────────────┘ Raise: counted, hold doubles
//
//	hold = 0 for the first time, then minHold, doubled up to maxHold; 0 again after calm
//
// A trouble is reported at once, and its end too unless it came back before: one that comes
// and goes makes a pair of records each five minutes at most. The parts of the bridge may
// raise and clear it as often as they like, also before there is a publisher or an event:
// then it is published when there is one.
type Board struct {
	cfg    Config
	gauge  *prometheus.GaugeVec
	raised *prometheus.CounterVec
	wake   chan struct{} // holds a value when what is due has changed

	mu     sync.Mutex
	causes map[string]*trouble
	// publish is nil until there is a publisher. attached says that it is that of the
	// publisher of events.
	publish  func(key string, m *nats.Msg)
	attached bool
}

// Config is what a Board needs.
type Config struct {
	Log zerolog.Logger
	// Metrics is where the metrics "trouble" and "troubles_total" are registered.
	Metrics prometheus.Registerer
	// Encode makes the message of a trouble that is published at a time.
	Encode func(schema.Trouble, time.Time) (*nats.Msg, error)
	// Warnings are the causes with which events still arrive: they are logged as
	// warnings, all others as errors.
	Warnings []string
	// Errors are the other causes that are known. Counters of all begin at 0: one that
	// appears with its first value hides that one from rate().
	Errors []string
}

// New returns a board without troubles.
func New(cfg Config) *Board {
	t := &Board{
		cfg: cfg, causes: map[string]*trouble{}, wake: make(chan struct{}, 1),
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trouble",
			Help: "1 while the bridge cannot do its work fully for this cause; 0 after that.",
		}, []string{"cause"}),
		raised: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "troubles_total",
			Help: "How often a trouble began, or came back within moments, by cause.",
		}, []string{"cause"}),
	}
	cfg.Metrics.MustRegister(t.gauge, t.raised)
	for _, cause := range slices.Concat(cfg.Warnings, cfg.Errors) {
		t.raised.WithLabelValues(cause)
	}
	return t
}

// Raise says that something is wrong, and what to do about it. It may be called
// again while it lasts.
func (t *Board) Raise(cause, text, fix string) {
	t.mu.Lock()
	defer t.mu.Unlock()

	now := time.Now()
	x := t.causeOf(cause)
	x.text, x.fix = cmp.Or(clipText(text), cause), clipText(fix)

	switch {
	case x.reported.IsZero():
		if now.Sub(x.ended) > calm {
			x.hold, x.cameBack = 0, 0
		} else {
			x.lengthenHold()
		}
		x.since, x.cleared = now, time.Time{}
		t.countTrouble(x)
		t.reportBegin(x, now)

	case !x.cleared.IsZero():
		x.cleared = time.Time{}
		x.cameBack++
		x.lengthenHold()
		t.countTrouble(x)

	case x.text != x.reportedText:
		x.repeatSoon = true
		t.wakeUp()
	}
}

// Clear says that nothing is wrong any more, or never was.
func (t *Board) Clear(cause string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.causes[cause]
	if x == nil || x.reported.IsZero() || !x.cleared.IsZero() {
		return
	}

	x.cleared = time.Now()
	t.gauge.WithLabelValues(x.cause).Set(0)
	if x.hold == 0 {
		t.reportEnd(x, x.cleared)
		return
	}
	t.wakeUp()
}

// Repeat publishes what lasts once more: after a reconnect the stream may be
// another one. Connections may come and go: repeatLeast bounds it.
func (t *Board) Repeat() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.causes {
		x.repeatSoon = !x.reported.IsZero()
	}
	t.wakeUp()
}

// Attach publishes what lasts, and all that follows, with a publisher's Aside. One that is
// early, and will end, does not replace the publisher of events.
func (t *Board) Attach(publish func(key string, m *nats.Msg), early bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if early && t.attached {
		return
	}
	t.publish, t.attached = publish, !early
	t.sendAll()
}

// Restate publishes what lasts once more, now: a record that says that the bridge has
// started ends the troubles before it.
func (t *Board) Restate() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sendAll()
}

// sendAll publishes what lasts. t.mu is held.
func (t *Board) sendAll() {
	now := time.Now()
	for _, x := range t.causes {
		if !x.reported.IsZero() && x.cleared.IsZero() {
			t.publishRecord(x, now, false)
		}
	}
}

// Lasting returns what is wrong at the moment, by cause.
func (t *Board) Lasting() []schema.Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []schema.Trouble
	for _, x := range t.causes {
		if !x.reported.IsZero() && x.cleared.IsZero() {
			list = append(list, x.toRecord(false))
		}
	}
	slices.SortFunc(list, func(a, b schema.Trouble) int { return strings.Compare(a.Cause, b.Cause) })
	return list
}

// JustReported reports whether a record may still be on its way to the stream.
func (t *Board) JustReported() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.causes {
		if time.Since(x.reported) < time.Second || time.Since(x.ended) < time.Second {
			return true
		}
	}
	return false
}

// Start runs until the function that it returns is called, also after the end of ctx.
func (t *Board) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// Run reports what is due until ctx ends.
func (t *Board) Run(ctx context.Context) {
	timer := time.NewTimer(t.publishDue())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
		timer.Reset(t.publishDue())
	}
}

// publishDue reports what is due by now, and returns how long it is until the next one.
func (t *Board) publishDue() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()

	now, next := time.Now(), repeatEvery
	for _, x := range t.causes {
		switch {
		case x.reported.IsZero(): // gone
		case x.cleared.IsZero():
			next = min(next, t.repeatDue(x, now))
		case now.Sub(x.cleared) < x.hold:
			next = min(next, x.hold-now.Sub(x.cleared))
		default:
			t.reportEnd(x, now)
		}
	}
	return next
}

// repeatDue publishes a trouble that lasts if that is due, and returns how long it is until
// the next time. t.mu is held.
func (t *Board) repeatDue(x *trouble, now time.Time) time.Duration {
	after := repeatEvery
	if x.repeatSoon {
		after = repeatLeast
	}
	if left := after - now.Sub(x.reported); left > 0 {
		return left
	}

	if x.text != x.reportedText {
		t.reportBegin(x, now)
	} else {
		t.publishRecord(x, now, false)
	}
	return repeatEvery
}

// causeOf returns the trouble of a cause. t.mu is held.
func (t *Board) causeOf(cause string) *trouble {
	if x := t.causes[cause]; x != nil {
		return x
	}
	if len(t.causes) >= maxCauses {
		t.cfg.Log.Error().Str("cause", cause).Msg("too many causes of trouble: this one counts among the others")
		cause = otherCause
	}
	if t.causes[cause] == nil {
		t.causes[cause] = &trouble{cause: cause}
	}
	return t.causes[cause]
}

// countTrouble counts a trouble. t.mu is held.
func (t *Board) countTrouble(x *trouble) {
	t.gauge.WithLabelValues(x.cause).Set(1)
	t.raised.WithLabelValues(x.cause).Inc()
}

// reportBegin logs a trouble and publishes it. t.mu is held.
func (t *Board) reportBegin(x *trouble, now time.Time) {
	x.reportedText = x.text
	level := zerolog.ErrorLevel
	if slices.Contains(t.cfg.Warnings, x.cause) {
		level = zerolog.WarnLevel
	}
	t.cfg.Log.WithLevel(level).Str("cause", x.cause).Str("fix", x.fix).Msg(x.text)
	t.publishRecord(x, now, false)
	t.wakeUp()
}

// reportEnd reports that a trouble is over. t.mu is held.
func (t *Board) reportEnd(x *trouble, now time.Time) {
	t.publishRecord(x, now, true)
	e := t.cfg.Log.Info().Str("cause", x.cause).Dur("lasted_ms", x.cleared.Sub(x.since))
	if x.cameBack > 0 {
		e = e.Int("came_back", x.cameBack)
	}
	e.Msg("trouble is over")

	x.reported, x.ended = time.Time{}, now
	x.cameBack = 0
}

// publishRecord publishes a record of a trouble. t.mu is held.
func (t *Board) publishRecord(x *trouble, now time.Time, over bool) {
	x.reported, x.repeatSoon = now, false
	if t.publish == nil {
		return // Attach does it
	}
	m, err := t.cfg.Encode(x.toRecord(over), now)
	if err != nil {
		t.cfg.Log.Error().Err(err).Str("cause", x.cause).Msg("the record of a trouble cannot be encoded")
		return
	}
	t.publish("trouble/"+x.cause, m)
}

// wakeUp wakes Run. t.mu may be held.
func (t *Board) wakeUp() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
