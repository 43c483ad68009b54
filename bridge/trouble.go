package bridge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/bridge/publish"
	"supernats/schema"
)

// Causes of troubles that package bridge notices itself; its parts have others.
const (
	troubleFull    = "spool-full"
	troubleXMLRPC  = "xmlrpc"
	troubleListen  = "listen"
	troubleNoTicks = "no-ticks"
	troubleSilent  = "silent"
	troubleBacklog = "backlog"
	troubleSection = "section"
	troubleOutput  = "output"
	troubleLate    = "late-deaths"
	troubleSlow    = "spool-slow"
	// troubleOther stands for all that come after maxTroubles.
	troubleOther = "other"
)

// warnings are the causes with which events arrive all the same.
var warnings = []string{
	troubleXMLRPC, troubleListen, troubleNoTicks, troubleSection, "reasons", "log-rotated", "log-tail", "clock", troubleIdentity, troubleWatch,
	publish.CauseLook, publish.CauseTTL, publish.CauseTooLarge, publish.CauseTaken, publish.CauseConflict,
}

const (
	// maxTroubles bounds how many causes are kept. There are some twenty.
	maxTroubles = 32
	// maxTroubleText bounds a text: a record of a trouble fits everywhere.
	maxTroubleText = 1000
	// troubleAgain is how often a trouble that lasts is published again.
	troubleAgain = time.Hour
	// troubleGap is the least time between two records of a trouble that lasts, for
	// one whose text changes and for connections that come and go.
	troubleGap = time.Minute
	// minHold is how long a trouble has to be gone before it is reported as over,
	// after it came back once; each further time doubles that, up to maxHold. calm
	// without it forgets that.
	minHold = 5 * time.Second
	maxHold = 5 * time.Minute
	calm    = time.Hour
)

// troubles keeps what the bridge cannot do at the moment, for whoever may look: its
// log, the stream, /readyz and /metrics.
//
//	        raise                    clear                 hold is over
//	gone ──────────► lasting ─────────────────► ending ──────────────────► gone
//	     reported         ▲  repeated hourly      │                 reported as over
//	                      └───────────────────────┘ raise: counted, hold doubles
//
// A trouble is reported at once, and its end too unless it came back before: one
// that comes and goes makes a pair of records each five minutes at most. Its parts
// may raise and clear it as often as they like, also before there is a publisher or
// an event: then it is published when there is one.
type troubles struct {
	log    zerolog.Logger
	record func(schema.Trouble, time.Time) (*nats.Msg, error)
	gauge  *prometheus.GaugeVec
	raised *prometheus.CounterVec
	wake   chan struct{} // holds a value when what is due has changed

	mu      sync.Mutex
	causes  map[string]*trouble
	publish func(key string, m *nats.Msg) // nil until there is a publisher
	// attached says that publish is that of the publisher of events.
	attached bool
}

// trouble is one cause that was seen.
type trouble struct {
	cause, text, fix string
	since            time.Time
	// said is when it was last reported; zero while it is gone.
	said     time.Time
	saidText string
	// cleared is since when it has not been raised; zero while it lasts.
	cleared time.Time
	hold    time.Duration
	ended   time.Time // when it was last reported as over
	back    int       // how often it came back while it was ending
	repeat  bool      // it is to be published again as soon as troubleGap allows
}

func newTroubles(log zerolog.Logger, reg prometheus.Registerer, record func(schema.Trouble, time.Time) (*nats.Msg, error)) *troubles {
	t := &troubles{
		log: log, record: record, causes: map[string]*trouble{}, wake: make(chan struct{}, 1),
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: metricsPrefix + "_trouble",
			Help: "1 while the bridge cannot do its work fully for this cause; 0 after that.",
		}, []string{"cause"}),
		raised: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "_troubles_total",
			Help: "How often a trouble began, or came back within moments, by cause.",
		}, []string{"cause"}),
	}
	reg.MustRegister(t.gauge, t.raised)
	return t
}

// raise says that something is wrong, and what to do about it. It may be called
// again while it lasts.
func (t *troubles) raise(cause, text, fix string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	x := t.of(cause)
	x.text, x.fix = cmp.Or(clip(text), cause), clip(fix)
	switch {
	case x.said.IsZero():
		if now.Sub(x.ended) > calm {
			x.hold, x.back = 0, 0
		} else {
			x.lengthen()
		}
		x.since, x.cleared = now, time.Time{}
		t.began(x)
		t.say(x, now)
	case !x.cleared.IsZero():
		x.cleared = time.Time{}
		x.back++
		x.lengthen()
		t.began(x)
	case x.text != x.saidText:
		x.repeat = true
		t.look()
	}
}

// clear says that it is right again, or always was.
func (t *troubles) clear(cause string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.causes[cause]
	if x == nil || x.said.IsZero() || !x.cleared.IsZero() {
		return
	}
	x.cleared = time.Now()
	t.gauge.WithLabelValues(x.cause).Set(0)
	if x.hold == 0 {
		t.end(x, x.cleared)
		return
	}
	t.look()
}

// again publishes what lasts once more: after a reconnect the stream may be
// another one. Connections may come and go: troubleGap bounds it.
func (t *troubles) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.causes {
		x.repeat = !x.said.IsZero()
	}
	t.look()
}

// attach publishes what lasts, and all that follows, with a publisher's Aside. One
// that is early, and will end, has no say beside the other one.
func (t *troubles) attach(publish func(key string, m *nats.Msg), early bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if early && t.attached {
		return
	}
	t.publish, t.attached = publish, !early
	t.sendAll()
}

