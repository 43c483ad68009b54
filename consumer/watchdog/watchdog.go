// Package watchdog is the dead man's switch: it pings an address for as long as people are
// really notified, so that somebody else notices when they are not.
//
// A ping is a POST to the address. What cannot notify anybody posts to the address with
// /fail at its end, with the reason, as healthchecks.io has it; what is dead posts nothing.
// A ping that fails holds nothing up: it is logged once, raises a warning, and the next one
// comes at its time.
package watchdog

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/health"
)

// Verdict is whether people are notified.
type Verdict struct {
	// Silent says that it is not for this instance to say: another one is active.
	Silent bool
	// Reason is why nobody, or not everybody, would be notified; "" if all is well.
	Reason string
}

// Results of pings.
const (
	ResultPing   = "ping"
	ResultFail   = "fail"
	ResultFailed = "error"
)

// Results returns them all.
func Results() []string { return []string{ResultPing, ResultFail, ResultFailed} }

// Target is where pings go.
type Target interface {
	// Ping sends one, and bounds its own time. A verdict with a reason says that people are
	// not notified.
	Ping(ctx context.Context, v Verdict) error
}

// Watchdog pings one target. Its fields are set once, but for the counters.
type Watchdog struct {
	name    string
	every   time.Duration
	target  Target
	verdict func(context.Context) Verdict
	health  *health.Health
	log     zerolog.Logger

	// counts are the pings by result, for metrics.
	counts map[string]*atomic.Uint64
}

// New returns a watchdog. verdict is asked before each ping, and bounds its own time.
func New(
	name string, every time.Duration, target Target,
	verdict func(context.Context) Verdict, h *health.Health, log zerolog.Logger,
) *Watchdog {
	w := &Watchdog{
		name: name, every: every, target: target, verdict: verdict, health: h,
		log: log.With().Str("watchdog", name).Logger(), counts: map[string]*atomic.Uint64{},
	}
	for _, result := range Results() {
		w.counts[result] = new(atomic.Uint64)
	}
	return w
}

// Name returns the name of the watchdog.
func (w *Watchdog) Name() string { return w.name }

// Counts returns how many pings had each result.
func (w *Watchdog) Counts() map[string]uint64 {
	counts := map[string]uint64{}
	for result, n := range w.counts {
		counts[result] = n.Load()
	}
	return counts
}

// silentPause is how often one that stands by asks whether it still does: the first ping
// after a take-over, or a start, does not wait for a whole period.
const silentPause = time.Second

// Run pings until ctx ends.
func (w *Watchdog) Run(ctx context.Context) error {
	defer w.health.Clear(w.cause())
	for {
		begun := time.Now()
		v := w.verdict(ctx)
		pause := silentPause
		if !v.Silent {
			w.pingOnce(ctx, v)
			pause = max(w.every-time.Since(begun), minEvery/2)
		}
		if err := health.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// cause is that of the warning that the address cannot be pinged.
func (w *Watchdog) cause() string { return "watchdog " + w.name }

// pingOnce posts a verdict.
func (w *Watchdog) pingOnce(ctx context.Context, v Verdict) {
	if ctx.Err() != nil {
		return
	}

	result := ResultPing
	if v.Reason != "" {
		result = ResultFail
	}
	if err := w.target.Ping(ctx, v); err != nil {
		if ctx.Err() != nil {
			return
		}
		w.counts[ResultFailed].Add(1)
		w.health.Warn(w.cause(), w.cause()+" cannot be pinged: "+err.Error(), "`supernats doctor` tries the way there")
		return
	}

	w.counts[result].Add(1)
	w.health.Clear(w.cause())
}
