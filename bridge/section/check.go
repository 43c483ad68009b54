package section

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"supernats/schema"
)

// ticksWait is how long after the first event a tick has to have come where the
// configuration does not say whether any will.
const ticksWait = 5 * time.Minute

// Causes of troubles.
const (
	CauseSection = "section"
	CauseNoTicks = "no-ticks"
	CauseOutput  = "output"
)

const fixTicks = "add TICK_60 to events= in this section of supervisord's configuration, then run: supervisorctl update"

// Arrivals is what has come from supervisord in this run.
type Arrivals interface {
	// AnyEvent and AnyTick report whether an event, or a tick, has come.
	AnyEvent() bool
	AnyTick() bool
}

// Checker reports what is wrong with our section.
type Checker struct {
	Own      *Own
	Arrivals Arrivals
	Troubles Troubles
	Log      zerolog.Logger
	// Pool returns the name of the section, empty while it is not known.
	Pool func() string
	// SeesDeaths is called with whether the section is subscribed to exits, if that is
	// known.
	SeesDeaths func(bool)
}

// Run checks the section, as soon as its name is known. If it cannot be read, it waits
// for the ticks. It returns when there is no more to check, or ctx ends.
func (c *Checker) Run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for c.Pool() == "" {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}

	select {
	case <-ctx.Done():
		return
	case <-time.After(ticksWait):
	case <-c.Own.done:
		data, text, fix := describeSection(c.Own.conf, c.Pool())
		if text != "" {
			c.Troubles.Raise(CauseSection, text, fix)
		}
		if data != nil {
			c.SeesDeaths(c.Own.Sees(c.Pool(), schema.ProcessStateExited))
			return
		}
		c.Log.Debug().Err(c.Own.err).Str("pool", c.Pool()).
			Msg("our section of supervisord's configuration cannot be read")
	}
	c.awaitTicks(ctx)
}

// awaitTicks reports that no tick comes: without them a broken pipe is not noticed.
func (c *Checker) awaitTicks(ctx context.Context) {
	t := time.NewTicker(ticksWait / 60)
	defer t.Stop()

	var first time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}

		switch {
		case c.Arrivals.AnyTick():
			c.Troubles.Clear(CauseNoTicks)
			return
		case !c.Arrivals.AnyEvent():
		case first.IsZero():
			first = time.Now()
		case time.Since(first) > ticksWait:
			c.Troubles.Raise(CauseNoTicks, fmt.Sprintf("no TICK has come for %v: "+
				"the bridge cannot notice that supervisord has stopped sending events to it", ticksWait), fixTicks)
		}
	}
}