// restate publishes what lasts once more, now: a record that says that we started,
// or who we are, ends what was said before it.
func (t *troubles) restate() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sendAll()
}

// sendAll publishes what lasts. t.mu is held.
func (t *troubles) sendAll() {
	now := time.Now()
	for _, x := range t.causes {
		if !x.said.IsZero() && x.cleared.IsZero() {
			t.send(x, now, false)
		}
	}
}

// lasting returns what is wrong at the moment, by cause.
func (t *troubles) lasting() []schema.Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []schema.Trouble
	for _, x := range t.causes {
		if !x.said.IsZero() && x.cleared.IsZero() {
			list = append(list, x.data(false))
		}
	}
	slices.SortFunc(list, func(a, b schema.Trouble) int { return strings.Compare(a.Cause, b.Cause) })
	return list
}

// justSaid reports whether a record may still be on its way to the stream.
func (t *troubles) justSaid() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.causes {
		if time.Since(x.said) < time.Second || time.Since(x.ended) < time.Second {
			return true
		}
	}
	return false
}

// run reports what is due until ctx ends.
func (t *troubles) run(ctx context.Context) {
	timer := time.NewTimer(t.due())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
		timer.Reset(t.due())
	}
}

// due reports what is due by now, and returns how long it is until the next one.
func (t *troubles) due() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, next := time.Now(), troubleAgain
	for _, x := range t.causes {
		if x.said.IsZero() {
			continue
		}
		if !x.cleared.IsZero() {
			if left := x.hold - now.Sub(x.cleared); left > 0 {
				next = min(next, left)
			} else {
				t.end(x, now)
			}
			continue
		}
		after := troubleAgain
		if x.repeat {
			after = troubleGap
		}
		left := after - now.Sub(x.said)
		if left <= 0 {
			if x.text != x.saidText {
				t.say(x, now)
			} else {
				t.send(x, now, false)
			}
			left = troubleAgain
		}
		next = min(next, left)
	}
	return next
}

// of returns the trouble of a cause. t.mu is held.
func (t *troubles) of(cause string) *trouble {
	if x := t.causes[cause]; x != nil {
		return x
	}
	if len(t.causes) >= maxTroubles {
		t.log.Error().Str("cause", cause).Msg("too many causes of trouble: this one counts among the others")
		cause = troubleOther
	}
	if t.causes[cause] == nil {
		t.causes[cause] = &trouble{cause: cause}
	}
	return t.causes[cause]
}

// began counts a trouble. t.mu is held.
func (t *troubles) began(x *trouble) {
	t.gauge.WithLabelValues(x.cause).Set(1)
	t.raised.WithLabelValues(x.cause).Inc()
}

// say logs a trouble and publishes it. t.mu is held.
func (t *troubles) say(x *trouble, now time.Time) {
	x.saidText = x.text
	level := zerolog.ErrorLevel
	if slices.Contains(warnings, x.cause) {
		level = zerolog.WarnLevel
	}
	t.log.WithLevel(level).Str("cause", x.cause).Str("fix", x.fix).Msg(x.text)
	t.send(x, now, false)
	t.look()
}

// end reports that a trouble is over. t.mu is held.
func (t *troubles) end(x *trouble, now time.Time) {
	t.send(x, now, true)
	e := t.log.Info().Str("cause", x.cause).Dur("lasted_ms", x.cleared.Sub(x.since))
	if x.back > 0 {
		e = e.Int("came_back", x.back)
	}
	e.Msg("trouble is over")
	x.said, x.ended, x.back = time.Time{}, now, 0
}

// send publishes a record of a trouble. t.mu is held.
func (t *troubles) send(x *trouble, now time.Time, over bool) {
	x.said, x.repeat = now, false
	if t.publish == nil {
		return // attach does it
	}
	m, err := t.record(x.data(over), now)
	if err != nil {
		t.log.Error().Err(err).Str("cause", x.cause).Msg("the record of a trouble cannot be encoded")
		return
	}
	t.publish("trouble/"+x.cause, m)
}

// look wakes run. t.mu may be held.
func (t *troubles) look() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (x *trouble) data(over bool) schema.Trouble {
	return schema.Trouble{Cause: x.cause, Text: x.text, Fix: x.fix, Since: schema.Time{Time: x.since}, Over: over}
}

// lengthen makes the time longer for which the trouble has to be gone.
func (x *trouble) lengthen() { x.hold = min(maxHold, max(minHold, 2*x.hold)) }

// clip bounds a text, and makes it valid UTF-8: it may hold a file's name.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxTroubleText {
		return s
	}
	end := maxTroubleText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// troubleMessage makes the record of a trouble. Before the first event the pool is
// what supervisord's environment says, and its name is not known.
func (b *Bridge) troubleMessage(t schema.Trouble, at time.Time) (*nats.Msg, error) {
	t.Host, t.Pool = b.cfg.Host, b.pool()
	if b.boot.load() != [bootBytes]byte{} {
		t.Boot = b.boot.String()
	}
	if who := b.identity.Load(); who != nil {
		t.Server = who.server
	}
	ce := t.Envelope(at)
	json, err := schema.Marshal(ce)
	if err != nil {
		return nil, fmt.Errorf("encode a trouble: %w", err)
	}
	return message(schema.BridgeSubject(b.cfg.Host, schema.BridgeTrouble), ce.ID, json, 0), nil
}

// runTroubles reports troubles while the bridge runs, until the function that it
// returns is called.
func (b *Bridge) runTroubles(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // to the end of the drain time
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.troubles.run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
